// @ts-check
/**
 * Scales images on a canvas of the worker, for the homeserver's thumbnails (core/tabstead/media/thumbnails.py).
 * @module
 */

const QUALITY = 0.8;

export const canvas = {
  /**
   * @param {Uint8Array<ArrayBuffer>} data  of an image file
   * @param {number} width
   * @param {number} height
   * @param {'crop' | 'scale'} method
   * @returns {Promise<{ contentType: string, data: Uint8Array, width: number, height: number } | null>}
   */
  async makeThumbnail(data, width, height, method) {
    const image = await createImageBitmap(new Blob([data])).catch(() => null);
    if (!image) return null;
    try {
      const part = method === 'crop' ? cropped(image, width, height) : scaled(image, width, height);
      const target = new OffscreenCanvas(part.width, part.height);
      const context = target.getContext('2d');
      if (!context) return null;
      context.imageSmoothingQuality = 'high';
      context.drawImage(image, part.x, part.y, part.ofWidth, part.ofHeight, 0, 0, part.width, part.height);
      const blob = await target.convertToBlob({ type: hasTransparency(context, part) ? 'image/png' : 'image/jpeg', quality: QUALITY });
      const bytes = new Uint8Array(await blob.arrayBuffer());
      return { contentType: blob.type, data: bytes, width: part.width, height: part.height };
    } finally {
      image.close();
    }
  },
};

/**
 * The whole image in at most width x height, never enlarged.
 * @param {ImageBitmap} image
 * @param {number} width
 * @param {number} height
 */
function scaled(image, width, height) {
  const factor = Math.min(1, width / image.width, height / image.height);
  const size = { width: Math.max(1, Math.round(image.width * factor)), height: Math.max(1, Math.round(image.height * factor)) };
  return { ...size, x: 0, y: 0, ofWidth: image.width, ofHeight: image.height };
}

/**
 * The image's middle with the proportions of width x height, filling that.
 * @param {ImageBitmap} image
 * @param {number} width
 * @param {number} height
 */
function cropped(image, width, height) {
  const factor = Math.max(width / image.width, height / image.height);
  const [ofWidth, ofHeight] = [width / factor, height / factor];
  return { width, height, x: (image.width - ofWidth) / 2, y: (image.height - ofHeight) / 2, ofWidth, ofHeight };
}

/**
 * @param {OffscreenCanvasRenderingContext2D} context
 * @param {{ width: number, height: number }} size
 */
function hasTransparency(context, { width, height }) {
  const { data } = context.getImageData(0, 0, width, height);
  for (let alpha = 3; alpha < data.length; alpha += 4) if (data[alpha] !== 255) return true;
  return false;
}

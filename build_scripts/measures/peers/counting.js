/** Counts the bytes that this worker gives to IndexedDB; put before a worker's own script, or imported by it. */
(() => {
  const counted = { bytes: 0, values: 0 };

  const sizeOf = (value) => {
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    if (value instanceof Blob) return value.size;
    if (typeof value === 'string') return value.length;
    if (typeof value !== 'object' || value === null) return 8;
    return Object.values(value).reduce((sum, part) => sum + sizeOf(part), 0);
  };

  for (const method of ['add', 'put']) {
    const original = IDBObjectStore.prototype[method];
    IDBObjectStore.prototype[method] = function (value, ...key) {
      counted.bytes += sizeOf(value);
      counted.values += 1;
      return original.call(this, value, ...key);
    };
  }

  self.addEventListener('message', ({ data, ports }) => {
    if (data?.type === 'counted') ports[0].postMessage({ ok: true, value: { ...counted } });
  });
})();

"""The media store: uploads, downloads and thumbnails."""

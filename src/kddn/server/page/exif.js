// A JPEG's EXIF, put into another of the same picture that a canvas wrote, which has none.

const ORIENTATION = 0x0112;
const TIFF = 10; // where it begins in a segment
const EXIF = [0x45, 0x78, 0x69, 0x66, 0, 0];

/** A JPEG with the EXIF of another, which then says that the picture is upright. */
export async function withExif(written, original) {
  const segment = exifOf(new Uint8Array(await original.arrayBuffer()));
  if (!segment) return written;
  setUpright(segment);
  return new Blob([written.slice(0, 2), segment, written.slice(2)], { type: "image/jpeg" });
}

/** A JPEG's EXIF segment, with its marker and its length; null if it has none. */
function exifOf(bytes) {
  const view = new DataView(bytes.buffer);
  let at = 2;
  while (at + 10 < bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const end = at + 2 + view.getUint16(at + 2);
    if (bytes[at + 1] === 0xe1 && EXIF.every((byte, k) => bytes[at + 4 + k] === byte)) {
      return end <= bytes.length && end - at >= TIFF + 8 ? bytes.slice(at, end) : null;
    }
    at = end;
  }
  return null;
}

/** Sets the orientation right, for the pixels are upright now, and unlinks the old thumbnail. */
function setUpright(segment) {
  const tiff = new DataView(segment.buffer, TIFF);
  const little = tiff.getUint16(0) === 0x4949;
  const directory = tiff.getUint32(4, little);
  if (directory + 2 > tiff.byteLength) return;
  const count = tiff.getUint16(directory, little);
  const next = directory + 2 + 12 * count;
  if (next + 4 > tiff.byteLength) return;
  for (let entry = directory + 2; entry < next; entry += 12) {
    if (tiff.getUint16(entry, little) === ORIENTATION) tiff.setUint16(entry + 8, 1, little);
  }
  tiff.setUint32(next, 0, little);
}

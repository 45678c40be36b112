// A JPEG's EXIF, put into another of the same picture that a canvas wrote, which has none.

const ORIENTATION = 0x0112;
const CAMERA = 0x8769; // where the directory is that says the size
const [WIDTH, HEIGHT] = [0xa002, 0xa003];
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

/** Sets orientation and size right, for the pixels are upright now, and unlinks the old thumbnail. */
function setUpright(segment) {
  const tiff = new DataView(segment.buffer, TIFF);
  const little = tiff.getUint16(0) === 0x4949;
  const first = entries(tiff, tiff.getUint32(4, little), little);
  if (!first) return;
  const orientation = first.at.get(ORIENTATION);
  if (orientation && tiff.getUint16(orientation + 8, little) > 4 && first.at.has(CAMERA)) {
    const place = tiff.getUint32(first.at.get(CAMERA) + 8, little);
    const size = entries(tiff, place, little)?.at;
    if (size?.has(WIDTH) && size.has(HEIGHT)) swap(tiff, size.get(WIDTH), size.get(HEIGHT));
  }
  if (orientation) tiff.setUint16(orientation + 8, 1, little);
  tiff.setUint32(first.next, 0, little);
}

/** Where a directory's entries are, by tag, and what links the next one; null where it is cut off. */
function entries(tiff, directory, little) {
  if (directory + 2 > tiff.byteLength) return null;
  const next = directory + 2 + 12 * tiff.getUint16(directory, little);
  if (next + 4 > tiff.byteLength) return null;
  const at = new Map();
  for (let entry = directory + 2; entry < next; entry += 12) {
    at.set(tiff.getUint16(entry, little), entry);
  }
  return { at, next };
}

/** Swaps all of two entries but their tags. */
function swap(tiff, one, other) {
  for (let byte = 2; byte < 12; byte++) {
    const kept = tiff.getUint8(one + byte);
    tiff.setUint8(one + byte, tiff.getUint8(other + byte));
    tiff.setUint8(other + byte, kept);
  }
}

// A small copy of a picture to estimate haze in, of the same pixels as `kddn.dehazer.shrink` makes.

const BAND = 1 << 22; // pixels read at a time, so that memory does not grow with the picture
const UNIT = 1 << 22; // what weights are whole parts of, as Pillow has them

/** Width and height to work at, as `kddn.dehazer` chooses them. */
export function workingSize(width, height, { longest, stride }) {
  const fraction = Math.min(1, longest / Math.max(width, height));
  const side = (pixels) => Math.max(1, roundHalfToEven((pixels * fraction) / stride)) * stride;
  return { width: side(width), height: side(height) };
}

/**
 * A smaller copy, antialiased by area-wide bilinear weights. Colours that no one sees, behind full
 * transparency, have no say.
 *
 * @param {ImageBitmap} bitmap
 * @returns {Promise<ImageData>}
 */
export async function shrink(bitmap, { width, height }) {
  const narrow = new Uint8ClampedArray(bitmap.height * width * 4);
  const across = spans(bitmap.width, width);
  const rows = Math.max(1, Math.floor(BAND / bitmap.width));
  for (let top = 0; top < bitmap.height; top += rows) {
    const count = Math.min(rows, bitmap.height - top);
    const band = read(bitmap, top, count);
    for (let y = 0; y < count; y++) {
      resample(band, y * bitmap.width * 4, 4, across, narrow, (top + y) * width * 4, 4);
    }
    await pause(); // so that the page answers meanwhile
  }
  const small = new ImageData(width, height);
  const down = spans(bitmap.height, height);
  for (let x = 0; x < width; x++) {
    resample(narrow, x * 4, width * 4, down, small.data, x * 4, width * 4);
  }
  fillUnseen(small.data);
  return small;
}

function read(bitmap, top, count) {
  const canvas = new OffscreenCanvas(bitmap.width, count);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, -top);
  return context.getImageData(0, 0, bitmap.width, count).data;
}

function pause() {
  return new Promise((go) => setTimeout(go));
}

/** Of each output pixel: the first input pixel that counts, and the weights from there. */
function spans(inputs, outputs) {
  const step = inputs / outputs;
  const support = Math.max(step, 1);
  return Array.from({ length: outputs }, (_, place) => {
    const centre = (place + 0.5) * step;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(end - first);
    for (let k = 0; k < weights.length; k++) {
      weights[k] = Math.max(0, 1 - Math.abs(first + k - centre + 0.5) / support);
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((each) => Math.round((each / total) * UNIT) / UNIT) };
  });
}

/** One row or column of RGBA made smaller; `by` bytes lie between its pixels. */
function resample(source, from, by, places, target, to, targetBy) {
  for (const { first, weights } of places) {
    let red = 0, green = 0, blue = 0, unseen = 0;
    let at = from + first * by;
    for (const weight of weights) {
      if (source[at + 3] > 0) {
        red += weight * source[at];
        green += weight * source[at + 1];
        blue += weight * source[at + 2];
      } else {
        unseen += weight;
      }
      at += by;
    }
    const seen = 1 - unseen;
    if (seen > 1e-6) {
      target[to] = Math.floor(red / seen + 0.5);
      target[to + 1] = Math.floor(green / seen + 0.5);
      target[to + 2] = Math.floor(blue / seen + 0.5);
      target[to + 3] = 255;
    }
    to += targetBy;
  }
}

/** Gives pixels of which nothing is seen the mean colour of the others. */
function fillUnseen(data) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 0) continue;
    for (let channel = 0; channel < 3; channel++) sum[channel] += data[at + channel];
    count += 1;
  }
  if (count * 4 === data.length) return;
  const mean = sum.map((value) => value / Math.max(1, count));
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 0) data.set([...mean.map(Math.round), 255], at);
  }
}

/** As Python rounds. */
function roundHalfToEven(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

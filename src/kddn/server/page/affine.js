// The affine map, clear = scale * hazy + offset, as `kddn.affine` has it.
//
// A map is { width, height, scale, offset }; both are Float32Array, three numbers a place.

const RADIUS = 1;
const EPSILON = 1e-5;
const GRAY = 2.5; // by how much the channels of a gray picture may differ, of 255

/** Three channels of one or three. */
export function threeChannels(values, channels) {
  if (channels === 3) return values;
  return Float32Array.from({ length: values.length * 3 }, (_, at) => values[Math.floor(at / 3)]);
}

/**
 * The map from one picture to another: a guided filter.
 *
 * @param guide The hazy picture in [0, 1], three numbers a pixel.
 * @param target The clear one.
 */
export function fit(guide, target, width, height) {
  const mean = (x) => boxMean(x, width, height);
  const guideMean = mean(guide);
  const targetMean = mean(target);
  const product = mean(combine(guide, target, (g, t) => g * t));
  const square = mean(combine(guide, guide, (g) => g * g));
  const scale = new Float64Array(guide.length);
  for (let at = 0; at < scale.length; at++) {
    const covariance = product[at] - guideMean[at] * targetMean[at];
    const variance = square[at] - guideMean[at] * guideMean[at];
    scale[at] = covariance / (variance + EPSILON);
  }
  const offset = combine(targetMean, combine(scale, guideMean, (s, g) => s * g), (t, g) => t - g);
  const [smooth, smoothOffset] = [mean(scale), mean(offset)].map((x) => Float32Array.from(x));
  return { width, height, scale: smooth, offset: smoothOffset };
}

/** Whether a small picture has no colours, but for what rounding makes. */
export function isGray({ data }) {
  for (let at = 0; at < data.length; at += 4) {
    const channels = [data[at], data[at + 1], data[at + 2]];
    if (Math.max(...channels) - Math.min(...channels) > GRAY) return false;
  }
  return true;
}

/** The same map for all channels, so that gray stays gray. */
export function grayMap(map) {
  return { ...map, scale: meanOfChannels(map.scale), offset: meanOfChannels(map.offset) };
}

function meanOfChannels(values) {
  const mean = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += 3) {
    mean.fill((values[at] + values[at + 1] + values[at + 2]) / 3, at, at + 3);
  }
  return mean;
}

function combine(a, b, way) {
  return Float64Array.from(a, (value, at) => way(value, b[at]));
}

/** Mean over the square around each pixel, fewer at the border. */
function boxMean(x, width, height) {
  return meanAlong(meanAlong(x, width, height, 3, 3 * width), height, width, 3 * width, 3);
}

/** Mean along lines of `length` places, `step` apart; the lines themselves lie `between` apart. */
function meanAlong(x, length, lines, step, between) {
  const mean = new Float64Array(x.length);
  for (let line = 0; line < lines; line++) {
    for (let place = 0; place < length; place++) {
      const first = Math.max(0, place - RADIUS);
      const last = Math.min(length - 1, place + RADIUS);
      for (let channel = 0; channel < 3; channel++) {
        const start = line * between + channel;
        let sum = 0;
        for (let at = first; at <= last; at++) sum += x[start + at * step];
        mean[start + place * step] = sum / (last - first + 1);
      }
    }
  }
  return mean;
}

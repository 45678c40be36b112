// Runs networks beside the page, so that it answers meanwhile.

import * as ort from "./onnxruntime/ort.wasm.min.mjs";
import { fit, grayMap, isGray, threeChannels } from "./affine.js";

ort.env.wasm.wasmPaths = new URL("./onnxruntime/", import.meta.url).href;
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
ort.env.logLevel = "error";

// Models also keep weights as training had them, which the engine need not tell that it leaves out.
const QUIET = { logSeverityLevel: 3 };

const sessions = new Map();

self.onmessage = async ({ data: { number, url, output, small } }) => {
  try {
    const map = await estimate(await session(url), output, small);
    self.postMessage({ number, map });
  } catch (error) {
    self.postMessage({ number, error: `The network cannot be run: ${error.message ?? error}` });
  }
};

function session(url) {
  if (!sessions.has(url)) {
    const made = ort.InferenceSession.create(url, QUIET);
    made.catch(() => sessions.delete(url)); // the next picture tries again
    sessions.set(url, made);
  }
  return sessions.get(url);
}

/** As the estimators of `kddn.inference.estimators`. */
async function estimate(network, output, small) {
  const { width, height } = small;
  const { planes, hazy } = floats(small);
  const dims = [1, 3, height, width];
  const found = await network.run({ hazy: new ort.Tensor("float32", planes, dims) });
  const map =
    output === "affine"
      ? ownMap(found)
      : fit(hazy, interleaved(found.clear), width, height);
  return isGray(small) ? grayMap(map) : map;
}

function ownMap({ scale, offset }) {
  const [, , height, width] = scale.dims;
  const [scales, offsets] = [scale, offset].map((x) => threeChannels(interleaved(x), x.dims[1]));
  return { width, height, scale: scales, offset: offsets };
}

/** A picture in [0, 1], plane by plane as networks take it and pixel by pixel. */
function floats({ data, width, height }) {
  const count = width * height;
  const planes = new Float32Array(3 * count);
  const hazy = new Float32Array(3 * count);
  for (let at = 0; at < count; at++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = data[4 * at + channel] / 255;
      planes[channel * count + at] = hazy[3 * at + channel] = value;
    }
  }
  return { planes, hazy };
}

/** `1 c h w` as `h w c`. */
function interleaved({ data, dims: [, channels, height, width] }) {
  const count = height * width;
  const values = new Float32Array(channels * count);
  for (let channel = 0; channel < channels; channel++) {
    for (let at = 0; at < count; at++) {
      values[at * channels + channel] = data[channel * count + at];
    }
  }
  return values;
}

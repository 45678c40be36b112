// Haze estimated by this machine itself, in WebAssembly: no server, and no picture leaves.

import { paintWhole } from "./painter.js";
import { withExif } from "./exif.js";

const MODELS = new URL("./models/", import.meta.url);
const KINDS = ["image/jpeg", "image/webp"]; // that a canvas writes; others become PNG
const QUALITY = 0.95;

const worker = new Worker(new URL("./wasm-worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let asked = 0;

export const where = "Pictures stay on this machine: nothing is sent anywhere.";

export function setKey() {}

export async function models() {
  return (await fetch(new URL("models.json", MODELS))).json();
}

/** @param {ImageData} small At the model's working size. */
export async function estimate(small, model) {
  const { output } = (await models()).find(({ name }) => name === model);
  const url = new URL(`${model}.onnx`, MODELS).href;
  return new Promise((resolve, reject) => {
    asked += 1;
    waiting.set(asked, { resolve, reject });
    worker.postMessage({ number: asked, url, output, small });
  });
}

worker.onmessage = ({ data: { number, map, error } }) => {
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  if (error) reject(new Error(error));
  else resolve(map);
};

worker.onerror = () => {
  for (const { reject } of waiting.values()) reject(new Error("WebAssembly cannot run here."));
  waiting.clear();
};

/** The pixels as they are shown, written by the browser: a JPEG's EXIF stays, other metadata not. */
export async function finish(file, { strength }, seen) {
  const canvas = await seen((bitmap, map) => paintWhole(bitmap, map, strength));
  const type = KINDS.includes(file.type) ? file.type : "image/png";
  const written = await canvas.convertToBlob({ type, quality: QUALITY });
  const jpeg = type === "image/jpeg";
  const blob = jpeg ? await withExif(written, file) : written;
  const ending = type === file.type ? (/\.\w+$/.exec(file.name)?.[0] ?? "") : ".png";
  const name = `${file.name.replace(/\.\w+$/, "")}-dehazed${ending}`;
  return { blob, name, lost: `colour profile, XMP and captions${jpeg ? "" : ", EXIF"}, if any` };
}

export async function decode() {
  return null;
}

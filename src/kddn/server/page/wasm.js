// Haze estimated by this machine itself, in WebAssembly: no server, and no picture leaves.

import { paintWhole } from "./painter.js";
import { withExif } from "./exif.js";

const MODELS = new URL("./models/", import.meta.url);
const KINDS = ["image/jpeg", "image/webp"]; // that a canvas writes; others become PNG
const QUALITY = 0.95;

const worker = new Worker(new URL("./wasm-worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let asked = 0;
let broken = null;

export const where = "Pictures stay on this machine: nothing is sent anywhere.";

export function setKey() {}

export async function models() {
  return (await fetch(new URL("models.json", MODELS))).json();
}

/** @param {ImageData} small At the model's working size. */
export async function estimate(small, { name, output }) {
  const url = new URL(`${name}.onnx`, MODELS).href;
  return new Promise((resolve, reject) => {
    if (broken) throw broken;
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
  broken = new Error("WebAssembly cannot run here; load the page again, or use another browser.");
  for (const { reject } of waiting.values()) reject(broken);
  waiting.clear();
};

/** The pixels as they are shown, written by the browser: a JPEG's EXIF stays, other metadata not. */
export async function finish(file, { strength }, seen) {
  const canvas = await seen((bitmap, map) => paintWhole(bitmap, map, strength));
  const wanted = KINDS.includes(file.type) ? file.type : "image/png";
  const written = await canvas.convertToBlob({ type: wanted, quality: QUALITY });
  const { type } = written; // PNG, where the browser writes no other
  const jpeg = type === "image/jpeg";
  const blob = jpeg ? await withExif(written, file) : written;
  const ending = type === file.type ? (/\.\w+$/.exec(file.name)?.[0] ?? "") : ".png";
  const name = `${file.name.replace(/\.\w+$/, "")}-dehazed${ending}`;
  const more = jpeg ? "" : ", EXIF, further frames, more than 8 bits a channel";
  return { blob, name, lost: `colour profile, XMP and captions${more}, if any` };
}

export async function decode() {
  return null;
}

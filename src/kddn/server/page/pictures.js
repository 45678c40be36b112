// Pictures as the page holds them: files, opened when they are looked at.

import * as estimator from "./estimator.js";
import { UNTOUCHED } from "./painter.js";
import { shrink, workingSize } from "./shrink.js";

const THUMBNAIL = 96; // pixels high

/** What the browser makes of a file, upright; or what the estimator can make of it. */
export async function decode(file) {
  try {
    return await createImageBitmap(file, UNTOUCHED);
  } catch {
    const readable = await estimator.decode(file);
    if (readable) return createImageBitmap(readable, UNTOUCHED);
    throw new Error("this browser cannot read it; make it a JPEG or a PNG first");
  }
}

/** The affine map of a picture by a model. */
export async function estimate(bitmap, model) {
  const longest = model.working_size;
  const size = workingSize(bitmap.width, bitmap.height, { longest, stride: model.stride });
  return estimator.estimate(await shrink(bitmap, size), model);
}

/** A small canvas of a picture. */
export function thumbnail(bitmap) {
  const canvas = document.createElement("canvas");
  canvas.height = THUMBNAIL;
  canvas.width = Math.max(1, Math.round((THUMBNAIL * bitmap.width) / bitmap.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** Hands a file to the browser to be saved. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

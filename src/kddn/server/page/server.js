// Haze estimated by the server that the page comes from.

import { threeChannels } from "./affine.js";

const API = new URL("../v1/", import.meta.url);
let key = null;

export const where = "Pictures go to this server and nowhere else; it keeps none.";

export function setKey(given) {
  if (!/^[!-~]+$/.test(given)) {
    const error = new Error("A key has no blanks, and no letters beyond ASCII.");
    throw Object.assign(error, { status: 401 });
  }
  key = given;
}

export async function models() {
  return (await (await ask("models")).json()).models;
}

/** @param {ImageData} small At the model's working size. */
export async function estimate(small, { name: model }) {
  const canvas = new OffscreenCanvas(small.width, small.height);
  canvas.getContext("2d").putImageData(small, 0, 0);
  const body = await canvas.convertToBlob({ type: "image/png" });
  const map = await (await ask("map", { model }, body)).json();
  return {
    width: map.width,
    height: map.height,
    scale: coefficients(map.scale),
    offset: coefficients(map.offset),
  };
}

/** The whole file goes to the server, so that its metadata and its depth stay. */
export async function finish(file, { model, strength }) {
  const answer = await send(file, { model, strength });
  const said = answer.headers.get("Content-Disposition") ?? "";
  const name = decodeURIComponent(/filename\*=UTF-8''(\S+)/.exec(said)?.[1] ?? file.name);
  return { blob: await answer.blob(), name, lost: answer.headers.get("X-Kddn-Lost") ?? "" };
}

/** What the browser cannot read, the server can: strength 0 changes nothing. */
export async function decode(file) {
  return (await send(file, { strength: 0, format: "png" })).blob();
}

async function send(file, query) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Error("The file cannot be read: it was changed or moved since, or is a folder.");
  });
  const form = new FormData();
  form.append("picture", file, file.name);
  return ask("dehaze", query, form);
}

async function ask(path, query = {}, body = null) {
  const url = new URL(path, API);
  url.search = new URLSearchParams(query);
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const method = body ? "POST" : "GET";
  const answer = await fetch(url, { method, body, headers }).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  if (answer.ok) return answer;
  throw Object.assign(new Error(await problem(answer)), { status: answer.status });
}

/** Cause and remedy of what the server refused, in one sentence. */
async function problem(answer) {
  const { detail, remedy } = await answer.json().catch(() => ({}));
  return detail ? `${detail}; ${remedy}` : `The server answered ${answer.status}.`;
}

function coefficients({ channels, values }) {
  const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
  return threeChannels(new Float32Array(bytes.buffer), channels);
}

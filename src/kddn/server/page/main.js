// The page: what is pressed, dropped and pasted, and what becomes of it.

import * as estimator from "./estimator.js";
import { decode, estimate, save, thumbnail } from "./pictures.js";
import { View } from "./view.js";

const at = (id) => document.getElementById(id);

/** Each of { file, button, maps }; only the one that is looked at has its pixels in memory. */
const pictures = [];
let current = null;
let bitmap = null;
let models = [];
let view = null;
let busy = Promise.resolve();

/** Does one thing after another, and tells what goes wrong. */
function inTurn(work) {
  busy = busy.then(work).catch(tell);
  return busy;
}

function tell(error) {
  at("status").textContent = "";
  at("error").textContent = error.message;
  at("key").hidden = error.status !== 401;
  if (error.status === 401) at("key").querySelector("input").focus();
}

function say(text) {
  at("status").textContent = text;
  at("error").textContent = "";
}

async function start() {
  at("where").textContent = estimator.where;
  models = await estimator.models();
  at("key").hidden = true;
  say("");
  at("model").replaceChildren(...models.map(({ name }) => new Option(name)));
  explainModel();
}

function explainModel() {
  at("model").title = models.find(({ name }) => name === at("model").value).summary;
}

/** Takes files in, and shows the first of them. */
function add(files) {
  for (const file of files) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = button.ariaLabel = file.name;
    const picture = { file, button, maps: new Map() };
    button.addEventListener("click", () => inTurn(() => show(picture)));
    pictures.push(picture);
    const first = file === files[0];
    inTurn(() => (first ? show(picture) : outline(picture)).catch((error) => remove(picture, error)));
  }
}

/** A picture's button, once it is known that it can be read. */
async function outline(picture, decoded = null) {
  const pixels = decoded ?? (await decode(picture.file));
  picture.button.replaceChildren(thumbnail(pixels));
  if (!picture.button.isConnected) at("pictures").append(picture.button);
  at("all").hidden = pictures.length < 2;
  if (!decoded) pixels.close();
}

function remove(picture, error) {
  pictures.splice(pictures.indexOf(picture), 1);
  picture.button.remove();
  at("all").hidden = pictures.length < 2;
  throw named(picture, error);
}

function named(picture, error) {
  return Object.assign(new Error(`${picture.file.name}: ${error.message}`), { status: error.status });
}

/** Shows a picture: before first, and after as soon as its map is there. */
async function show(picture) {
  say(`Opening ${picture.file.name} ...`);
  const pixels = await decode(picture.file);
  const map = await mapOf(picture, pixels);
  bitmap?.close();
  [current, bitmap] = [picture, pixels];
  at("drop").hidden = true;
  at("work").hidden = false;
  await outline(picture, pixels);
  for (const other of pictures) other.button.ariaPressed = String(other === picture);
  view ??= new View(at("view"), (split) => (at("split").value = split));
  await view.show(pixels, map);
  view.set(settings());
  saySize();
}

function saySize() {
  say(`${current.file.name}, ${bitmap.width} x ${bitmap.height} pixels`);
}

/** The map of a picture by the chosen model, estimated once. */
async function mapOf(picture, pixels) {
  const name = at("model").value;
  if (!picture.maps.has(name)) {
    say(`Estimating the haze in ${picture.file.name} ...`);
    const model = models.find((each) => each.name === name);
    if (!model) throw new Error("There is no model; load the page again.");
    picture.maps.set(name, await estimate(pixels, model));
  }
  return picture.maps.get(name);
}

async function chooseModel() {
  explainModel();
  if (!current) return;
  view.setMap(await mapOf(current, bitmap));
  saySize();
}

function settings() {
  at("told").value = Number(at("strength").value).toFixed(2);
  return {
    strength: Number(at("strength").value),
    split: Number(at("split").value),
    whole: at("zoom").ariaPressed === "true",
  };
}

/** Saves a picture made clear, as a file like its own. */
async function download(picture) {
  say(`Writing ${picture.file.name} ...`);
  const how = { model: at("model").value, strength: Number(at("strength").value) };
  const seen = (work) => withPixels(picture, work);
  const { blob, name, lost } = await estimator.finish(picture.file, how, seen);
  save(blob, name);
  say(lost ? `${name} is saved, without: ${lost}` : `${name} is saved`);
}

/** Hands a picture's pixels and map to what needs them. */
async function withPixels(picture, work) {
  const pixels = picture === current ? bitmap : await decode(picture.file);
  try {
    return await work(pixels, await mapOf(picture, pixels));
  } finally {
    if (pixels !== bitmap) pixels.close();
  }
}

/** Saves all that can be, and then tells what went wrong with others. */
async function downloadAll() {
  const problems = [];
  for (const picture of [...pictures]) {
    await download(picture).catch((error) => problems.push(named(picture, error)));
  }
  if (problems.length) {
    const message = problems.map((error) => error.message).join(" ");
    throw Object.assign(problems[0], { message });
  }
}

function wire() {
  const choose = () => at("file").click();
  at("choose").addEventListener("click", choose);
  at("more").addEventListener("click", choose);
  at("file").addEventListener("change", () => {
    add([...at("file").files]);
    at("file").value = "";
  });
  at("strength").addEventListener("input", () => view?.set(settings()));
  at("split").addEventListener("input", () => view?.set(settings()));
  at("zoom").addEventListener("click", () => {
    at("zoom").ariaPressed = String(at("zoom").ariaPressed !== "true");
    view?.set(settings());
  });
  at("model").addEventListener("change", () => inTurn(chooseModel));
  at("download").addEventListener("click", () => inTurn(() => download(current)));
  at("all").addEventListener("click", () => inTurn(downloadAll));
  at("key").addEventListener("submit", (event) => {
    event.preventDefault();
    estimator.setKey(at("key").querySelector("input").value);
    inTurn(start);
  });
  document.addEventListener("paste", (event) => add([...event.clipboardData.files]));
  document.addEventListener("dragover", (event) => hover(event, true));
  document.addEventListener("dragleave", (event) => hover(event, false));
  document.addEventListener("drop", (event) => {
    hover(event, false);
    add([...event.dataTransfer.files]);
  });
}

function hover(event, over) {
  event.preventDefault();
  document.body.classList.toggle("over", over);
}

wire();
inTurn(start);

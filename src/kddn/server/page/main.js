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
let chosen = ""; // the model whose map is seen
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
  if (error.status !== 401) return;
  at("key").hidden = false;
  at("key").querySelector("input").focus();
}

function say(text) {
  at("status").textContent = text;
  at("error").textContent = "";
}

async function start() {
  at("where").textContent = estimator.where;
  models = await estimator.models();
  const asked = at("key").contains(document.activeElement);
  at("key").hidden = true;
  if (asked) at(current ? "view" : "choose").focus();
  say("");
  at("model").replaceChildren(...models.map(({ name }) => new Option(name)));
  if (models.some(({ name }) => name === chosen)) at("model").value = chosen;
  explainModel();
}

function explainModel() {
  at("model").title = models.find(({ name }) => name === at("model").value).summary;
}

/** Takes files in, and shows the first of them that can be read. */
function add(files) {
  const added = files.map((file) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = button.ariaLabel = file.name;
    const picture = { file, button, maps: new Map() };
    button.addEventListener("click", () => inTurn(() => show(picture)));
    pictures.push(picture);
    return picture;
  });
  inTurn(() => openAll(added));
}

async function openAll(added) {
  const problems = [];
  for (const picture of added) {
    const open = picture === added[0] || !current ? show : outline;
    await open(picture).catch((error) => {
      remove(picture);
      problems.push(named(picture, error));
    });
  }
  raise(problems);
}

/** A picture's button, once it is known that it can be read. */
async function outline(picture, decoded = null) {
  const pixels = decoded ?? (await decode(picture.file));
  picture.button.replaceChildren(thumbnail(pixels));
  if (!picture.button.isConnected) at("pictures").append(picture.button);
  at("all").hidden = pictures.length < 2;
  if (!decoded) pixels.close();
}

function remove(picture) {
  pictures.splice(pictures.indexOf(picture), 1);
  picture.button.remove();
  at("all").hidden = pictures.length < 2;
}

function named(picture, error) {
  const message = `${picture.file.name}: ${error.message}`;
  return Object.assign(new Error(message), { status: error.status });
}

/** Tells of all that went wrong at once. */
function raise(problems) {
  if (!problems.length) return;
  const message = problems.map((error) => error.message).join(" ");
  throw Object.assign(problems[0], { message });
}

/** Shows a picture: before first, and after as soon as its map is there. */
async function show(picture) {
  say(`Opening ${picture.file.name} ...`);
  const [pixels, model] = [await decode(picture.file), at("model").value];
  const map = await mapOf(picture, pixels, model).catch((error) => {
    pixels.close();
    throw error;
  });
  bitmap?.close();
  [current, bitmap, chosen] = [picture, pixels, model];
  const hidden = at("drop").contains(document.activeElement);
  at("drop").hidden = true;
  at("work").hidden = false;
  if (hidden) at("view").focus();
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

/** The map of a picture by a model, estimated once. */
async function mapOf(picture, pixels, name) {
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
  const name = at("model").value;
  const map = await mapOf(current, bitmap, name).catch((error) => {
    at("model").value = chosen; // what is seen, and what would be saved
    explainModel();
    throw error;
  });
  chosen = name;
  view.setMap(map);
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

/** What is asked for at the moment. */
function how() {
  return { model: at("model").value, strength: Number(at("strength").value) };
}

/** Saves a picture made clear, as a file like its own. */
async function download(picture, how) {
  say(`Writing ${picture.file.name} ...`);
  const seen = (work) => withPixels(picture, how.model, work);
  const { blob, name, lost } = await estimator.finish(picture.file, how, seen);
  save(blob, name);
  say(lost ? `${name} is saved, without: ${lost}` : `${name} is saved`);
}

/** Hands a picture's pixels and map to what needs them. */
async function withPixels(picture, model, work) {
  const pixels = picture === current ? bitmap : await decode(picture.file);
  try {
    return await work(pixels, await mapOf(picture, pixels, model));
  } finally {
    if (pixels !== bitmap) pixels.close();
  }
}

/** Saves all that can be, and then tells what went wrong with others. */
async function downloadAll(how) {
  const problems = [];
  for (const picture of [...pictures]) {
    await download(picture, how).catch((error) => problems.push(named(picture, error)));
  }
  raise(problems);
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
  at("download").addEventListener("click", () => {
    const [picture, asked] = [current, how()];
    inTurn(() => download(picture, asked));
  });
  at("all").addEventListener("click", () => {
    const asked = how();
    inTurn(() => downloadAll(asked));
  });
  at("key").addEventListener("submit", (event) => {
    event.preventDefault();
    inTurn(() => {
      estimator.setKey(at("key").querySelector("input").value);
      return start();
    });
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

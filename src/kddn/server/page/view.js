// What is seen of a picture: all of it or at 100%, before left of a line and after right of it.

import { Painter } from "./painter.js";

const NEAR = 24; // how near the line a finger must be to take it, in the screen's units
const LINE = 2;
const STEP = 60; // of the arrow keys

export class View {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param onSplit Called with where the line was moved to, from 0 to 1.
   */
  constructor(canvas, onSplit) {
    Object.assign(this, { canvas, onSplit, strength: 1, split: 0.5, whole: false });
    this.painter = new Painter(canvas);
    this.size = null;
    this.centre = [0, 0];
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.take(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault()); // to be restored
    canvas.addEventListener("webglcontextrestored", () => this.restore());
  }

  async show(bitmap, map) {
    this.bitmap = bitmap;
    this.size = [bitmap.width, bitmap.height];
    this.centre = this.size.map((side) => side / 2);
    await this.painter.setPicture(bitmap);
    this.setMap(map);
  }

  setMap(map) {
    this.map = map;
    this.painter.setMap(map);
    this.draw();
  }

  /** Graphics cards forget what they were given: after sleep, or when their driver starts anew. */
  async restore() {
    this.painter = new Painter(this.canvas);
    if (this.size === null) return;
    await this.painter.setPicture(this.bitmap);
    this.setMap(this.map);
  }

  set(changes) {
    Object.assign(this, changes);
    this.canvas.classList.toggle("whole", this.whole);
    this.draw();
  }

  /** Draws before the next frame, once, however often it is asked to. */
  draw() {
    if (this.size === null || this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.drawNow();
    });
  }

  drawNow() {
    const { canvas } = this;
    const dots = devicePixelRatio;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * dots));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * dots));
    const { corner, across, left, right } = this.geometry();
    const split = left + this.split * (right - left);
    const line = this.split > 0 && this.split < 1 ? LINE * dots : 0;
    this.painter.draw({ corner, across, strength: this.strength, split, line });
  }

  /** Where the picture lies in the canvas, in the canvas's pixels. */
  geometry() {
    const shown = [this.canvas.width, this.canvas.height];
    const fit = Math.max(...this.size.map((side, k) => side / shown[k]));
    const across = this.whole ? 1 : Math.max(fit, 1 / devicePixelRatio);
    this.centre = this.centre.map((at, k) => held(at, (shown[k] * across) / 2, this.size[k]));
    const corner = this.centre.map((at, k) => Math.round(at - (shown[k] * across) / 2));
    const left = Math.max(0, -corner[0] / across);
    const right = Math.min(shown[0], (this.size[0] - corner[0]) / across);
    return { corner, across, left, right };
  }

  /** A pointer takes the line, or at 100%, away from it, the picture. */
  take(event) {
    if (this.size === null || event.button !== 0) return;
    const { left, right, across } = this.geometry();
    const dots = devicePixelRatio;
    const line = (left + this.split * (right - left)) / dots;
    const moveLine = ({ offsetX }) =>
      this.moveSplit((offsetX * dots - left) / Math.max(1, right - left));
    const movePicture = ({ movementX, movementY }) =>
      this.move(-movementX * dots * across, -movementY * dots * across);
    const pans = this.whole && Math.abs(event.offsetX - line) > NEAR;
    const follow = pans ? movePicture : moveLine;
    if (!pans) moveLine(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener("pointermove", follow);
    const letGo = () => this.canvas.removeEventListener("pointermove", follow);
    this.canvas.addEventListener("lostpointercapture", letGo, { once: true });
  }

  key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (!way || this.size === null) return;
    event.preventDefault();
    if (this.whole) this.move(way[0] * STEP, way[1] * STEP);
    else this.moveSplit(this.split + 0.02 * way[0]);
  }

  move(right, down) {
    this.centre = [this.centre[0] + right, this.centre[1] + down];
    this.draw();
  }

  moveSplit(split) {
    this.split = Math.min(1, Math.max(0, split));
    this.onSplit(this.split);
    this.draw();
  }
}

/** A centre such that the picture fills the view, or lies in the middle of it. */
function held(centre, half, side) {
  return half * 2 >= side ? side / 2 : Math.min(side - half, Math.max(half, centre));
}

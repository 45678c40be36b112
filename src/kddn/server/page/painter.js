// Draws a picture with its affine map applied, by WebGL2: strength and zoom cost nothing.

const TILE = 2048; // pixels, of what is drawn at a time when a whole picture is wanted

const CORNERS = `#version 300 es
void main() {
  gl_Position = vec4(vec2(gl_VertexID % 2, gl_VertexID / 2) * 4.0 - 1.0, 0.0, 1.0);
}`;

const COLOURS = `#version 300 es
precision highp float;
precision highp sampler2D;

uniform sampler2D picture;
uniform sampler2D scales;
uniform sampler2D offsets;
uniform vec2 size;      // of the picture, in its pixels
uniform vec4 piece;     // what of it the texture holds: left, top, width, height
uniform vec2 corner;    // where the view begins, in the picture's pixels
uniform vec2 view;      // the view's size, in its own pixels
uniform float across;   // pixels of the picture in one of the view
uniform float strength;
uniform float split;    // in the view's pixels: before to the left of it, after to the right
uniform float line;     // how wide what is drawn there is
out vec4 colour;

// Bilinear between the centres of the map's places, as kddn.affine does it; graphics cards need not
// filter floats.
vec3 between(sampler2D values, vec2 place) {
  ivec2 last = textureSize(values, 0) - 1;
  vec2 centre = clamp(place * vec2(last + 1) - 0.5, vec2(0.0), vec2(last));
  ivec2 before = ivec2(floor(centre));
  ivec2 after = min(before + 1, last);
  vec2 fraction = centre - vec2(before);
  vec3 upper = mix(texelFetch(values, before, 0).rgb,
                   texelFetch(values, ivec2(after.x, before.y), 0).rgb, fraction.x);
  vec3 lower = mix(texelFetch(values, ivec2(before.x, after.y), 0).rgb,
                   texelFetch(values, after, 0).rgb, fraction.x);
  return mix(upper, lower, fraction.y);
}

void main() {
  vec2 here = vec2(gl_FragCoord.x, view.y - gl_FragCoord.y);
  vec2 pixel = corner + here * across;
  vec4 hazy = texture(picture, (pixel - piece.xy) / piece.zw);
  vec2 place = pixel / size;
  vec3 scale = 1.0 + strength * (between(scales, place) - 1.0);
  vec3 clear = scale * hazy.rgb + strength * between(offsets, place);
  bool outside = any(lessThan(pixel, vec2(0.0))) || any(greaterThan(pixel, size));
  float away = abs(here.x - split);
  if (outside) colour = vec4(0.0);
  else if (away < line) colour = vec4(away < 0.5 * line ? vec3(1.0) : vec3(0.0), 1.0);
  else colour = vec4(here.x < split ? hazy.rgb : clamp(clear, 0.0, 1.0), hazy.a);
}`;

export class Painter {
  /** @param {HTMLCanvasElement | OffscreenCanvas} canvas What is drawn on. */
  constructor(canvas) {
    this.canvas = canvas;
    const options = { premultipliedAlpha: false, antialias: false, preserveDrawingBuffer: true };
    const gl = (this.gl = canvas.getContext("webgl2", options));
    if (!gl) throw new Error("This browser has no WebGL2; use a newer one, or the kddn command.");
    this.program = link(gl);
    gl.useProgram(this.program);
    this.textures = ["picture", "scales", "offsets"].map((name, unit) => {
      gl.uniform1i(gl.getUniformLocation(this.program, name), unit);
      return gl.createTexture();
    });
    this.largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
  }

  /** Take a picture: whole, or smaller if it is larger than the graphics card can hold. */
  async setPicture(bitmap) {
    this.size = [bitmap.width, bitmap.height];
    const fraction = Math.min(1, this.largest / Math.max(...this.size));
    const [resizeWidth, resizeHeight] = this.size.map((side) => Math.round(side * fraction));
    const resizeQuality = "high";
    const shown =
      fraction < 1
        ? await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality })
        : bitmap;
    this.upload(shown);
    const gl = this.gl;
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  }

  upload(bitmap) {
    const gl = this.gl;
    this.use(0, gl.LINEAR);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  }

  setMap({ width, height, scale, offset }) {
    const gl = this.gl;
    [scale, offset].forEach((values, which) => {
      this.use(1 + which, gl.NEAREST);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB32F, width, height, 0, gl.RGB, gl.FLOAT, values);
    });
  }

  use(unit, filter) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[unit]);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  /**
   * Draw what a view shows.
   *
   * @param corner Where it begins, in the picture's pixels.
   * @param across Pixels of the picture in one of the canvas.
   * @param strength From 0 (as it was) over 1 (the map) to 1.5.
   * @param split Where the picture begins to be clear, in the canvas's pixels from its left.
   * @param line How wide the line is that is drawn there.
   */
  draw({ corner, across, strength, split = 0, line = 0, piece = [0, 0, ...this.size] }) {
    const { gl, canvas } = this;
    const place = (name) => gl.getUniformLocation(this.program, name);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.uniform2f(place("size"), ...this.size);
    gl.uniform4f(place("piece"), ...piece);
    gl.uniform2f(place("corner"), ...corner);
    gl.uniform2f(place("view"), canvas.width, canvas.height);
    gl.uniform1f(place("across"), across);
    gl.uniform1f(place("strength"), strength);
    gl.uniform1f(place("split"), split);
    gl.uniform1f(place("line"), line);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

/**
 * A whole picture, every pixel of its own, made clear.
 *
 * @param {ImageBitmap} bitmap
 * @returns {Promise<OffscreenCanvas>}
 */
export async function paintWhole(bitmap, map, strength) {
  const whole = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = whole.getContext("2d");
  const painter = new Painter(new OffscreenCanvas(1, 1));
  painter.size = [bitmap.width, bitmap.height];
  painter.setMap(map);
  for (let top = 0; top < bitmap.height; top += TILE) {
    for (let left = 0; left < bitmap.width; left += TILE) {
      const width = Math.min(TILE, bitmap.width - left);
      const height = Math.min(TILE, bitmap.height - top);
      const tile = await createImageBitmap(bitmap, left, top, width, height, UNTOUCHED);
      Object.assign(painter.canvas, { width, height });
      painter.upload(tile);
      const piece = [left, top, width, height];
      painter.draw({ corner: [left, top], across: 1, strength, piece });
      context.drawImage(painter.canvas, left, top);
      tile.close();
    }
  }
  const { gl } = painter;
  if (gl.isContextLost() || gl.getError() !== gl.NO_ERROR) {
    throw new Error("the graphics card has no room for it; close other pages and try again");
  }
  gl.getExtension("WEBGL_lose_context")?.loseContext(); // browsers allow only a few
  return whole;
}

/** How pictures are taken from what holds them: colours stay what they are under transparency. */
export const UNTOUCHED = { premultiplyAlpha: "none" };

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, COLOURS]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`The shader cannot be built: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}

// What estimates haze: a server, or WebAssembly on a page that has none, which `make page` puts here.
//
// Either gives
//   where                          where pictures go, in one sentence
//   models()                       the models, as /v1/models lists them, the default first
//   estimate(small, model)         the affine map of a small picture, an ImageData
//   finish(picture, how)           the file to download: { blob, name, lost }
//   decode(file)                   a picture that the browser cannot read itself, as a Blob; or null
//   setKey(key)                    what the server asks for

export * from "./server.js";

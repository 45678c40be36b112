"""Put together the page that needs no server: a folder that anyone can host.

    python web/assemble.py build/page

It needs kddn, and what `npm ci` puts into web/node_modules.
"""

import json
import shutil
import sys
from pathlib import Path

from kddn.inference.models import DEFAULT, Model, list_models

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "src/kddn/server/page"
RUNTIME = ROOT / "web/node_modules/onnxruntime-web/dist"
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)


def assemble(folder: Path) -> None:
    """Write the page, the networks and what runs them into a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PAGE, folder)
    (folder / "server.js").unlink()
    (folder / "estimator.js").write_text('export * from "./wasm.js";\n')
    for name in RUNTIME_FILES:
        copy(RUNTIME / name, folder / "onnxruntime")
    networks = [model for model in list_models() if model.path]
    for model in networks:
        copy(model.path, folder / "models")
    cards = json.dumps([card(model) for model in networks], indent=1)
    (folder / "models" / "models.json").write_text(cards + "\n")


def copy(file: Path | None, folder: Path) -> None:
    """Put a file into a folder."""
    assert file is not None
    folder.mkdir(exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def card(model: Model) -> dict[str, object]:
    """What the page knows of a model, as /v1/models of a server says it."""
    return {
        "name": model.name,
        "summary": model.summary,
        "output": model.output,
        "working_size": model.working_size,
        "stride": model.stride,
        "default": model.name == DEFAULT,
    }


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))

"""Seconds from a chosen file to its first view made clear, in Chromium, with a server and without.

    python benchmarks/page.py

Graphics are computed by the CPU here (SwiftShader). The first picture pays for what is loaded once.
"""

import base64
import io
import sys
import tempfile
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "web"), str(ROOT / "tests" / "web")]

from assemble import assemble  # noqa: E402

from conftest import OPTIONS, Quiet, serving  # noqa: E402

MEASURE = """
const [letters, name, done] = arguments;
const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], name, { type: "image/jpeg" }));
const status = document.getElementById("status");
const began = performance.now();
new MutationObserver((_, observer) => {
  if (!status.textContent.startsWith(`${name}, `)) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
}).observe(status, { childList: true });
document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
"""


def picture(width: int, height: int) -> str:
    """The demo's photograph at a size, as JPEG in base64."""
    buffer = io.BytesIO()
    with Image.open(ROOT / "demo" / "aitzgorri.jpg") as image:
        image.resize((width, height)).save(buffer, "JPEG", quality=92)
    return base64.b64encode(buffer.getvalue()).decode()


def measure(address: str, what: str) -> None:
    """Print the times on one page."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in OPTIONS:
        options.add_argument(option)
    browser = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    try:
        browser.set_script_timeout(300)
        browser.get(address)
        for size in ((4000, 3000), (8000, 6000)):
            letters = picture(*size)
            times = [
                browser.execute_async_script(MEASURE, letters, f"{size[0]}-{k}.jpg")
                for k in range(3)
            ]
            told = ", ".join(f"{seconds:.1f} s" for seconds in times)
            print(f"{what}, {size[0] * size[1] / 1e6:.0f} Mpx: {told}", flush=True)
    finally:
        browser.quit()


def main() -> None:
    """Measure both pages."""
    with serving() as address:
        measure(address, "with a server")
    with tempfile.TemporaryDirectory() as folder:
        assemble(Path(folder) / "page")
        handler = partial(Quiet, directory=Path(folder) / "page")
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        measure(f"http://127.0.0.1:{server.server_port}/", "without one")
        server.shutdown()


if __name__ == "__main__":
    main()

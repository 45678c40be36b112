"""What people do with the page, with a server and without."""

import base64
import io
import json
import time

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from helpers import DEMO, hazy_photograph
from kddn import Dehazer
from kddn.dehazer import shrink
from kddn.inference.models import find_model

pytestmark = [pytest.mark.web, pytest.mark.slow]

SECONDS = 60
"""How long anything may take here."""


class Page:
    """The page in the browser."""

    def __init__(self, browser, address, downloads):
        self.browser, self.address, self.downloads = browser, address, downloads
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(address)

    def ready(self):
        self.until(lambda: self.script("return document.getElementById('model').length > 0"))

    def at(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.at(name).text

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def run(self, text, *arguments):
        """What an asynchronous script, which may import the page's modules, gives back."""
        body = "const done = arguments[arguments.length - 1]; const given = arguments;"
        failed = "error => done({error: String(error)})"
        found = self.browser.execute_async_script(
            f"{body} (async () => {{ {text} }})().then(value => done({{value}}), {failed});",
            *arguments,
        )
        assert "error" not in found, found["error"]
        return found["value"]

    def until(self, condition):
        end = time.monotonic() + SECONDS
        while not (found := condition()):
            assert time.monotonic() < end, (self.text("status"), self.text("error"))
            time.sleep(0.02)
        return found

    def choose(self, *files):
        self.at("file").send_keys("\n".join(map(str, files)))

    def shown(self, name):
        """Wait until a picture is shown."""
        self.until(lambda: self.text("status").startswith(f"{name}, ") or self.text("error"))
        assert self.text("error") == ""

    def saved(self, name):
        """The bytes of a file, once it is downloaded."""
        self.until(lambda: self.text("status").startswith(f"{name} is saved") or self.text("error"))
        assert self.text("error") == ""
        return self.saved_file(name)

    def saved_file(self, name):
        path = self.downloads / name
        self.until(path.exists)
        content = path.read_bytes()
        path.unlink()
        return content

    def view(self):
        """What is seen, `h w 3`."""
        png = self.run(
            """await new Promise(requestAnimationFrame);
            return document.getElementById("view").toDataURL().split(",")[1];"""
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"))[
            ..., :3
        ].astype(int)

    def slide(self, name, value):
        self.script(
            """const slider = document.getElementById(arguments[0]);
            slider.value = arguments[1];
            slider.dispatchEvent(new Event("input"));""",
            name,
            value,
        )

    def complaints(self):
        """What the browser says went wrong."""
        return [each["message"] for each in self.browser.get_log("browser")]

    def hosts(self):
        """Whom the page has asked anything."""
        found = set()
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if url.startswith("http"):
                    found.add(url.split("/")[2])
        return found


@pytest.fixture(params=["served", "static"])
def page(request, browser, downloads):
    page = Page(browser, request.getfixturevalue(request.param), downloads)
    page.ready()
    page.is_served = request.param == "served"
    return page


@pytest.fixture
def picture(tmp_path):
    """A hazy JPEG with EXIF that says that it is to be turned, and XMP."""
    path = tmp_path / "a photo 山.jpg"
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0xA002: 900, 0xA003: 600})
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>it</x:xmpmeta>"
    hazy_photograph(900, 600).save(path, quality=92, exif=exif, xmp=xmp, dpi=(300, 300))
    return path


def test_a_picture_is_shown_before_and_after(page, picture):
    page.choose(picture)
    page.shown(picture.name)
    assert page.text("status").endswith("600 x 900 pixels")  # upright
    page.slide("split", 1)
    before = page.view()
    page.slide("split", 0)
    after = page.view()
    assert np.abs(after - before).mean() > 3
    page.slide("strength", 0)
    assert np.abs(page.view() - before).max() <= 1
    page.slide("strength", 0.5)
    half = np.abs(page.view() - (before + after) / 2)
    assert np.percentile(half, 95) < 2  # but where white or black cuts it off
    page.slide("strength", 1)
    page.slide("split", 0.5)
    both = page.view()
    middle = both.shape[1] // 2
    np.testing.assert_array_equal(both[:, : middle - 5], before[:, : middle - 5])
    np.testing.assert_array_equal(both[:, middle + 5 :], after[:, middle + 5 :])
    assert page.complaints() == []
    assert page.hosts() == {page.address.split("/")[2]}


def test_what_is_downloaded_keeps_name_format_and_metadata(page, picture):
    page.choose(picture)
    page.shown(picture.name)
    page.at("download").click()
    content = page.saved(f"{picture.stem}-dehazed.jpg")
    expected = Dehazer().encoded(picture.read_bytes())
    image, theirs = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(expected))
    assert (image.format, image.size) == ("JPEG", (600, 900))
    exif = image.getexif()
    assert exif[0x010F] == "Camera"
    assert exif.get(0x0112, 1) == 1
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert [exif.get_ifd(0x8769)[tag] for tag in (0xA002, 0xA003)] == [600, 900]
    if page.is_served:
        assert content == expected
    else:
        assert np.abs(np.asarray(image, int) - np.asarray(theirs, int)).mean() < 3  # two JPEGs
        assert "without: colour profile, XMP" in page.text("status")


def test_several_pictures_are_all_saved(page, tmp_path):
    names = ["one.png", "two.png"]
    for name, width in zip(names, (500, 400), strict=True):
        hazy_photograph(width, 350).save(tmp_path / name)
    page.choose(*(tmp_path / name for name in names))
    page.shown("one.png")
    page.until(lambda: page.at("all").is_displayed())
    page.at("all").click()
    page.until(lambda: page.text("status").startswith("two-dehazed.png is saved"))
    for name, width in zip(("one-dehazed.png", "two-dehazed.png"), (500, 400), strict=True):
        assert Image.open(io.BytesIO(page.saved_file(name))).size == (width, 350)
    page.browser.find_element(By.CSS_SELECTOR, "#pictures button[title='two.png']").click()
    page.shown("two.png")


def test_what_cannot_be_saved_keeps_no_other_from_it(page, tmp_path):
    if not page.is_served:
        pytest.skip("without a server, nothing is refused")
    for name in ("one.png", "two.png"):
        hazy_photograph(500, 350).save(tmp_path / name)
    page.choose(tmp_path / "one.png", tmp_path / "two.png")
    page.shown("one.png")
    page.until(lambda: page.at("all").is_displayed())
    page.browser.execute_script(
        """const ask = window.fetch;
        window.fetch = (url, how) => how?.body?.get?.("picture").name === "one.png"
            ? Promise.resolve(new Response("{}", { status: 503 })) : ask(url, how);"""
    )
    page.at("all").click()
    page.until(lambda: page.text("error"))
    assert page.text("error") == "one.png: The server answered 503."
    assert Image.open(io.BytesIO(page.saved_file("two-dehazed.png"))).size == (500, 350)
    maps = page.browser.execute_script(
        "return performance.getEntriesByType('resource').filter((e) => e.name.includes('/map'))"
    )
    assert len(maps) == 1  # of the one that is shown: the server estimates for itself


def test_another_model_makes_another_picture(page, picture):
    page.choose(picture)
    page.shown(picture.name)
    page.slide("split", 0)
    before = page.view()
    page.at("model").send_keys("kddn-indoor")
    page.until(lambda: np.abs(page.view() - before).mean() > 1)
    assert page.text("error") == ""


def test_what_is_no_picture_is_told_and_the_rest_goes_on(page, picture, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    page.choose(broken)
    page.until(lambda: page.text("error"))
    assert page.text("error").startswith("broken.jpg: ")
    assert page.at("drop").is_displayed()
    page.choose(broken, picture)
    page.until(lambda: page.text("error"))
    page.until(lambda: page.at("work").is_displayed())
    assert page.text("error").startswith("broken.jpg: ")
    assert not page.at("pictures").is_displayed()  # one alone


def test_a_key_is_asked_for(browser, downloads, locked, picture):
    page = Page(browser, locked, downloads)
    page.until(lambda: page.at("key").is_displayed())
    assert "key" in page.text("error")
    page.choose(picture)
    page.until(lambda: picture.name in page.text("error"))
    assert page.at("key").is_displayed()  # what goes wrong meanwhile takes it not away
    page.at("key").find_element("tag name", "input").send_keys("g\u00e9heim", Keys.ENTER)
    page.until(lambda: "ASCII" in page.text("error"))
    field = page.at("key").find_element("tag name", "input")
    field.clear()
    field.send_keys("secret", Keys.ENTER)
    page.ready()
    assert page.script("return document.activeElement.id") == "choose"
    page.choose(picture)
    page.shown(picture.name)
    assert not page.at("key").is_displayed()


def test_it_works_by_keyboard_alone(page, picture):
    keys = ActionChains(page.browser)
    focused = "return document.activeElement.id"
    keys.send_keys(Keys.TAB).perform()
    assert page.script(focused) == "choose"
    page.choose(picture)  # what the button's own window would do
    page.shown(picture.name)
    order = [page.script(focused)]
    for _ in range(6):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        order.append(page.script(focused))
    assert order == ["view", "split", "strength", "model", "zoom", "more", "download"]
    page.at("strength").send_keys(Keys.HOME)
    assert page.text("told") == "0.00"
    page.at("strength").send_keys(Keys.END)
    assert page.text("told") == "1.50"
    page.at("view").send_keys(Keys.ARROW_RIGHT)
    assert float(page.at("split").get_property("value")) == pytest.approx(0.52)
    page.at("zoom").send_keys(Keys.SPACE)
    page.slide("split", 1)
    before = page.view()
    page.at("view").send_keys(Keys.ARROW_DOWN * 2)
    moved = page.view()
    np.testing.assert_array_equal(moved[:-120], before[120:])  # by 60 pixels each
    page.at("download").send_keys(Keys.ENTER)
    page.saved(f"{picture.stem}-dehazed.jpg")


def test_the_line_can_be_dragged_and_at_100_percent_the_picture(page, picture):
    page.choose(picture)
    page.shown(picture.name)
    view = page.at("view")
    drag = ActionChains(page.browser).move_to_element(view).click_and_hold()
    drag.move_by_offset(100, 0).release().perform()
    split = float(page.at("split").get_property("value"))
    assert 0.5 < split < 1
    page.at("zoom").click()
    page.slide("split", 0)
    before = page.view()
    drag = ActionChains(page.browser).move_to_element(view).click_and_hold()
    drag.move_by_offset(0, -50).release().perform()
    np.testing.assert_array_equal(page.view()[:-50], before[50:])


def test_what_the_graphics_card_forgets_is_drawn_again(page, picture):
    page.choose(picture)
    page.shown(picture.name)
    before = page.view()
    page.run(
        """const gl = document.getElementById("view").getContext("webgl2");
        const lose = gl.getExtension("WEBGL_lose_context");
        const happens = (name) => new Promise((resolve) =>
            document.getElementById("view").addEventListener(name, resolve, {once: true}));
        const lost = happens("webglcontextlost");
        lose.loseContext();
        await lost;
        const restored = happens("webglcontextrestored");
        setTimeout(() => lose.restoreContext(), 0);
        await restored;"""
    )
    page.until(lambda: np.array_equal(page.view(), before))


def test_the_files_that_are_saved_are_as_asked_for_at_the_click(page, tmp_path):
    names = ["one.png", "two.png"]
    for name in names:
        hazy_photograph(400, 300).save(tmp_path / name)
    page.choose(*(tmp_path / name for name in names))
    page.until(lambda: page.at("all").is_displayed())
    page.script(
        """document.getElementById("all").click();
        const strength = document.getElementById("strength");
        strength.value = 0;
        strength.dispatchEvent(new Event("input"));"""
    )
    one, two = (page.saved_file(f"{name[:3]}-dehazed.png") for name in names)
    assert one == two
    pixels = np.asarray(Image.open(io.BytesIO(one)).convert("RGB"))
    assert np.abs(pixels - np.asarray(hazy_photograph(400, 300), float)).mean() > 1


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(page, how):
    page.run(
        """const canvas = new OffscreenCanvas(300, 200);
        canvas.getContext("2d").fillRect(50, 50, 100, 100);
        const file = new File([await canvas.convertToBlob()], "it.png", {type: "image/png"});
        const data = new DataTransfer();
        data.items.add(file);
        const events = {
            drop: new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}),
            paste: new ClipboardEvent("paste", {clipboardData: data, bubbles: true}),
        };
        document.body.dispatchEvent(events[given[0]]);""",
        how,
    )
    page.shown("it.png")


def test_what_the_browser_cannot_read_the_server_can(page, tmp_path):
    hazy_photograph(400, 300).save(tmp_path / "scan.tif")
    page.choose(tmp_path / "scan.tif")
    if page.is_served:
        page.shown("scan.tif")
        page.at("download").click()
        assert page.saved("scan-dehazed.tif").startswith(b"II*\0")
    else:
        page.until(lambda: page.text("error"))
        assert "make it a JPEG or a PNG" in page.text("error")


@pytest.mark.parametrize("width", [320, 500, 1600])
def test_the_small_copy_is_the_librarys(page, width):
    hazy = np.asarray(Image.open(DEMO).resize((width, width * 2 // 3)))
    small = pixels_from(
        page,
        """const { shrink, workingSize } = await import(given[0] + "shrink.js");
        const size = workingSize(bitmap.width, bitmap.height, { longest: 320, stride: 1 });
        const { width, height, data } = await shrink(bitmap, size);""",
        hazy,
    )
    expected = shrink(hazy, 255, small.shape[:2]) * 255
    np.testing.assert_array_equal(small, expected.round())


@pytest.mark.parametrize("model", ["kddn-photo", "kddn-indoor"])
@pytest.mark.parametrize(
    ("size", "strength"), [((900, 700), 1), ((1600, 1065), 0.4), ((2501, 777), 1.5)]
)
def test_the_shaders_pixels_are_the_librarys(page, model, size, strength):
    hazy = np.asarray(Image.open(DEMO).resize(size))
    clear = pixels_from(
        page,
        """const { models } = await import(given[0] + "estimator.js");
        const { estimate } = await import(given[0] + "pictures.js");
        const { paintWhole } = await import(given[0] + "painter.js");
        const model = (await models()).find(({name}) => name === given[3]);
        const map = await estimate(bitmap, model);
        const canvas = await paintWhole(bitmap, map, given[4]);
        const { width, height } = canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;""",
        hazy,
        model,
        strength,
    )
    expected = Dehazer(model)(hazy, strength).astype(int)
    assert np.abs(clear - expected).max() <= 1


@pytest.mark.parametrize("model", ["kddn-photo", "kddn-indoor", "kddn-paper"])
@pytest.mark.parametrize("gray", [False, True])
def test_a_map_of_the_page_is_the_runtimes(page, model, gray):
    """By WebAssembly on the one page, over HTTP on the other."""
    longest = find_model(model).working_size
    small = Image.open(DEMO).resize((longest, longest * 2 // 3 // 16 * 16))
    hazy = np.asarray(small.convert("L").convert("RGB") if gray else small)
    map_ = page.run(
        LOADED
        + """const { estimate } = await import(given[0] + "estimator.js");
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext("2d");
        context.drawImage(bitmap, 0, 0);
        const small = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const model = { name: given[3], output: given[4] };
        const { width, height, scale, offset } = await estimate(small, model);
        return { width, height, scale: [...scale], offset: [...offset] };""",
        page.address,
        *encoded(hazy),
        model,
        find_model(model).output,
    )
    expected = Dehazer(model)._estimate((hazy / 255).astype(np.float32))
    shape = map_["height"], map_["width"], 3
    for name in ("scale", "offset"):
        ours = getattr(expected, name)
        found = np.reshape(map_[name], shape)
        assert np.abs(found - ours).max() < 1e-3


LOADED = """
    const bytes = Uint8Array.from(atob(given[1]), letter => letter.charCodeAt(0));
    const { UNTOUCHED } = await import(given[0] + "painter.js");
    const bitmap = await createImageBitmap(new Blob([bytes]), UNTOUCHED);
"""
"""How a test's script gets its picture."""


def encoded(pixels):
    """A picture on its way into the browser; the script's second argument, and its third."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode(), None


def pixels_from(page, text, hazy, *more):
    """What a script makes of a picture, `h w 3`: its `width`, `height` and RGBA `data`."""
    back = """
        let letters = "";
        for (let at = 0; at < data.length; at += 32768) {
            letters += String.fromCharCode(...data.subarray(at, at + 32768));
        }
        return [width, height, btoa(letters)];
    """
    width, height, data = page.run(LOADED + text + back, page.address, *encoded(hazy), *more)
    pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
    return pixels[..., :3].astype(int)

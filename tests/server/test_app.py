"""What the server answers."""

import base64
import io
import shutil
from urllib.parse import unquote

import numpy as np
import pytest
from asking import MODEL, PICTURE, RAW, is_problem
from fastapi.testclient import TestClient
from PIL import Image, PngImagePlugin

from helpers import encoded, hazy_photograph
from kddn import Dehazer
from kddn.affine import AffineMap
from kddn.inference.models import find_model
from kddn.server.app import create_app
from kddn.server.settings import Settings


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(Settings(models=(MODEL, "dcp"))), "http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def dehazer():
    return Dehazer(MODEL)


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def coefficients(answer, name):
    values = np.frombuffer(base64.b64decode(answer[name]["values"]), "<f4")
    return values.reshape(answer["height"], answer["width"], answer[name]["channels"])


@pytest.mark.parametrize("query", [{}, {"strength": 0.5}, {"full_resolution": True}])
def test_a_picture_comes_back_as_the_library_makes_it(client, dehazer, query):
    answer = client.post("/v1/dehaze", params=query, content=PICTURE, headers=RAW)
    assert answer.status_code == 200
    assert answer.content == dehazer.encoded(PICTURE, **query)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-kddn-model"] == MODEL
    assert float(answer.headers["x-kddn-seconds"]) > 0
    assert 0 < float(answer.headers["x-kddn-haze"]) < 1


def test_a_form_is_as_good_as_a_body(client, dehazer):
    answer = client.post("/v1/dehaze", files={"picture": ("a b.jpeg", PICTURE, "image/jpeg")})
    assert answer.content == dehazer.encoded(PICTURE)
    assert 'filename="a b-dehazed.jpeg"' in answer.headers["content-disposition"]


def test_the_page_is_asked_for_anew(client):
    for name in ("", "main.js"):
        answer = client.get(f"/page/{name}")
        assert answer.headers["cache-control"] == "no-cache"
        kept = {"If-None-Match": answer.headers["etag"]}
        assert client.get(f"/page/{name}", headers=kept).status_code == 304


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("photo.jpg", None, "photo-dehazed.jpg"),
        ("photo.JPG", None, "photo-dehazed.JPG"),
        ("photo.jpg", "png", "photo-dehazed.png"),
        ("photo.txt", None, "photo-dehazed.jpg"),
        ("../../etc/passwd", None, "passwd-dehazed.jpg"),
        ("C:\\pictures\\me.jpg", None, "me-dehazed.jpg"),
        ("山.jpg", None, "%E5%B1%B1-dehazed.jpg"),
        ('a"\r\nSet-Cookie: x.jpg', None, "-dehazed.jpg"),
    ],
)
def test_names_are_kept_without_folders(client, name, format, expected):
    params = {"format": format} if format else {}
    answer = client.post("/v1/dehaze", params=params, files={"picture": (name, PICTURE)})
    assert answer.status_code == 200
    said = answer.headers["content-disposition"]
    assert said.endswith(f"{expected.replace(' ', '%20')}")
    assert "/" not in said
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('attachment; filename="山.jpg"', "%E5%B1%B1-dehazed.jpg"),
        ("attachment; filename=photo.jpg", "photo-dehazed.jpg"),
        ("attachment", "picture-dehazed.jpg"),
    ],
)
def test_a_body_may_say_its_name(client, said, expected):
    headers = RAW | {"Content-Disposition": said.encode()}
    answer = client.post("/v1/dehaze", content=PICTURE, headers=headers)
    assert answer.headers["content-disposition"].endswith(expected)


def test_another_format_can_be_asked_for(client, dehazer):
    answer = client.post("/v1/dehaze?format=png", content=PICTURE, headers=RAW)
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(
        decoded(answer.content), decoded(dehazer.encoded(PICTURE, format="png"))
    )


def test_metadata_stays_and_what_is_lost_is_said(client):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "A mountain")
    picture = encoded(hazy_photograph(60, 40), exif=exif, pnginfo=text)
    same = client.post("/v1/dehaze", content=picture, headers=RAW)
    image = Image.open(io.BytesIO(same.content))
    assert (image.getexif()[0x010F], image.text["Title"]) == ("Camera", "A mountain")
    assert same.headers["x-kddn-lost"] == ""
    other = client.post("/v1/dehaze?format=jpg", content=picture, headers=RAW)
    assert other.headers["x-kddn-lost"] == "text"


def test_a_map_is_the_librarys(client, dehazer):
    small = hazy_photograph(320, 240)
    answer = client.post("/v1/map", content=encoded(small), headers=RAW).json()
    hazy = np.asarray(small)
    found = AffineMap(coefficients(answer, "scale"), coefficients(answer, "offset"))
    expected = dehazer._estimator.estimate((hazy / 255).astype(np.float32))
    np.testing.assert_array_equal(found.scale, expected.scale)
    np.testing.assert_array_equal(found.offset, expected.offset)
    assert answer["haze"] == pytest.approx(1 - dehazer.transmission(hazy).mean(), abs=1e-3)


def test_models_are_listed_the_default_first(client):
    found = client.get("/v1/models").json()["models"]
    assert [(model["name"], model["default"]) for model in found] == [(MODEL, True), ("dcp", False)]


def test_a_model_may_be_named_in_any_letters(tmp_path):
    found = find_model(MODEL).path
    for ending in (".onnx", ".json"):
        shutil.copy(found.with_suffix(ending), tmp_path / f"\u9727{ending}")
    settings = Settings(models=(str(tmp_path / "\u9727.onnx"),))
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        answer = client.post("/v1/dehaze", content=PICTURE, headers=RAW)
    assert answer.status_code == 200
    assert unquote(answer.headers["X-Kddn-Model"]) == "\u9727"


def test_a_model_that_is_not_offered_is_unknown(client, tmp_path):
    for name in ("kddn-photo", "../x.onnx", str(tmp_path / "x.onnx")):
        answer = client.post("/v1/map", params={"model": name}, content=PICTURE, headers=RAW)
        assert MODEL in is_problem(answer, 404, "no-model")["remedy"]


@pytest.mark.parametrize("path", ["/v1/dehaze", "/v1/map"])
@pytest.mark.parametrize(
    ("content", "kind", "status", "problem"),
    [
        (b"", "image/jpeg", 400, "empty"),
        (b"nothing", "image/jpeg", 422, "picture"),
        (PICTURE[:200], "image/jpeg", 422, "picture"),
        (PICTURE, "text/html", 415, "type"),
        (PICTURE, "multipart/form-data", 400, "form"),
        (PICTURE, "multipart/form-data; boundary=x", 400, "form"),
        (PICTURE, "multipart/form-data; boundary=x; charset=nonsense", 400, "form"),
    ],
)
def test_what_is_no_picture_is_told(client, path, content, kind, status, problem):
    answer = client.post(path, content=content, headers={"Content-Type": kind})
    is_problem(answer, status, problem)


def test_a_form_without_the_field_is_told(client):
    is_problem(client.post("/v1/dehaze", files={"other": PICTURE}), 400, "form")
    is_problem(client.post("/v1/dehaze", files=[("picture", PICTURE)] * 2), 400, "form")


@pytest.mark.parametrize(
    "query", ["strength=2", "strength=nan", "stregnth=1", "format=exe", "full_resolution=perhaps"]
)
def test_parameters_are_checked(client, query):
    answer = client.post(f"/v1/dehaze?{query}", content=PICTURE, headers=RAW)
    assert query.partition("=")[0] in is_problem(answer, 422, "parameters")["detail"]


def test_unknown_paths_and_methods_are_told(client):
    is_problem(client.get("/v1/nothing"), 404, "http")
    answer = client.get("/v1/dehaze")
    is_problem(answer, 405, "http")
    assert answer.headers["allow"] == "POST"


def test_probes_and_meters(client):
    assert client.get("/healthz").text == client.get("/readyz").text == "ok"
    before = requests(client, "/v1/models")
    client.get("/v1/models")
    assert requests(client, "/v1/models") == before + 1
    text = client.get("/metrics").text
    assert "kddn_jobs_waiting 0.0" in text
    assert "kddn_bytes_held 0.0" in text
    client.get("/made/up/by/a/client")
    client.get("/page/made/up")
    assert "made/up" not in client.get("/metrics").text


def requests(client, route):
    start = f'kddn_requests_total{{route="{route}",status="200"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


def test_it_is_not_ready_before_the_model_is_open():
    client = TestClient(create_app(Settings(models=(MODEL,))), "http://localhost")
    is_problem(client.get("/readyz"), 503, "starting")  # its lifespan has not begun
    assert client.get("/healthz").text == "ok"


def test_the_page_is_served(client):
    found = client.get("/", follow_redirects=False)
    assert found.headers["location"] == "page/"  # right behind a proxy's path too
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "kddn" in answer.text


def test_openapi_describes_what_there_is(client):
    found = client.get("/openapi.json").json()
    assert {"/v1/dehaze", "/v1/map", "/v1/models", "/healthz", "/readyz", "/metrics"} == set(
        found["paths"]
    )
    asked = {each["name"] for each in found["paths"]["/v1/dehaze"]["post"]["parameters"]}
    assert asked == {"model", "strength", "full_resolution", "format"}
    assert client.get("/docs").status_code == 404  # its scripts would come from elsewhere

"""What `kddn bench` measures, and what it makes of it."""

import csv
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from torch import nn

from helpers import hazy_photograph
from kddn import KddnError
from kddn.bench import report, run
from kddn.bench.engines import ENGINES, EngineDehazer
from kddn.bench.measure import matrix_product, measure_network, open_system
from kddn.bench.pictures import hazy_jpeg, size_of
from kddn.bench.quality import check_data, measure_quality
from kddn.bench.run import NetworkRow, Row, choose
from kddn.bench.tasks import FLOOR, Limits, Measured, Network, System
from kddn.bench.torch_systems import COMPARED, gflop, gflop_of
from kddn.errors import DataError
from kddn.inference.models import DEFAULT, find_model
from kddn.research.nets.baselines import BASELINES
from kddn.research.nets.checkpoints import save_network

MODEL = System("model", DEFAULT, "onnxruntime")
OTHER = System("model", DEFAULT, "torch")
DCP = System("prior", "dcp", "numpy")
AOD = System("compared", "aod-net", "torch")


def row(system, size, seconds, peak=100.0):
    return Row(system, size, Measured(start=1.0, first=2 * seconds, steady=seconds, peak=peak))


@pytest.mark.parametrize("megapixels", [0.3, 2, 12, 48])
def test_pictures_have_the_size_asked_for(megapixels):
    width, height = size_of(megapixels)
    assert abs(width * height / megapixels / 1e6 - 1) < 0.02
    assert width % 4 == height % 4 == 0


def test_pictures_are_always_the_same_and_hazy():
    content = hazy_jpeg(0.02)
    assert content == hazy_jpeg(0.02)
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels[:20].std() < 0.6 * pixels[-20:].std()  # haze takes contrast off


def test_ratios_are_to_the_default_model_at_the_same_size():
    rows = [row(FLOOR, 1, 0.1), row(MODEL, 1, 0.5), row(MODEL, 2, 2.0), row(AOD, 2, 5.0, 400.0)]
    assert report.reference(rows) == MODEL
    assert report.ratio(rows, rows[0], "seconds") == pytest.approx(0.2)
    assert report.ratio(rows, rows[3], "seconds") == pytest.approx(2.5)
    assert report.ratio(rows, rows[3], "peak") == pytest.approx(4.0)


def test_without_the_default_model_the_first_model_is_the_measure():
    rows = [row(FLOOR, 1, 0.1), row(OTHER, 1, 0.5)]
    assert report.reference(rows) == OTHER
    assert report.reference(rows[:1]) == FLOOR


def test_what_could_not_be_measured_has_no_ratio():
    rows = [
        row(MODEL, 1, 0.5),
        Row(AOD, 1, None, "out of memory"),
        row(MODEL, 2, 1),
        row(AOD, 2, 1),
    ]
    assert report.ratio(rows, rows[1], "peak") is None
    assert report.common_size(rows) == 2
    assert "| aod-net | torch | - | 1x |" in report.ratio_table(
        rows, [("", "first", 1), ("", "first", 2)], "s"
    )


def test_a_first_picture_stands_in_where_there_was_no_time_for_more():
    assert Measured(start=1, first=3, steady=None, peak=1).seconds == 3


def test_what_is_written_can_be_read_again(tmp_path):
    rows = [row(FLOOR, 1, 0.1), row(MODEL, 1, 0.5), Row(AOD, 1, None, "about 90 s")]
    networks = [NetworkRow(MODEL, Network(32, 24, gflop=2.0, seconds=0.5, ceiling=8.0))]
    report.write(tmp_path, rows, networks, {DEFAULT: {"nyu": 21.5}})
    with (tmp_path / "pictures.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [line["time_ratio"] for line in written] == ["0.2", "1", ""]
    assert written[2]["note"] == "about 90 s"
    with (tmp_path / "networks.csv").open() as file:
        assert next(csv.DictReader(file))["share"] == "0.5"
    assert f"| {DEFAULT} | 21.50 dB | 1x | 1x | 2 |" in (tmp_path / "summary.md").read_text()
    record = json.loads((tmp_path / "machine.json").read_text())
    assert record["models"] == {DEFAULT: find_model(DEFAULT).sha256}


def test_systems_are_chosen_by_name_and_engine(tmp_path):
    assert choose(["dcp", DEFAULT], ["onnxruntime", "torch"]) == [
        FLOOR, MODEL, System("prior", "dcp", "numpy"), OTHER,
    ]  # fmt: skip
    save_network(BASELINES["gfn"](), tmp_path / "gfn.safetensors")
    everything = choose(weights={"gfn": tmp_path / "gfn.safetensors"})
    assert {s.name for s in everything if s.kind == "compared"} == set(COMPARED) <= set(BASELINES)
    assert next(s for s in everything if s.name == "gfn").weights == tmp_path / "gfn.safetensors"
    with pytest.raises(KddnError, match="tensorrt is not installed"):
        choose(engines=["tensorrt"])


def answers(monkeypatch, *found):
    """Has processes answer in turn, and says what they were asked."""
    asked = []
    left = iter(found)

    def process(system, picture, limits, *, alone):
        asked.append((system, picture.name, alone))
        return next(left)

    monkeypatch.setattr(run, "_process", process)
    return asked


def found(seconds):
    return {"start": 1.0, "first": seconds, "steady": seconds, "peak": 9.0}, ""


def test_a_size_that_would_take_too_long_is_not_tried(monkeypatch):
    asked = answers(monkeypatch, found(1.0), (None, "no network"))
    rows = list(run.measure([AOD], [0.08, 0.02], Limits(seconds=3)))
    assert asked == [(AOD, "0.02.jpg", False), (AOD, "0.02.jpg", True)]
    assert [r.note for r in rows] == ["", "about 4 s", "no network"]


def test_what_works_small_is_not_taken_to_grow_with_every_pixel(monkeypatch):
    answers(monkeypatch, found(1.0), found(2.0), found(2.1))
    rows = list(run.measure([DCP], [0.02, 0.08, 0.1], Limits(seconds=3)))
    assert [r.note for r in rows] == ["", "", ""]


def test_what_grows_by_a_line_is_told_by_it(monkeypatch):
    answers(monkeypatch, *[found(1.0)] * 3, found(1.0), found(2.0))
    rows = list(run.measure([FLOOR, DCP], [0.02, 0.04, 0.08], Limits(seconds=3)))
    assert [r.note for r in rows] == [""] * 5 + ["about 4 s"]


def test_what_others_are_ratios_to_is_measured_at_every_size(monkeypatch):
    answers(monkeypatch, found(1.0), found(4.0), (None, "no network"))
    rows = list(run.measure([MODEL], [0.08, 0.02], Limits(seconds=3)))
    assert [r.note for r in rows] == ["", "", "no network"]


def test_what_failed_is_not_tried_larger(monkeypatch):
    answers(monkeypatch, (None, "out of memory"), (None, "out of memory"))
    rows = list(run.measure([AOD], [0.02, 0.03], Limits()))
    assert [r.note for r in rows] == ["out of memory"] * 3


def test_flops_are_those_of_the_closed_form():
    network = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 8, 3, padding=1, groups=8))
    macs = 40 * 30 * (8 * 3 * 25 + 8 * 9)
    assert gflop(network, 40, 30) == pytest.approx(2 * macs / 1e9)


def test_the_share_is_flops_over_time_over_the_ceiling():
    assert Network(1, 1, gflop=6.0, seconds=2.0, ceiling=12.0).share == 0.25
    assert Network(1, 1, gflop=None, seconds=2.0, ceiling=12.0).share is None
    assert 0.1 < matrix_product() < 1e5


def test_arithmetic_of_every_compared_system_is_counted():
    for name in COMPARED:
        assert gflop_of(System("compared", name, "torch"), 64, 48) > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kddn-indoor", "kddn-paper"])  # an affine map, and a picture
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "onnxruntime"])
def test_every_engine_makes_the_same_picture(name, engine):
    picture = np.asarray(hazy_photograph(500, 380))
    one, other = (EngineDehazer(name, each)(picture) for each in ("onnxruntime", engine))
    assert np.abs(one.astype(int) - other).max() <= 2
    assert np.abs(one.astype(int) - picture).max() > 20


@pytest.mark.parametrize(
    "system", [FLOOR, System("prior", "dcp", "numpy"), MODEL, AOD], ids=lambda s: s.name
)
def test_every_kind_goes_from_bytes_to_bytes(system):
    content = hazy_jpeg(0.02)
    made = Image.open(io.BytesIO(open_system(system)(content)))
    assert (made.format, made.size) == ("JPEG", size_of(0.02))
    change = np.abs(np.asarray(made).astype(int) - np.asarray(Image.open(io.BytesIO(content))))
    assert (change.mean() > 2) == (system is not FLOOR)


def test_a_compared_network_is_measured_on_all_pixels(tmp_path):
    path = tmp_path / "hazy.jpg"
    path.write_bytes(hazy_jpeg(0.02))
    alone = measure_network(AOD, path, Limits(repeats=1))
    width, height = size_of(0.02)
    assert (alone["width"], alone["height"]) == (width, height)
    parameters = sum(p.numel() for p in BASELINES["aod-net"]().parameters() if p.ndim == 4)
    assert gflop_of(AOD, width, height) == pytest.approx(2 * parameters * width * height / 1e9)


def test_quality_of_every_third_image(tmp_path):
    for part in ("hazy", "clear"):
        (tmp_path / part).mkdir()
        for name in "abcd":
            hazy_photograph(60, 40 + ord(name)).save(tmp_path / part / f"{name}.png")
    systems = [FLOOR, System("prior", "dcp", "numpy"), AOD]
    psnr = measure_quality(systems, {"pairs": tmp_path}, every=3, output=tmp_path)
    assert set(psnr) == {"hazy", "dcp"}  # random weights have no quality
    assert psnr["hazy"]["pairs"] == 100 > psnr["dcp"]["pairs"]
    with (tmp_path / "quality.csv").open() as file:
        assert {line["images"] for line in csv.DictReader(file)} == {"2"}


def test_what_cannot_be_measured_is_told_before_anything_is(tmp_path):
    with pytest.raises(DataError, match="holds no images called as"):
        check_data({"pairs": tmp_path})
    with pytest.raises(DataError, match="no data set 'nonsense'"):
        check_data({"nonsense": tmp_path})
    with pytest.raises(KddnError, match="there is no aod; `weights` are of aod-net"):
        run.choose(weights={"aod": tmp_path})
    with pytest.raises(KddnError, match=r"missing\.safetensors"):
        run.choose(weights={"aod-net": tmp_path / "missing.safetensors"})
    weights = tmp_path / "aod.safetensors"
    save_network(BASELINES["aod-net"](), weights)
    assert any(system.weights == weights for system in run.choose(weights={"aod-net": weights}))
    with pytest.raises(KddnError, match=r"aod\.safetensors holds a \w+, no gfn"):
        run.choose(weights={"gfn": weights})
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="real has no targets"):
        check_data({"real": tmp_path})


def test_a_network_that_pytorch_does_not_know_has_no_operations(tmp_path):
    card = find_model("kddn-indoor").path.with_suffix(".json")
    shutil.copy(find_model("kddn-indoor").path, tmp_path / "foreign.onnx")
    said = {key: value for key, value in json.loads(card.read_text()).items() if key != "network"}
    (tmp_path / "foreign.json").write_text(json.dumps(said))
    foreign = System("model", str(tmp_path / "foreign.onnx"), "onnxruntime")
    assert run._gflop(foreign, {"width": 64, "height": 64}) is None


@pytest.fixture
def bench(tmp_path):
    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "kddn", "bench", "--output", tmp_path / "out", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return command


@pytest.mark.slow
def test_the_command_writes_what_it_measured(bench, tmp_path):
    done = bench("--size", "0.02", "--model", "kddn-indoor", "--engine", "onnxruntime")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out/pictures.csv").open() as file:
        floor, small = csv.DictReader(file)
    assert float(floor["first_s"]) > 0 < float(small["first_s"])
    assert 1000 > float(small["peak_mb"]) > float(floor["peak_mb"]) > 10
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "first.md", "machine.json", "memory.md", "networks.csv", "networks.md", "pictures.csv",
        "summary.md", "time.md",
    }  # fmt: skip


@pytest.mark.slow
def test_memory_beyond_the_limit_is_a_row_not_the_end(monkeypatch):
    monkeypatch.setattr(run, "memory", lambda: 800 << 20)
    (only,) = list(run.measure([System("compared", "gfn", "torch")], [2.0], Limits()))[:1]
    assert (only.found, only.note) == (None, "out of memory")


def test_a_folder_that_cannot_be_made_is_told_first(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KddnError, match="cannot be made"):
        report.check_folder(tmp_path / "file")


@pytest.mark.slow
def test_the_runtime_is_measured_without_torch():
    code = "import sys, kddn.bench.measure, kddn.cli.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Many files in one run: which, where to, and what became of each."""

import hashlib
import importlib
import itertools
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import hazy_photograph
from kddn import Dehazer, machine
from kddn.batch.plan import Destination, Found, Job, find, read_manifest
from kddn.batch.run import Room, Settings, run
from kddn.batch.watch import is_whole, watch
from kddn.cli import main
from kddn.dehazer import FileResult
from kddn.errors import KddnError
from kddn.io.writing import _host, _mark

pytestmark = pytest.mark.slow


def kddn(*arguments, cwd, **options):
    command = [sys.executable, "-m", "kddn", "dehaze", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, check=False, **{"text": True, **options}
    )


def paths(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def tree(tmp_path):
    """Pictures of equal names in nested folders, and what is no picture."""
    root = tmp_path / "in"
    for name in ("a.jpg", "a.png", "one/a.jpg", "one/deep/a.jpg", "two/a.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hazy_photograph(40, 30).save(path)
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.jpg").write_bytes(b"")
    hazy_photograph(40, 30).save(root / "old-dehazed.jpg")
    return root


def planned(destination, *arguments, **options):
    jobs = Destination(**destination).jobs(find(list(map(str, arguments)), **options))
    return {str(job.source): str(job.output) for job in jobs}


def test_folders_give_their_pictures_but_not_earlier_results(tree):
    assert [path.name for path in find([str(tree)]).pictures] == ["a.jpg", "a.png"]
    found = find([str(tree)], recursive=True).pictures
    assert [str(path.relative_to(tree)) for path in found] == [
        "a.jpg", "a.png", "one/a.jpg", "one/deep/a.jpg", "two/a.jpg",
    ]  # fmt: skip


def test_results_among_the_pictures_are_left_alone(tree):
    before = find([str(tree)], recursive=True).pictures
    for output in ("clear", "clear/{stem}_c{suffix}"):
        result = tree / "clear/deep/a.jpg"
        result.parent.mkdir(parents=True)
        shutil.copy(tree / "a.jpg", result)
        assert find([str(tree)], recursive=True).pictures == [
            *before[:2],
            result,
            *before[2:],
        ]
        there = Destination(output=str(tree / output))
        assert find([str(tree)], there, recursive=True).pictures == before
        shutil.rmtree(tree / "clear")
    assert find([str(tree / "*.jpg")]).pictures == [tree / "a.jpg"]
    other = Destination(suffix="_c")
    assert find([str(tree)], other).pictures == before[:2]


def test_any_failure_is_a_row_that_names_the_file(tree, monkeypatch):
    def fail(self, path, *arguments, **options):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(Dehazer, "file", fail)
    jobs = Destination().jobs(find([str(tree)]))
    errors = [row.error for _, row in run(Dehazer(), jobs)]
    assert errors == [f"{tree / name}: RuntimeError: out of luck" for name in ("a.jpg", "a.png")]


def test_the_tree_is_mirrored(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planned({"output": "out"}, "in", recursive=True) == {
        "in/a.jpg": "out/a.jpg",
        "in/a.png": "out/a.png",
        "in/one/a.jpg": "out/one/a.jpg",
        "in/one/deep/a.jpg": "out/one/deep/a.jpg",
        "in/two/a.jpg": "out/two/a.jpg",
    }
    assert planned({"output": "out"}, "in/one/a.jpg", tree / "two/a.jpg") == {
        "in/one/a.jpg": "out/one/a.jpg",
        str(tree / "two/a.jpg"): "out/two/a.jpg",
    }
    assert planned({"output": "out"}, "in/*/a.jpg") == {
        "in/one/a.jpg": "out/one/a.jpg",
        "in/two/a.jpg": "out/two/a.jpg",
    }


def test_where_one_picture_goes(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = "in/a.jpg"
    for destination, expected in [
        ({}, "in/a-dehazed.jpg"),
        ({"suffix": "_clear"}, "in/a_clear.jpg"),
        ({"format": "png"}, "in/a-dehazed.png"),
        ({"format": ".webp", "output": "out/"}, "out/a.webp"),
        ({"output": "b.png"}, "b.png"),
        ({"output": "in", "format": "bmp"}, "in/a.bmp"),
        ({"in_place": True}, "in/a.jpg"),
        ({"output": "{folder}/{model}/{stem}{suffix}", "model": "m"}, "in/m/a.jpg"),
    ]:
        assert planned(destination, one) == {one: expected}


@pytest.mark.parametrize("output", ["in", "./in/../in/a.jpg", "{folder}/{stem}{suffix}"])
def test_no_result_replaces_its_picture_unasked(tree, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KddnError, match=r"in/a.jpg would be replaced .* or say `in_place`"):
        planned({"output": output}, "in/a.jpg")


def test_no_two_results_go_to_one_place(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planned({"output": "out", "format": "png"}, "in") == {
        "in/a.jpg": "out/a.jpg.png",
        "in/a.png": "out/a.png.png",  # out/a.png may be what an earlier run made of a.jpg alone
    }
    with pytest.raises(KddnError, match=r"in/a.jpg and in/one/a.jpg would both become all/a.jpg"):
        planned({"output": "all/{stem}{suffix}"}, "in", recursive=True)


def test_no_result_replaces_another_picture(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy("in/a.jpg", "in/a-2.jpg")
    with pytest.raises(KddnError, match=r"in/a-2.jpg, a picture too, would be replaced by .*a.jpg"):
        planned({"suffix": "-2"}, "in/a.jpg", "in/a-2.jpg")
    with pytest.raises(KddnError, match=r"in/one/a.jpg, a picture too"):
        planned({"output": "in/one/{stem}{suffix}"}, "in/a.jpg", "in/one/a.jpg")
    assert planned({"suffix": "-2"}, "in/a.jpg") == {"in/a.jpg": "in/a-2.jpg"}


@pytest.mark.parametrize("output", ["{folder}/clear/{stem}{suffix}", "clear-{stem}{suffix}"])
def test_a_template_without_a_folder_tells_no_pictures_from_results(
    tree, tmp_path, monkeypatch, output
):
    monkeypatch.chdir(tmp_path / "in")
    found = find([".."], Destination(output=output), recursive=True).pictures
    assert Path("../in/a.jpg") in found


@pytest.mark.parametrize(
    ("destination", "cause"),
    [
        ({"in_place": True, "output": "x"}, "leave out `output`"),
        ({"suffix": ""}, "say `in_place`"),
        ({"output": "{name}.jpg"}, r"has \{name\}, but there are only \{folder\}"),
        ({"output": "{stem"}, "is no template"),
        ({"output": "{}.jpg"}, r"has \{\}, but there are only"),
        ({"suffix": "a/b"}, "is no part of a file's name"),
        ({"output": "out{1}"}, r"double the braces of a name that has some, as \{\{1\}\}"),
        ({"output": "{stem:04d}.jpg"}, r"write \{stem\} alone"),
        ({"output": "{stem!x}.jpg"}, r"write \{stem\} alone"),
        ({"output": "{stem:{model}}.jpg"}, r"write \{stem\} alone"),
        ({"format": "xyz"}, "no picture's or video's format ends in '.xyz'"),
    ],
)
def test_impossible_destinations_are_refused(destination, cause):
    with pytest.raises(KddnError, match=cause):
        Destination(**destination)


def test_a_folder_may_have_braces_in_its_name(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planned({"output": "out{{1}}"}, "in")["in/a.jpg"] == "out{1}/a.jpg"
    (tmp_path / "in/{{x}}").mkdir()
    assert "in/{{x}}" not in str(planned({"output": "out"}, "in"))


def test_a_list_of_one_goes_to_a_folder(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planned({"output": "out"}, listed=["in/a.jpg"]) == {"in/a.jpg": "out/a.jpg"}


def test_an_empty_name_is_not_the_folder(tree, monkeypatch):
    monkeypatch.chdir(tree)
    with pytest.raises(KddnError, match="an empty name is no picture's"):
        find(["a.jpg", ""])


def test_names_on_a_list_are_no_patterns(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planned({"output": "out"}, listed=["in/[a].jpg"]) == {"in/[a].jpg": "out/[a].jpg"}


def test_a_file_of_several_names_is_replaced_once(tree):
    (tree / "b.jpg").symlink_to("a.jpg")
    names = [tree / "b.jpg", tree / "a.jpg", tree / "two/../a.jpg"]
    assert planned({"in_place": True}, *names) == {str(names[0]): str(names[0])}


def test_what_a_template_made_is_no_picture(tree):
    template = "{folder}/{stem}_clear{suffix}"
    made = tree / "a_clear.jpg"
    hazy_photograph(40, 30).save(made)
    destination = Destination(output=template)
    for asked in (tree, tree / "*.jpg"):
        assert made not in find([str(asked)], destination).pictures
    assert find([str(made)], destination).pictures == [made]  # asked for by its name
    unchanged = Destination(output="{folder}/{stem}{suffix}")
    with pytest.raises(KddnError, match="would be replaced by its result"):
        unchanged.jobs(find([str(tree)], unchanged))


@pytest.mark.parametrize(("format", "expected"), [("png", "png mp4"), (".mkv", "jpg mkv")])
def test_another_format_is_for_pictures_or_for_videos(tmp_path, monkeypatch, format, expected):
    monkeypatch.chdir(tmp_path)
    names = ["a.jpg", "b.mp4"]
    made = planned({"output": "out", "format": format}, *names)
    assert [made[name].rpartition(".")[2] for name in names] == expected.split()


def test_what_may_not_be_seen_is_a_row_and_no_more(tree, monkeypatch):
    closed = tree / "one"
    walk = os.walk

    def forbidden(folder, onerror):
        for place, folders, names in walk(folder):
            if Path(place) == closed:
                onerror(PermissionError(13, "Permission denied", str(closed)))
                folders.clear()
            else:
                yield place, folders, names

    monkeypatch.setattr(os, "walk", forbidden)
    found = find([str(tree)], recursive=True)
    assert found.unreadable == {closed: "the folder cannot be read (Permission denied)"}
    jobs = Destination().jobs(found)
    assert [job.source.name for job in jobs] == ["a.jpg", "a.png", "a.jpg", "one"]
    rows = [row for _, row in run(Dehazer("dcp"), jobs)]
    assert [row.status for row in rows] == ["done", "done", "done", "failed"]
    assert rows[-1].error == f"{closed}: the folder cannot be read (Permission denied)"
    again = [row for _, row in run(Dehazer("dcp"), jobs, Settings(skip_existing=True))]
    assert [row.status for row in again] == ["skipped", "skipped", "skipped", "failed"]


@pytest.mark.parametrize("threads", [1, 2])
def test_files_that_may_not_be_looked_at_are_rows(tree, monkeypatch, threads):
    stat, closed = os.stat, tree / "one"

    def forbidden(path, **options):
        if closed in Path(os.fsdecode(path)).parents:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    def content(path):
        path.stat()
        with path.open("rb") as file:
            return file.read()

    jobs = Destination().jobs(find([str(tree)], recursive=True))
    monkeypatch.setattr(os, "stat", forbidden)
    monkeypatch.setattr(Path, "read_bytes", content)
    rows = [row for _, row in run(Dehazer("dcp"), jobs, threads=threads)]
    assert [row.status for row in rows] == ["done", "done", "failed", "failed", "done"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbfa.jpg\r\nb.jpg\r\n", ["a.jpg", "b.jpg"]),
        ("a.jpg\r\n\u00e9.jpg\r\n".encode("utf-16"), ["a.jpg", "\u00e9.jpg"]),
        (b"# trip\n\n  a.jpg \n#1.jpg\n#2.jpg\n", ["a.jpg", "#1.jpg"]),
        (b" b.jpg\n", [" b.jpg"]),
        (b"a.jpg\0new\nline.jpg\0", ["a.jpg", "new\nline.jpg"]),
        (b"caf\xe9.jpg\n", ["caf\udce9.jpg"]),
        ("a\u2028b.jpg\rc\x0b.jpg\n".encode(), ["a\u2028b.jpg", "c\x0b.jpg"]),
    ],
    ids=["utf-8 with mark", "utf-16", "comments", "spaces", "zeros", "bytes", "separators"],
)
def test_lists_as_others_write_them(tmp_path, content, expected):
    for name in ("#1.jpg", " b.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_bytes(content)
    assert read_manifest(tmp_path / "list.txt") == [str(tmp_path / name) for name in expected]


def test_a_name_of_any_bytes_is_done_and_reported(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    hazy_photograph(40, 30).save(tmp_path / name)
    result = kddn(".", "--report", "r.jsonl", "--json", cwd=tmp_path, text=False)
    assert result.returncode == 0, result.stderr
    for lines in (result.stdout, (tmp_path / "r.jsonl").read_bytes()):
        assert Path(json.loads(lines)["output"]).name == os.fsdecode(b"caf\xe9-dehazed.jpg")


def test_what_matches_nothing_is_an_error(tmp_path):
    with pytest.raises(KddnError, match="matches no file"):
        find([str(tmp_path / "*.jpg")])
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(KddnError, match="lists no pictures"):
        read_manifest(tmp_path / "empty.txt")
    with pytest.raises(KddnError, match="cannot be read as a list"):
        read_manifest(tmp_path / "none.txt")


def test_names_that_look_like_patterns_are_names(tmp_path):
    hazy_photograph(30, 20).save(tmp_path / "a[1].jpg")
    assert find([str(tmp_path / "a[1].jpg")]).pictures == [tmp_path / "a[1].jpg"]


def test_a_report_has_a_row_a_picture(tree, tmp_path):
    (tree / "bad.jpg").write_bytes(b"no picture")
    result = kddn("in", "-r", "-o", "out", "--report", "run.jsonl", "--json", cwd=tmp_path)
    assert result.returncode == 1
    text = (tmp_path / "run.jsonl").read_text()
    assert result.stdout == text
    rows = {row["input"]: row for row in map(json.loads, text.splitlines())}
    assert len(rows) == 6
    bad = rows.pop("in/bad.jpg")
    assert bad["status"] == "failed"
    assert "in/bad.jpg" in bad["error"]
    assert "in/bad.jpg" in result.stderr
    for row in rows.values():
        assert row["status"] == "done"
        assert (row["width"], row["height"]) == (40, 30)
        assert 0 <= row["haze"] <= 1
        content = (tmp_path / row["output"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]


def test_haze_is_told_from_none(tmp_path):
    dehazer = Dehazer(working_size=128)
    rng = np.random.default_rng(0)
    clear = rng.integers(0, 2, (20, 30, 3)).repeat(4, 0).repeat(4, 1) * 200.0
    hazes = []
    for index, t in enumerate((1.0, 0.3)):
        path = tmp_path / f"{index}.png"
        Image.fromarray((clear * t + 240 * (1 - t)).round().astype(np.uint8)).save(path)
        hazes.append(dehazer.file(path, tmp_path / f"{index}-clear.png").haze)
    assert hazes[0] < 0.15
    assert hazes[1] > 0.4


MANY = 48
BROKEN = ("text.jpg", "empty.png", "cut.jpg", "pages.gif", "deep/cut.png")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Mixed files in a nested tree of equal names, five of them broken, each in its way."""
    root = tmp_path_factory.mktemp("many") / "in"
    rng = np.random.default_rng(0)
    formats = {"RGB": "jpg", "L": "png", "RGBA": "webp", "P": "png", "CMYK": "jpg"}
    for index in range(MANY - len(BROKEN)):
        mode = list(formats)[index % 5]
        path = root / f"{index // 10}" / ("x" * (index % 2)) / f"{index % 10}.{formats[mode]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = rng.integers(300, 700, 2)
        hazy_photograph(int(width), int(height)).convert(mode).save(path)
    (root / "deep").mkdir()
    (root / "text.jpg").write_text("no picture")
    (root / "empty.png").write_bytes(b"")
    for cut, whole in (("cut.jpg", "0/0.jpg"), ("deep/cut.png", "0/x/1.png")):
        (root / cut).write_bytes((root / whole).read_bytes()[:-900])
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    frames[0].save(root / "pages.gif", save_all=True, append_images=frames[1:])
    assert len(paths(root)) == MANY
    return root


def test_all_good_files_are_done_and_five_reported(many, tmp_path):
    result = kddn(many, "-r", "-o", "out", "--report", "run.jsonl", "--jobs", 2, cwd=tmp_path)
    assert result.returncode == 1
    expected = sorted(set(paths(many)) - set(BROKEN))
    assert paths(tmp_path / "out") == expected
    assert sorted(result.stdout.split()) == [f"out/{name}" for name in expected]
    rows = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    failed = [row["input"] for row in rows if row["status"] == "failed"]
    assert sorted(failed) == sorted(str(many / name) for name in BROKEN)
    for name in BROKEN:
        assert len(re.findall(rf"kddn: {re.escape(str(many / name))}", result.stderr)) == 1
    for name in expected:
        with Image.open(many / name) as hazy, Image.open(tmp_path / "out" / name) as clear:
            assert clear.size == hazy.size
            assert clear.format == hazy.format
            clear.load()


def visible(folder):
    return [folder / name for name in paths(folder) if not Path(name).name.startswith(".")]


def test_a_killed_run_goes_on(many, tmp_path):
    command = [sys.executable, "-m", "kddn", "dehaze", str(many), "-r", "-o", "out"]
    out = tmp_path / "out"
    null = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=tmp_path, stdout=null, stderr=null) as process:
        while len(visible(out)) < 8:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finished = visible(out)
    assert 8 <= len(finished) < MANY - len(BROKEN)
    for path in finished:
        with Image.open(path) as image:
            image.load()
    # Not `st_ctime_ns`: it changes too when the other name goes by which the last result was made.
    dates = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in finished}
    someone_elses = out / f"{_mark(Path('late.jpg'))}{_host()}-{os.getpid()}-1.part"
    someone_elses.write_bytes(b"not finished")
    result = kddn(many, "-r", "-o", "out", "--skip-existing", "--report", "run.jsonl", cwd=tmp_path)
    assert result.returncode == 1
    rows = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    states = [row["status"] for row in rows]
    assert states.count("skipped") == len(finished)
    assert states.count("done") == MANY - len(BROKEN) - len(finished)
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in finished} == dates
    assert list(out.rglob("*.part")) == [someone_elses]


def test_what_a_killed_process_left_is_removed(tmp_path, photo):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    part = photo.with_name(f"{_mark(Path('photo-dehazed.jpg'))}{_host()}-{gone.pid}-1.part")
    part.write_bytes(b"half")
    Dehazer(working_size=64).file(photo)
    assert not part.exists()
    # Killed after its last step, with the result under its name; the next run skips that.
    part.write_bytes(b"whole")
    kddn(photo, "--skip-existing", cwd=tmp_path)
    assert not part.exists()


@pytest.fixture
def folder(tmp_path):
    hazy_photograph(400, 300).save(tmp_path / "a.jpg", quality=90)
    hazy_photograph(300, 400).save(tmp_path / "b.png")
    return tmp_path


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def test_names_and_formats(folder):
    assert kddn("a.jpg", "--output", "x.webp", "--quiet", cwd=folder).stdout == ""
    with Image.open(folder / "x.webp") as image:
        assert image.format == "WEBP"
    assert kddn("a.jpg", "--suffix", "_c", "--format", "png", cwd=folder).stdout == "a_c.png\n"
    (folder / "a_c.png").write_bytes(b"")
    assert kddn("a.jpg", "--suffix", "_c", "--format", "png", cwd=folder).returncode == 1
    more = kddn("a.jpg", "--suffix", "_c", "--format", "png", "--overwrite", cwd=folder)
    assert more.returncode == 0
    assert pixels(folder / "a_c.png").shape == (300, 400, 3)


def test_in_place_replaces_the_picture(folder):
    before = pixels(folder / "a.jpg")
    assert kddn("a.jpg", "--in-place", cwd=folder).returncode == 0
    assert np.abs(pixels(folder / "a.jpg") - before).mean() > 5
    assert paths(folder) == ["a.jpg", "b.png"]


def test_skipping_is_told(folder):
    kddn("a.jpg", cwd=folder)
    rows = kddn("a.jpg", "b.png", "--skip-existing", "--json", cwd=folder).stdout.splitlines()
    assert [json.loads(row)["status"] for row in rows] == ["skipped", "done"]


def test_recursive_goes_deeper(folder):
    (folder / "in/deep").mkdir(parents=True)
    shutil.move(folder / "a.jpg", folder / "in/deep/a.jpg")
    shutil.move(folder / "b.png", folder / "in/b.png")
    assert kddn("in", "-o", "out", cwd=folder).stdout.split() == ["out/b.png"]
    more = kddn("in", "-o", "again", "--recursive", cwd=folder).stdout.split()
    assert more == ["again/b.png", "again/deep/a.jpg"]


def test_more_pixels_than_allowed_are_refused(folder):
    result = kddn("a.jpg", "b.png", "--max-pixels", "119999", cwd=folder)
    assert result.returncode == 1
    for name in ("a.jpg: it has 400 x 300", "b.png: it has 300 x 400"):
        assert f"{name} pixels" in result.stderr
    assert "raise --max-pixels if you trust it" in result.stderr
    assert kddn("a.jpg", "--max-pixels", "120000", cwd=folder).returncode == 0


def test_a_manifest_lists_pictures(folder):
    (folder / "list").mkdir()
    (folder / "list/files.txt").write_text("# trip\n../a.jpg\n\n../b.png\n")
    result = kddn("--manifest", "list/files.txt", "-o", "out", cwd=folder)
    assert result.stdout.split() == ["out/a.jpg", "out/b.png"], result.stderr


def test_settings_change_the_result(folder):
    results = {}
    for name, options in {
        "plain": [],
        "half": ["--strength", "0.5"],
        "more": ["--strength", "1.4"],
        "model": ["--model", "dcp"],
        "small": ["--working-size", "64"],
        "full": ["--full-resolution", "--working-size", "64"],
    }.items():
        assert kddn("b.png", "-o", f"{name}.png", *options, cwd=folder).returncode == 0
        results[name] = pixels(folder / f"{name}.png")
    full = results.pop("full")
    assert (full == results["plain"]).all()  # the picture is smaller than the working size
    assert len({result.tobytes() for result in results.values()}) == len(results)
    hazy = pixels(folder / "b.png")
    changes = [np.abs(results[name] - hazy).mean() for name in ("half", "plain", "more")]
    assert changes == sorted(changes)
    assert kddn("b.png", "--strength", "1.6", cwd=folder).returncode != 0


def test_a_missing_device_is_an_error(folder):
    assert "not available" in kddn("a.jpg", "--device", "cuda", cwd=folder).stderr


def test_jobs_run_at_the_same_time(folder):
    together, most = [], []

    class Slow:
        model = Dehazer("dcp").model

        def file(self, source, output, **options):
            together.append(source)
            most.append(len(together))
            time.sleep(0.1)
            together.remove(source)
            raise KddnError("done")

    jobs = [Job(Path(f"{i}"), Path(f"{i}-out")) for i in range(6)]
    assert len(list(run(Slow(), iter(jobs), threads=3))) == 6
    assert max(most) == 3
    assert kddn("a.jpg", "b.png", "--jobs", "2", cwd=folder).returncode == 0
    assert kddn("a.jpg", "--jobs", "0", cwd=folder).returncode != 0


class Sleepy:
    """Takes as many hundredths of a second for a picture as its name says."""

    model = Dehazer("dcp").model

    def file(self, source, output, **options):
        time.sleep(int(source.name) / 100)
        raise KddnError("done")


@pytest.mark.parametrize(("in_order", "expected"), [(True, "30 1 2"), (False, "1 2 30")])
def test_rows_come_in_the_pictures_order_unless_a_folder_is_watched(in_order, expected):
    jobs = [Job(Path(name), Path(f"{name}-out")) for name in ("30", "1", "2")]
    done = run(Sleepy(), jobs, threads=2, in_order=in_order)
    assert " ".join(str(job.source) for job, _ in done) == expected


def test_what_was_done_before_an_interrupt_is_told():
    class Interrupted(Sleepy):
        def file(self, source, output, **options):
            time.sleep(int(source.name) / 100)
            return FileResult(output, (1, 1), 0.5, "0")

    def jobs():
        yield from (Job(Path(name), Path(f"{name}-out")) for name in ("50", "1", "2"))
        time.sleep(0.2)
        raise KeyboardInterrupt

    done = run(Interrupted(), jobs(), threads=2)
    told = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(str(job.source) for job, _ in done)
    assert sorted(told) == ["1", "2", "50"]  # though the first of them was still being done


def test_what_is_large_waits_for_room():
    room, held, most = Room(100), [], []

    def work(pixels):
        with room.hold(pixels):
            held.append(pixels)
            most.append(sorted(held))
            time.sleep(0.02)
            held.remove(pixels)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [60, 60, 30, 1000, 60, 10]))
    assert max(min(1000, sum(each)) for each in most if 1000 not in each) <= 100
    assert [each for each in most if 1000 in each] == [[1000]]
    assert max(map(len, most)) > 1


def test_pictures_are_counted_before_they_are_read(folder, monkeypatch):
    counted = []
    monkeypatch.setattr(Room, "hold", lambda room, pixels: counted.append(pixels) or nullcontext())
    (folder / "c.png").write_bytes(b"no picture")
    names = ["a.jpg", "c.png", "none.jpg", "video.mp4"]
    jobs = [Job(folder / name, folder / f"x-{name}") for name in names]
    list(run(Dehazer("dcp"), jobs, threads=2))
    assert sorted(counted) == [0, 10, 400 * 300, 50_000_000]


@pytest.mark.parametrize(("arguments", "expected"), [([], (2, 2)), (["--jobs", "1"], (1, 4))])
def test_the_cores_are_shared_between_the_pictures(folder, monkeypatch, arguments, expected):
    def watched(dehazer, work, settings, *, threads, in_order):
        found.append((threads, dehazer._threads))
        return iter(())

    found = []
    module = importlib.import_module("kddn.cli.dehaze")
    monkeypatch.setattr(module, "run", watched)
    monkeypatch.setattr(module, "cores", lambda: 4)
    monkeypatch.setattr(sys, "argv", ["kddn", "dehaze", str(folder), *arguments])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert found == [expected]


def test_a_network_runs_in_as_many_threads_as_asked_for():
    for dehazer in (Dehazer(threads=1), pickle.loads(pickle.dumps(Dehazer(threads=1)))):
        session = dehazer._estimator._network._session
        assert session.get_session_options().intra_op_num_threads == 1


def test_a_container_says_what_there_is(tmp_path, monkeypatch):
    cores, memory = machine.cores(), machine.memory()
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8))
    assert (machine.cores(), machine.memory() >= memory) == (8, True)
    (tmp_path / "cpu.max").write_text("350000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    assert (machine.cores(), machine.memory()) == (3, 1000000)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cores() == 8
    assert cores >= 1


def test_before_and_after_and_a_report(folder):
    result = kddn("a.jpg", "--compare", "--report", "r.jsonl", "-o", "out/a.jpg", cwd=folder)
    assert result.stdout.split() == ["out/a.jpg", "out/a-compared.jpg"]
    assert pixels(folder / "out/a-compared.jpg").shape[1] > 800
    kddn("b.png", "--report", "r.jsonl", cwd=folder)
    assert len((folder / "r.jsonl").read_text().splitlines()) == 2


def test_a_comparison_that_is_missing_is_made_when_a_run_goes_on(folder):
    kddn("a.jpg", cwd=folder)
    again = ("a.jpg", "--skip-existing", "--compare")
    assert kddn(*again, cwd=folder).stdout.split() == ["a-compared.jpg"]
    made = (folder / "a-compared.jpg").stat().st_mtime_ns
    assert kddn(*again, cwd=folder).returncode == 0
    assert (folder / "a-compared.jpg").stat().st_mtime_ns == made


def test_what_is_lost_is_told(folder):
    with Image.open(folder / "a.jpg") as image:
        image.save(folder / "a.jpg", exif=image.getexif(), comment="taken by me")
    said = kddn("a.jpg", "--format", "bmp", cwd=folder)
    assert said.returncode == 0
    assert "kddn: a-dehazed.bmp is without what its picture had: " in said.stderr


def until_job(looks):
    return next(job for job in looks if job is not None)


def test_a_picture_that_cannot_have_its_result_does_not_end_the_watch(folder):
    looks = watch(folder, Destination(output=str(folder), format="png"))
    jobs = {job.source.name: job for job in (until_job(looks), until_job(looks))}
    assert jobs["a.jpg"].problem == ""
    assert "would be replaced by its result" in jobs["b.png"].problem


def test_results_of_two_folders_do_not_replace_each_other(folder):
    for name in ("one", "two"):
        (folder / name).mkdir()
        shutil.move(
            folder / "a.jpg" if name == "one" else folder / "b.png", folder / name / "a.png"
        )
    template = Destination(output=str(folder / "out/{stem}{suffix}"))
    looks = watch(folder, template, recursive=True)
    first, second = until_job(looks), until_job(looks)
    assert (first.problem, first.output) == ("", second.output)
    assert "another picture's result is" in second.problem
    time.sleep(0.01)
    second.source.touch()
    again = until_job(looks)
    assert (again.source, again.problem) == (second.source, second.problem)
    first.source.touch()
    assert (again := until_job(looks)).source == first.source
    assert again.problem == ""


def test_a_newcomer_of_a_name_does_not_replace_the_result_of_the_one_before(folder):
    (folder / "b.png").unlink()
    looks = watch(folder, Destination(output=str(folder / "out")))
    first = until_job(looks)
    first.output.parent.mkdir()
    first.output.write_bytes(b"the first card's")
    (folder / "a.jpg").rename(folder.parent / "kept.jpg")
    assert [job for job in itertools.islice(looks, 2) if job] == []
    hazy_photograph(40, 30).save(folder / "a.jpg")  # of another card
    second = until_job(looks)
    assert (second.source, second.again) == (first.source, False)
    assert "another picture's result is" in second.problem
    assert "rename this one, or use {folder}" in second.problem
    (folder / "a.jpg").rename(folder / "c.jpg")
    assert (third := until_job(looks)).problem == ""
    assert third.output.name == "c.jpg"


def test_an_empty_result_does_not_count(folder):
    job = Job(folder / "a.jpg", folder / "out.jpg")
    (folder / "out.jpg").write_bytes(b"")  # as a machine may leave it that lost power
    [(_, row)] = run(Dehazer("dcp"), [job], Settings(skip_existing=True))
    assert row.status == "done"
    assert (folder / "out.jpg").stat().st_size > 0
    [(_, row)] = run(Dehazer("dcp"), [job], Settings(skip_existing=True))
    assert row.status == "skipped"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_names_that_differ_by_case_alone_are_one_name_on_some_systems(
    tmp_path, monkeypatch, platform
):
    monkeypatch.setattr("kddn.batch.plan.sys.platform", platform)
    pictures = [tmp_path / name for name in ("IMG_1.JPG", "img_1.png", "caf\u00e9.jpg")]
    pictures.append(tmp_path / "cafe\u0301.png")
    for path in pictures:
        path.write_bytes(b"")
    found = Found(pictures, tmp_path, single=False)
    names = [job.output.name for job in Destination(output="out", format="png").jobs(found)]
    if platform == "linux":
        assert names == ["IMG_1.png", "img_1.png", "caf\u00e9.png", "cafe\u0301.png"]
    else:
        old = [f"{name}.png" for name in ("IMG_1.JPG", "img_1.png", "caf\u00e9.jpg")]
        assert names == [*old, "cafe\u0301.png.png"]
        twins = Found([tmp_path / "a.jpg", tmp_path / "A.jpg"], tmp_path, single=False)
        with pytest.raises(KddnError, match="would both become"):
            Destination(output="out").jobs(twins)


def test_a_link_to_nowhere_is_not_passed_over(folder):
    (folder / "out.jpg").symlink_to(folder / "gone.jpg")
    job = Job(folder / "a.jpg", folder / "out.jpg")
    for skip in (False, True):
        [(_, row)] = run(Dehazer("dcp"), [job], Settings(skip_existing=skip))
        assert row.status == "failed"
        assert "out.jpg is a link that leads nowhere; remove it" in row.error
    [(_, row)] = run(Dehazer("dcp"), [job], Settings(overwrite=True))
    assert row.status == "done"
    assert (folder / "gone.jpg").is_file()


def test_watching_replaces_what_is_there_where_it_is_asked_to(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "kddn.cli.dehaze.run", lambda dehazer, work, how, **_: seen.append(how) or []
    )
    monkeypatch.setattr("kddn.cli.dehaze.watching.watch", lambda *_, **__: iter(()))
    for more in ((), ("--overwrite",), ("--skip-existing",)):
        command = ["kddn", "dehaze", "--watch", str(folder), "-o", str(folder / "out"), *more]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit, match="0"):
            main()
    assert [(how.overwrite, how.skip_existing) for how in seen] == [
        (False, True),
        (True, False),
        (False, True),
    ]


def test_namesakes_keep_their_endings_whichever_came_first(folder):
    shutil.copy(folder / "b.png", folder / "a.png")
    looks = watch(folder, Destination(output="out", format="png"))
    places = {job.source.name: str(job.output) for job in (until_job(looks) for _ in range(3))}
    assert places == {"a.jpg": "out/a.jpg.png", "a.png": "out/a.png.png", "b.png": "out/b.png"}


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_what_cannot_be_looked_at_is_taken_and_so_told(folder, monkeypatch, error):
    def broken(*arguments, **options):
        raise error

    monkeypatch.setattr("kddn.io.files.open_picture", broken)
    assert is_whole(folder / "a.jpg", 0)


def test_a_picture_that_is_too_large_is_not_waited_for(folder):
    assert is_whole(folder / "a.jpg", 0, max_pixels=100)
    (folder / "a.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-2000])
    assert not is_whole(folder / "a.jpg", 0)


def test_watching_takes_files_once_they_are_whole(folder):
    (folder / "inbox").mkdir()
    options = ["--watch", "inbox", "-r", "-o", "inbox/out", "--jobs", "2", "--format", "png"]
    command = [sys.executable, "-m", "kddn", "dehaze", *options]
    content = (folder / "a.jpg").read_bytes()
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, interrupts are ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            shutil.copy(folder / "b.png", folder / "inbox/first.png")
            assert process.stdout.readline() == "inbox/out/first.png\n"  # it watches now
            (folder / "inbox/a.jpg").write_bytes(content[:-2000])
            time.sleep(3)
            assert paths(folder / "inbox/out") == ["first.png"]
            (folder / "inbox/a.jpg").write_bytes(content)
            assert process.stdout.readline() == "inbox/out/a.png\n"
            shutil.copy(folder / "b.png", folder / "inbox/a.png")  # whose result has the name too
            assert process.stdout.readline() == "inbox/out/a.png.png\n"
            first = pixels(folder / "inbox/out/a.png")
            Image.fromarray(255 - pixels(folder / "a.jpg").astype(np.uint8)).save(
                folder / "inbox/a.jpg"
            )
            assert process.stdout.readline() == "inbox/out/a.png\n"
            assert np.abs(pixels(folder / "inbox/out/a.png") - first).mean() > 20
            time.sleep(2)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (out, errors) == ("", "")
    assert process.returncode == 130
    assert pixels(folder / "inbox/out/a.png").shape == (300, 400, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_names_go_to_a_file_while_a_terminal_shows_progress(folder):
    import pty

    main_end, terminal = pty.openpty()
    with (folder / "names.txt").open("wb") as names:
        command = [sys.executable, "-m", "kddn", "dehaze", "a.jpg", "b.png", "--model", "dcp"]
        process = subprocess.Popen(
            command, cwd=folder, stdout=names, stderr=terminal, env=os.environ | {"TERM": "xterm"}
        )
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while part := os.read(main_end, 1 << 16):
                shown += part
        assert process.wait() == 0
    os.close(main_end)
    assert (folder / "names.txt").read_text() == "a-dehazed.jpg\nb-dehazed.png\n"
    assert b"Removing haze" in shown
    assert b"a-dehazed.jpg" not in shown


def test_a_pipe_reads_and_writes(folder):
    content = (folder / "a.jpg").read_bytes()
    result = kddn("-", cwd=folder, text=False, input=content)
    assert result.returncode == 0
    kddn("a.jpg", cwd=folder)
    assert (folder / "a-dehazed.jpg").read_bytes() == result.stdout
    as_png = kddn("-", "--format", "png", cwd=folder, text=False, input=content).stdout
    assert as_png.startswith(b"\x89PNG")
    assert kddn("-", cwd=folder, input="").stderr == "kddn: nothing came in by the pipe\n"


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ([], "which pictures?"),
        (["a.jpg", "--overwrite", "--skip-existing"], "contradict each other"),
        (["a.jpg", "-o", "x.png", "--format", "jpg"], "--output x.png and --format jpg contradict"),
        (["a.jpg", "--watch", "."], "--watch is for a folder alone"),
        (["a.jpg", "--in-place", "--compare"], "leaves nothing to compare with"),
        (["a.jpg", "--in-place", "--skip-existing"], "leaves nothing to tell by"),
        (
            ["a.jpg", "--in-place", "-o", "b"],
            "--in-place says where results go; leave out --output",
        ),
        (["holidy", "-r", "-o", "clear"], "holidy does not exist"),
        (["-", "-o", "clear.jpg"], "one picture from a pipe goes to a pipe"),
        (["a.jpg", "-o", "-"], "one picture from a pipe goes to a pipe"),
        (["a.jpg", "--report", "b.png/run.jsonl"], "--report b.png/run.jsonl cannot be written"),
    ],
)
def test_contradictions_are_named(folder, arguments, cause):
    result = kddn(*arguments, cwd=folder)
    assert result.returncode == 1
    assert cause in result.stderr
    assert paths(folder) == ["a.jpg", "b.png"]


def test_every_flag_of_the_help_has_its_test(folder):
    told = kddn("--help", cwd=folder, env=os.environ | {"COLUMNS": "200"})
    shown = set(re.findall(r"--[a-z][a-z-]+", told.stdout))
    assert shown > {"--strength", "--skip-existing", "--working-size"}
    given = set(re.findall(r'"(--[a-z-]+)"', Path(__file__).read_text()))
    assert shown - {"--help", "--version"} <= given

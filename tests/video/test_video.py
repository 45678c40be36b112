"""Videos: timing and sound stay, brightness is steady, what is broken is told."""

import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from helpers import DEMO, with_subtitles
from kddn import Dehazer
from kddn.affine import AffineMap
from kddn.batch.plan import Job
from kddn.batch.run import Settings, run
from kddn.cli import app
from kddn.errors import ImageError, VideoError
from kddn.video.dehaze import dehaze_video
from kddn.video.stability import Stabilizer, is_cut

pytestmark = pytest.mark.slow

SIZE = (160, 96)


@pytest.fixture(scope="module")
def dehazer():
    return Dehazer(working_size=96)


def shots(count, *, pan=0, noise=0, seed=0):
    """Frames of a photograph under haze, panned, each with noise of its own."""
    with Image.open(DEMO) as image:
        wide = np.asarray(image.resize((SIZE[0] + pan, 120)), float)[:96] * 0.6 + 90
    rng = np.random.default_rng(seed)
    for index in range(count):
        left = round(pan * index / max(count - 1, 1))
        frame = wide[:, left : left + SIZE[0]] + rng.normal(0, noise, (96, SIZE[0], 3))
        yield frame.clip(0, 255).round().astype(np.uint8)


def video(path, frames, *, codec="libx264", rate=Fraction(30000, 1001), times=None, **tags):
    """A video with a tone, and its frames at times in 1/90000 s if they are given."""
    with av.open(str(path), "w") as result:
        stream = result.add_stream(codec, rate=rate, options={"crf": "10"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = tags.pop("pix_fmt", "yuv420p")
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        for tag, value in tags.items():
            setattr(stream.codec_context, tag, value)
        sound = result.add_stream("aac", rate=48000)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index if times is None else times[index]
            if times is not None:
                frame.time_base = Fraction(1, 90000)
            result.mux(stream.encode(frame))
        result.mux(stream.encode(None))
        tone = np.sin(np.arange(48000) / 48000 * 2 * np.pi * 440).astype(np.float32) * 0.3
        for start in range(0, 47 * 1024, 1024):
            part = tone[None, start : start + 1024]
            heard = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            heard.rate, heard.pts = 48000, start
            result.mux(sound.encode(heard))
        result.mux(sound.encode(None))
    return path


def decoded(path):
    with av.open(str(path)) as opened:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24"))
            for frame in opened.decode(video=0)
        ]


def packets(path):
    with av.open(str(path)) as opened:
        return [(p.pts, bytes(p)) for p in opened.demux(audio=0) if p.dts is not None]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "flv", "m2ts", "3gp"])
def test_timing_and_sound_stay(tmp_path, dehazer, ending):
    source = video(tmp_path / f"a.{ending}", shots(30, pan=20))
    seen = []
    done = dehaze_video(
        dehazer, source, tmp_path / f"b.{ending}", on_frame=lambda *count: seen.append(count)
    )
    assert (done.frames, done.size, done.held, done.cuts) == (30, SIZE, [], 0)
    assert [number for number, _ in seen] == list(range(1, 31))
    before, after = decoded(source), decoded(done.path)
    assert [time for time, _ in after] == [time for time, _ in before]
    assert [data for _, data in packets(done.path)] == [data for _, data in packets(source)]
    with av.open(str(source)) as one, av.open(str(done.path)) as other:
        assert one.streams.video[0].average_rate == other.streams.video[0].average_rate
        assert abs(one.duration - other.duration) < 1e6 / 30
    contrast = [np.std([frame for _, frame in frames]) for frames in (before, after)]
    assert contrast[1] > 1.1 * contrast[0]  # haze is gone
    assert not list(tmp_path.glob(".*"))


def test_the_result_is_what_the_frames_would_be_alone(tmp_path, dehazer):
    source = video(tmp_path / "a.mp4", shots(6, pan=12))
    done = dehaze_video(dehazer, source, tmp_path / "b.mp4", memory=0)
    for (_, hazy), (_, clear) in zip(decoded(source), decoded(done.path), strict=True):
        assert np.abs(dehazer(hazy).astype(float) - clear).mean() < 4  # encoded again
    strengthless = dehaze_video(dehazer, source, tmp_path / "c.mp4", strength=0)
    for (_, hazy), (_, clear) in zip(decoded(source), decoded(strengthless.path), strict=True):
        assert np.abs(hazy.astype(float) - clear).mean() < 3


def test_a_variable_rate_stays(tmp_path, dehazer):
    times = [0, 3000, 9000, 10500, 30000, 31500]
    source = video(tmp_path / "a.mkv", shots(6), times=times)
    done = dehaze_video(dehazer, source, tmp_path / "b.mkv")
    assert [time for time, _ in decoded(done.path)] == [time for time, _ in decoded(source)]


@pytest.mark.parametrize(
    ("codec", "output"), [("libx264", "mkv"), ("libx264", "avi"), ("mpeg4", "avi")]
)
def test_avi_whose_frames_have_no_times_of_their_own(tmp_path, dehazer, codec, output):
    source = video(tmp_path / "a.avi", shots(8, pan=60), codec=codec)
    done = dehaze_video(dehazer, source, tmp_path / f"b.{output}", memory=0)
    hazy, clear = decoded(source), decoded(done.path)
    assert len(clear) == 8
    times = [time for time, _ in clear]
    assert times == sorted(times)
    for (_, before), (_, after) in zip(hazy, clear, strict=True):
        assert np.abs(dehazer(before).astype(float) - after).mean() < 5  # none out of its order


def test_a_turned_video_comes_out_upright(tmp_path, dehazer):
    source = video(tmp_path / "a.mp4", shots(4))
    turned = tmp_path / "turned.mp4"
    with av.open(str(source)) as opened, av.open(str(turned), "w") as result:
        stream = result.add_stream_from_template(opened.streams.video[0])
        for packet in opened.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                result.mux(packet)
    content = bytearray(turned.read_bytes())
    place = content.index(b"tkhd")  # its matrix begins 40 bytes after the name
    quarter = [0, 1 << 16, 0, -(1 << 16) & 0xFFFFFFFF, 0, 0, SIZE[1] << 16, 0, 1 << 30]
    content[place + 44 : place + 80] = b"".join(word.to_bytes(4, "big") for word in quarter)
    turned.write_bytes(content)
    with av.open(str(turned)) as opened:
        angle = next(opened.decode(video=0)).rotation
    assert angle in (90, -90)
    done = dehaze_video(dehazer, turned, tmp_path / "b.mp4", memory=0)
    assert done.size == SIZE[::-1]
    upright = np.rot90(decoded(source)[0][1], angle // 90)
    clear = dehazer(np.ascontiguousarray(upright)).astype(float)
    assert np.abs(clear - decoded(done.path)[0][1]).mean() < 4


@pytest.mark.parametrize(("colour_range", "space", "primaries"), [(1, 1, 1), (2, 6, 6), (1, 9, 9)])
def test_colour_tags_stay_and_colours_too(tmp_path, dehazer, colour_range, space, primaries):
    tags = {"color_range": colour_range, "colorspace": space, "color_primaries": primaries}
    source = video(tmp_path / "a.mp4", shots(3), **tags)
    done = dehaze_video(dehazer, source, tmp_path / "b.mp4", strength=0)
    with av.open(str(source)) as one, av.open(str(done.path)) as other:
        first, second = next(one.decode(video=0)), next(other.decode(video=0))
    for tag, value in tags.items():
        assert getattr(first, tag) == getattr(second, tag) == value
    planes = [frame.to_ndarray(format="yuv420p").astype(float) for frame in (first, second)]
    assert np.abs(planes[0] - planes[1]).mean() < 2


def test_10_bits_stay_10_bits(tmp_path, dehazer):
    source = video(tmp_path / "a.mkv", shots(3), codec="ffv1", pix_fmt="yuv420p10le")
    done = dehaze_video(dehazer, source, tmp_path / "b.mkv")
    with av.open(str(done.path)) as opened:
        assert opened.streams.video[0].codec_context.name == "ffv1"
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p10le"


def flicker(frames):
    """Mean second difference over time of the mean brightness of blocks: noise averages out."""
    gray = np.array([frame.mean(2) for _, frame in frames])
    blocks = gray.reshape(len(gray), 6, 16, 10, 16).mean((2, 4))
    return np.abs(np.diff(blocks, 2, axis=0)).mean()


@pytest.mark.parametrize("pan", [0, 30])
def test_brightness_is_steadier_than_frame_by_frame(tmp_path, dehazer, pan):
    source = video(tmp_path / "a.mp4", shots(24, noise=10, pan=pan))
    each = dehaze_video(dehazer, source, tmp_path / "each.mp4", memory=0)
    steady = dehaze_video(dehazer, source, tmp_path / "steady.mp4")
    assert flicker(decoded(steady.path)) < 0.85 * flicker(decoded(each.path))


def test_a_cut_begins_anew(tmp_path, dehazer):
    dark = np.full((96, 160, 3), 20, np.uint8)
    dark[20:60, 30:90] = 60
    frames = [*shots(5), *[dark] * 5]
    source = video(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    done = dehaze_video(dehazer, source, tmp_path / "b.mkv")
    assert done.cuts == 1
    clear = decoded(done.path)[5][1]
    assert np.abs(dehazer(dark).astype(float) - clear).max() <= 1  # nothing of the shot before


def test_maps_are_carried_where_the_picture_stands_still():
    hazy = np.random.default_rng(0).random((32, 48, 3)).astype(np.float32) * 0.2 + 0.4
    ones = np.ones_like(hazy)
    steady = Stabilizer(0.8)
    assert steady(hazy, AffineMap(ones, 0 * ones)).scale.max() == 1
    after = steady(hazy, AffineMap(2 * ones, ones))
    np.testing.assert_allclose(after.scale, 1.2, atol=1e-5)
    np.testing.assert_allclose(after.offset, 0.2, atol=1e-5)
    edge = np.ones_like(hazy)
    edge[:, 12:] = 3
    hazy[:, :24] += 0.2
    moved = np.ascontiguousarray(hazy[:, ::-1])
    more = Stabilizer(0.8)
    more(hazy, AffineMap(edge, 0 * ones))
    carried = more(moved, AffineMap(ones, 0 * ones)).scale
    assert np.abs(np.diff(carried, axis=1)).max() < 0.7  # the edge was not dragged along: 1.6
    assert not is_cut(hazy, moved)
    assert is_cut(hazy, hazy * 0.3)
    with pytest.raises(ValueError, match="memory"):
        Stabilizer(1.0)


def test_a_broken_frame_is_told_and_held(tmp_path, dehazer):
    source = video(tmp_path / "a.mkv", shots(12, pan=30), codec="mjpeg", pix_fmt="yuvj420p")
    broken = tmp_path / "broken.mkv"
    with av.open(str(source)) as opened, av.open(str(broken), "w") as result:
        stream = result.add_stream_from_template(opened.streams.video[0])
        for number, packet in enumerate(opened.demux(video=0)):
            if packet.dts is None:
                continue
            if number == 5:
                times = packet.pts, packet.dts, packet.time_base
                packet = av.Packet(b"no picture at all")
                packet.pts, packet.dts, packet.time_base = times
            packet.stream = stream
            result.mux(packet)
    done = dehaze_video(dehazer, broken, tmp_path / "b.mkv")
    assert done.frames == 12
    assert done.held == pytest.approx([5 * 1001 / 30000], abs=1e-3)
    frames = decoded(done.path)
    assert [time for time, _ in frames] == [time for time, _ in decoded(source)]
    differences = [np.abs(frames[i][1].astype(float) - frames[i - 1][1]).mean() for i in (4, 5, 6)]
    assert differences[1] < 0.5 * min(differences[0], differences[2])


@pytest.mark.parametrize("ending", ["mkv", "ts"])
def test_damage_of_any_kind_costs_no_more_than_some_frames(tmp_path, dehazer, ending):
    """Frames of H.264 lean on others, come in another order, and are concealed by FFmpeg too."""
    source = video(tmp_path / f"a.{ending}", shots(24, pan=30), rate=Fraction(25))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        damaged = tmp_path / f"damaged.{ending}"
        with av.open(str(source)) as opened, av.open(str(damaged), "w") as result:
            stream = result.add_stream_from_template(opened.streams.video[0])
            for packet in (each for each in opened.demux(video=0) if each.size):
                content = bytearray(bytes(packet))
                hits = 0 if packet.is_keyframe else rng.integers(0, 3)  # which all others need
                for place in rng.integers(0, len(content), hits):
                    content[place] = rng.integers(0, 256)
                made = av.Packet(bytes(content))
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.is_keyframe = packet.is_keyframe
                made.stream = stream
                result.mux(made)
        done = dehaze_video(dehazer, damaged, tmp_path / "b.mkv", overwrite=True)
        times = [time for time, _ in decoded(done.path)]
        assert len(times) == done.frames >= 12
        assert np.diff(times).min() > 0


def test_broken_frames_before_the_first_whole_one_are_lost(tmp_path, dehazer):
    source = video(tmp_path / "a.mkv", shots(6), codec="mjpeg", pix_fmt="yuvj420p")
    broken = tmp_path / "broken.mkv"
    with av.open(str(source)) as opened, av.open(str(broken), "w") as result:
        stream = result.add_stream_from_template(opened.streams.video[0])
        for number, packet in enumerate(each for each in opened.demux(video=0) if each.size):
            times = packet.pts, packet.dts, packet.time_base
            made = av.Packet(b"no picture at all") if number < 2 else packet
            made.pts, made.dts, made.time_base = times
            made.stream = stream
            result.mux(made)
    done = dehaze_video(dehazer, broken, tmp_path / "b.mkv")
    assert (done.frames, done.held) == (4, [])
    assert done.lost == (
        "a broken frame at its beginning (0.00 s)",
        "a broken frame at its beginning (0.03 s)",
    )


def test_further_videos_are_left_out_and_named(tmp_path, dehazer):
    source = video(tmp_path / "a.mkv", shots(4))
    with av.open(str(tmp_path / "two.mkv"), "w") as result:
        made = []
        for _ in range(2):
            opened = av.open(str(source))
            made.append((opened, result.add_stream_from_template(opened.streams.video[0])))
        for opened, stream in made:
            for packet in opened.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    result.mux(packet)
            opened.close()
    done = dehaze_video(dehazer, tmp_path / "two.mkv", tmp_path / "b.mkv")
    assert done.lost == ("a further video stream",)
    with av.open(str(done.path)) as opened:
        assert len(opened.streams.video) == 1


def test_subtitles_chapters_and_titles_are_copied(tmp_path, dehazer):
    plain = video(tmp_path / "plain.mkv", shots(30))
    lines = "1\n00:00:00,100 --> 00:00:00,400\nThe fog lifts.\n\n"
    chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {}}
    source = with_subtitles(plain, lines, title="Fog", chapters=[chapter])
    done = dehaze_video(dehazer, source, tmp_path / "b.mkv")
    with av.open(str(done.path)) as opened:
        assert opened.metadata["title"] == "Fog"
        assert opened.streams.subtitles[0].metadata["language"] == "deu"
        assert [chapter["end"] for chapter in opened.chapters()] == [500_000_000]
        heard = [bytes(p) for p in opened.demux(subtitles=0) if p.dts is not None]
    assert heard == [b"The fog lifts."]


def test_the_command_takes_videos(tmp_path, capsys):
    source = video(tmp_path / "a.mp4", shots(3))
    app(["dehaze", str(source), "--json"], result_action="return_value")
    assert '"frames": 3' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        app(["dehaze", str(source)])
    assert "exists already" in " ".join(capsys.readouterr().err.split())


def test_an_interrupted_video_leaves_nothing(tmp_path, dehazer):
    source, picture = tmp_path / "video.mp4", tmp_path / "one.png"
    video(source, shots(60))
    Image.fromarray(next(shots(1))).save(picture)
    jobs = [Job(path, tmp_path / f"out/{path.name}") for path in (picture, source)]
    picture_is_done = threading.Event()
    patient = Settings(on_frame=lambda *_: picture_is_done.wait(60) and None)
    rows = run(dehazer, jobs, patient, threads=2)
    job, row = next(rows)
    assert (job.source, row.status) == (picture, "done")
    picture_is_done.set()
    rows.close()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.png"]


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_hevc_is_tagged_as_apples_players_want_it(tmp_path, dehazer, ending):
    source = video(tmp_path / f"a.{ending}", shots(3), codec="libx265")
    dehaze_video(dehazer, source, tmp_path / f"b.{ending}")
    with av.open(str(tmp_path / f"b.{ending}")) as made:
        assert made.streams.video[0].codec_context.codec_tag == "hvc1"


def test_a_name_is_never_a_protocol(tmp_path, dehazer, monkeypatch):
    video(tmp_path / "source.mp4", shots(2)).rename(tmp_path / "12:30.mp4")
    monkeypatch.chdir(tmp_path)
    dehaze_video(dehazer, Path("12:30.mp4"), Path("12:31.mp4"))
    assert len(decoded(tmp_path / "12:31.mp4")) == 2


def test_what_is_no_video_is_named(tmp_path, dehazer):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"a.mp4 cannot be done .* see that it is whole"):
        dehaze_video(dehazer, tmp_path / "a.mp4", tmp_path / "b.mp4")
    source = video(tmp_path / "c.mp4", shots(3))
    with pytest.raises(ValueError, match=r"strength must lie in \[0, 1.5\], not -3"):
        dehaze_video(dehazer, source, tmp_path / "b.mp4", strength=-3)
    with pytest.raises(ValueError, match=r"memory must lie in \[0, 1\)"):
        dehaze_video(dehazer, source, tmp_path / "b.mp4", memory=1.0)
    with pytest.raises(VideoError, match=r"no container ends in '.gif'"):
        dehaze_video(dehazer, source, tmp_path / "b.gif")
    (tmp_path / "b.mp4").write_bytes(b"precious")
    with pytest.raises(ImageError, match="exists already"):
        dehaze_video(dehazer, source, tmp_path / "b.mp4")
    sound = tmp_path / "sound.mp4"
    with av.open(str(source)) as opened, av.open(str(sound), "w") as result:
        stream = result.add_stream_from_template(opened.streams.audio[0])
        for packet in opened.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                result.mux(packet)
    with pytest.raises(VideoError, match="holds no video"):
        dehaze_video(dehazer, sound, tmp_path / "d.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.mp4", "b.mp4", "c.mp4", "sound.mp4",
    ]  # fmt: skip

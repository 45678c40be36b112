"""Videos as people have them: codecs, pixel formats, and what lies beside the pictures."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from helpers import DEMO, with_subtitles
from kddn import Dehazer
from kddn.errors import ImageError, VideoError
from kddn.video import transcode
from kddn.video.dehaze import dehaze_video

pytestmark = pytest.mark.slow

QUIET = "log-level=error"


@pytest.fixture(scope="module")
def dehazer():
    return Dehazer(working_size=96)


def shots(count, size, *, alpha=False):
    """Frames of a photograph under haze, with transparency from left to right where asked."""
    width, height = size
    with Image.open(DEMO) as image:
        wide = np.asarray(image.resize((width + 2 * count, height)), float) * 0.6 + 90
    for index in range(count):
        frame = wide[:, 2 * index : 2 * index + width]
        if alpha:
            ramp = np.broadcast_to(np.linspace(0, 255, width), (height, width))
            frame = np.dstack([frame, ramp])
        yield np.ascontiguousarray(frame.round().astype(np.uint8))


def video(path, codec="libx264", pixel_format="yuv420p", *, size=(160, 96), count=6, **more):
    """A video with no sound."""
    frames = more.pop("frames", None) or shots(count, size, alpha=more.pop("alpha", False))
    said, of_stream = more.pop("says", {}), more.pop("of_stream", {})
    with av.open(str(path), "w", options=more.pop("container", {})) as result:
        result.metadata.update(said)
        stream = result.add_stream(codec, rate=25, options=more.pop("options", {}))
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.metadata.update(of_stream)
        for tag, value in more.items():
            setattr(stream.codec_context, tag, value)
        for index, pixels in enumerate(frames):
            kind = "rgba" if pixels.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(pixels, format=kind)
            frame.pts = index
            result.mux(stream.encode(frame))
        result.mux(stream.encode(None))
    return path


def frames(path, decoder=None):
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        if decoder is None:
            return list(opened.decode(video=0))
        context = av.CodecContext.create(decoder, "r")
        context.extradata = stream.codec_context.extradata
        return [frame for packet in opened.demux(stream) for frame in context.decode(packet)]


def codec(path):
    with av.open(str(path)) as opened:
        return opened.streams.video[0].codec_context.codec.canonical_name


KEPT = [
    ("avi", "mpeg4", "yuv420p", "mpeg4"),
    ("webm", "libvpx-vp9", "yuv420p", "vp9"),
    ("webm", "libvpx", "yuv420p", "vp8"),
    ("mkv", "ffv1", "yuv420p", "ffv1"),
    ("avi", "mjpeg", "yuvj420p", "mjpeg"),
    ("mkv", "libx264", "yuv444p", "h264"),
    ("mkv", "libx264", "gray", "h264"),
    ("avi", "utvideo", "gbrp", "utvideo"),
    ("mpg", "mpeg2video", "yuv420p", "mpeg2video"),
    ("wmv", "wmv2", "yuv420p", "wmv2"),
    ("flv", "flv", "yuv420p", "flv1"),
    ("mov", "prores_ks", "yuv444p10le", "prores"),
    ("mov", "qtrle", "rgb24", "qtrle"),
    ("mp4", "libsvtav1", "yuv420p10le", "av1"),
]
"""Endings, encoders, pixel formats and codecs."""

ONLY_EVEN = ("utvideo", "wmv2")


@pytest.mark.parametrize(
    ("ending", "encoder", "pixel_format", "expected", "size"),
    [(*kept, (160, 96)) for kept in KEPT]
    + [(*kept, (161, 97)) for kept in KEPT if kept[1] not in ONLY_EVEN and kept[2] != "gray"],
)
def test_pictures_are_encoded_as_what_they_were(
    tmp_path, dehazer, ending, encoder, pixel_format, expected, size
):
    path = tmp_path / f"a.{ending}"
    video(path, encoder, pixel_format, size=size)
    done = dehaze_video(dehazer, path, tmp_path / f"b.{ending}", strength=0)
    assert codec(done.path) == expected
    before, after = frames(path), frames(done.path)
    assert (after[0].width, after[0].height) == size == done.size
    assert len(before) == len(after) == done.frames
    assert after[0].format.name == before[0].format.name
    assert done.lost == ()
    for one, other in zip(before, after, strict=True):
        error = one.to_ndarray(format="rgb24") - other.to_ndarray(format="rgb24").astype(float)
        assert np.abs(error).mean() < 5


def test_small_pictures_are_not_given_to_x265_which_would_crash(tmp_path):
    path = video(tmp_path / "a.mkv", "libx265", "yuv420p", size=(160, 96))
    with av.open(str(path)) as opened, av.open(str(tmp_path / "x.mkv"), "w") as result:
        stream = opened.streams.video[0]
        [frame, *_] = opened.decode(stream)
        for size, encoder in {
            (64, 64): "libx265",
            (62, 96): "libx264",
            (96, 48): "libx264",
        }.items():
            small = frame.reformat(*size)
            assert transcode.encoding(small, stream, result).encoder == encoder


def test_a_codec_that_is_not_known_is_named(tmp_path, dehazer):
    path = video(tmp_path / "a.mov", "mjpeg", "yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"jpeg", b"zzzz"))
    with pytest.raises(VideoError, match=r"a.mov has pictures in a codec that FFmpeg does not"):
        dehaze_video(dehazer, path, tmp_path / "b.mov")


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_odd_sides_are_given_a_format_that_holds_them(tmp_path, encoder):
    path = video(tmp_path / "a.mkv", "ffv1", "yuv420p", size=(161, 97))
    [frame, *_] = frames(path)
    assert transcode._closest(frame, encoder) == "yuv444p"
    assert transcode._closest(frame, "libvpx-vp9") == "yuv420p"


@pytest.mark.parametrize(
    ("ending", "encoder", "pixel_format", "decoder"),
    [
        ("mov", "prores_ks", "yuva444p10le", None),
        ("webm", "libvpx-vp9", "yuva420p", "libvpx-vp9"),
        ("mkv", "ffv1", "yuva420p", None),
        ("mov", "png", "rgba", None),
        ("mov", "qtrle", "argb", None),
    ],
)
def test_transparency_stays(tmp_path, dehazer, ending, encoder, pixel_format, decoder):
    path = video(tmp_path / f"a.{ending}", encoder, pixel_format, alpha=True)
    done = dehaze_video(dehazer, path, tmp_path / f"b.{ending}")
    assert done.lost == ()
    pairs = zip(frames(path, decoder), frames(done.path, decoder), strict=True)
    for before, after in pairs:
        one, other = (frame.to_ndarray(format="rgba").astype(float) for frame in (before, after))
        assert np.abs(one[..., 3] - other[..., 3]).mean() < 3
        assert np.abs(one[:, 80:, :3] - other[:, 80:, :3]).mean() > 5


def test_transparency_that_another_container_cannot_hold_is_named(tmp_path, dehazer):
    path = video(tmp_path / "a.mov", "png", "rgba", alpha=True)
    done = dehaze_video(dehazer, path, tmp_path / "b.3gp")
    assert codec(done.path) == "h264"
    assert done.lost == ("transparency",)


def side_data(frame):
    return {data.type.name: bytes(data) for data in frame.side_data}


HDR10 = (
    "hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
    "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1):"
    "max-cll=1000,400"
)


def test_hdr10_stays(tmp_path, dehazer):
    path = video(
        tmp_path / "a.mkv",
        "libx265",
        "yuv420p10le",
        options={"x265-params": f"{QUIET}:{HDR10}"},
        color_primaries=9,
        color_trc=16,
        colorspace=9,
        color_range=1,
    )
    done = dehaze_video(dehazer, path, tmp_path / "b.mkv")
    before, after = (side_data(frames(each)[0]) for each in (path, done.path))
    for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        assert after[kind] == before[kind]
    assert frames(done.path)[0].color_trc == 16
    assert done.lost == ()


def test_a_display_in_the_words_of_each_encoder():
    numbers = [34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450]
    rationals = [part for n in numbers for part in (n, 50_000)] + [50, 10_000, 10_000_000, 10_000]
    data = np.array([*rationals, 1, 1], "<i4").tobytes()
    whole = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    assert transcode._display(data, "libx265") == whole
    parts = "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"
    assert transcode._display(data, "libsvtav1") == parts


def field_order(path):
    with av.open(str(path)) as opened:
        return opened.streams.video[0].codec_context.field_order


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_stay_fields(tmp_path, dehazer, order):
    path = video(tmp_path / "a.mp4", options={"x264-params": f"{order}=1"})
    done = dehaze_video(dehazer, path, tmp_path / "b.mp4")
    assert frames(path)[0].interlaced_frame
    assert frames(done.path)[0].interlaced_frame
    assert field_order(done.path) == field_order(path)
    assert done.lost == ()
    done = dehaze_video(dehazer, path, tmp_path / "b.webm")
    assert done.lost == ("the mark that it is interlaced, which its lines still are",)
    done = dehaze_video(dehazer, path, tmp_path / "b.mpg")
    assert frames(done.path)[0].interlaced_frame
    assert done.lost == ("the order of its fields",) * (order == "tff")


def test_what_a_video_says_of_itself_stays(tmp_path, dehazer):
    place, maker = "+43.2000-002.5000/", "com.apple.quicktime.make"
    for ending, says in {
        "mp4": {"title": "Fog", "location": place},
        "mov": {"title": "Fog", maker: "Cam", "com.apple.quicktime.location.ISO6709": place},
        "mkv": {"title": "Fog", "ENCODED_BY": "someone"},
    }.items():
        own = {"movflags": "use_metadata_tags"} if maker in says else {}
        of_stream = {"language": "eus", "handler_name": "Left eye"}
        of_stream |= {"timecode": "01:00:00:00"} if ending != "mkv" else {}
        path = video(tmp_path / f"a.{ending}", says=says, of_stream=of_stream, container=own)
        done = dehaze_video(dehazer, path, tmp_path / f"b.{ending}")
        with av.open(str(path)) as one, av.open(str(done.path)) as other:
            assert says.items() <= other.metadata.items()
            before, after = one.streams.video[0].metadata, other.streams.video[0].metadata
            assert before == after
            assert {"language", "timecode"} & set(before)
        assert done.lost == ()


@pytest.mark.parametrize(
    ("begun", "ending", "expected"),
    [
        ("mkv", "mp4", "mov_text"),
        ("mkv", "mkv", "subrip"),
        ("mkv", "webm", "webvtt"),
        ("mp4", "mkv", "subrip"),
    ],
)
def test_subtitles_become_what_the_container_holds(tmp_path, dehazer, begun, ending, expected):
    path = video(tmp_path / "a.mkv", count=60, size=(64, 48))
    lines = (
        "1\n00:00:00,200 --> 00:00:01,000\nThe fog\n\n2\n00:00:01,200 --> 00:00:02,000\nlifts.\n"
    )
    source = with_subtitles(path, lines)
    if begun == "mp4":
        source = dehaze_video(dehazer, source, tmp_path / "begun.mp4").path
    done = dehaze_video(dehazer, source, tmp_path / f"b.{ending}")
    with av.open(str(done.path)) as opened:
        stream = opened.streams.subtitles[0]
        assert stream.codec_context.codec.canonical_name == expected
        assert stream.metadata["language"] == "deu"
        heard = [
            (packet.pts * packet.time_base, bytes(packet)[2:] if expected == "mov_text" else packet)
            for packet in opened.demux(stream)
            if packet.size > 2
        ]
    assert [float(time) for time, _ in heard] == [0.2, 1.2]
    assert [bytes(text) for _, text in heard] == [b"The fog", b"lifts."]
    assert done.lost == ()


def test_subtitles_that_fit_nowhere_are_named(tmp_path, dehazer):
    path = video(tmp_path / "a.mkv", count=30, size=(64, 48))
    source = with_subtitles(path, "1\n00:00:00,200 --> 00:00:01,000\nThe fog\n")
    done = dehaze_video(dehazer, source, tmp_path / "b.flv")
    assert done.lost == ("subtitles (subrip)",)
    assert len(frames(done.path)) == 30


def test_joined_streams_go_on(tmp_path, dehazer):
    one = video(tmp_path / "one.ts", count=25)
    two = tmp_path / "two.ts"
    with av.open(str(one)) as opened, av.open(str(two), "w") as result:
        stream = result.add_stream_from_template(opened.streams.video[0])
        for packet in opened.demux(video=0):
            if packet.size:
                later = round(3600 / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = stream
                result.mux(packet)
    for parts in ((one, two), (two, one)):
        joined = tmp_path / f"{parts[0].stem}-first.ts"
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        done = dehaze_video(dehazer, joined, joined.with_suffix(".mkv"))
        times = [float(frame.pts * frame.time_base) for frame in frames(done.path)]
        assert len(times) >= 48  # FFmpeg's reader may drop one where they are joined
        steps = np.diff(times)
        assert steps.min() > 0
        assert steps.max() < 0.5


def test_frames_of_another_size_are_named(tmp_path, dehazer):
    one = video(tmp_path / "one.ts", size=(96, 64))
    two = video(tmp_path / "two.ts", size=(128, 64))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    done = dehaze_video(dehazer, joined, tmp_path / "joined.mkv")
    assert {(frame.width, frame.height) for frame in frames(done.path)} == {(96, 64)}
    told = "the other sizes of later frames, which are made as large as the first"
    assert done.lost.count(told) == 1
    assert dehaze_video(dehazer, one, tmp_path / "one.mkv").lost == ()


def test_an_output_that_cannot_be_is_not_the_videos_fault(tmp_path, dehazer):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(ImageError, match=r"out cannot be made a folder"):
        dehaze_video(dehazer, video(tmp_path / "one.mp4"), tmp_path / "out/one.mp4")


def test_short_clips_that_were_joined_go_on_too(tmp_path, dehazer):
    """Whose times go back by less than any gap."""
    two, one = (video(tmp_path / f"{count}.ts", count=count) for count in (50, 25))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(two.read_bytes() + one.read_bytes())
    done = dehaze_video(dehazer, joined, tmp_path / "joined.mkv")
    times = [float(frame.pts * frame.time_base) for frame in frames(done.path)]
    assert len(times) >= 73
    assert np.diff(times).min() > 0
    assert np.diff(times).max() < 0.5


def packet(kind, index, dts):
    stream = SimpleNamespace(index=index, type=kind)
    return SimpleNamespace(stream=stream, dts=dts, pts=dts, duration=1, time_base=Fraction(1))


def test_gaps_in_sound_alone_are_no_jumps():
    pictures = [packet("video", 0, second) for second in range(30)]
    sound = [packet("audio", 1, second) for second in range(30) if not 5 < second < 24]
    together = sorted([*pictures, *sound], key=lambda each: each.dts)
    times = [each.dts for each in transcode.continuous(iter(together), "mpegts")]
    assert times == [each.dts for each in together] == sorted(times)


def test_gaps_between_subtitles_are_no_jumps():
    pictures = [packet("video", 0, second) for second in range(30)]
    words = [packet("subtitle", 1, second) for second in (1, 21)]
    together = sorted([*pictures, *words], key=lambda each: each.dts)
    times = [
        (each.stream.type, each.dts) for each in transcode.continuous(iter(together), "mpegts")
    ]
    assert [time for kind, time in times if kind == "video"] == list(range(30))
    assert [time for kind, time in times if kind == "subtitle"] == [1, 21]


def test_fonts_within_a_container_stay_or_are_named(tmp_path, dehazer):
    path = video(tmp_path / "a.mkv")
    source = tmp_path / "with.mkv"
    with av.open(str(path)) as opened, av.open(str(source), "w") as result:
        stream = result.add_stream_from_template(opened.streams.video[0])
        result.add_attachment("a.ttf", "font/ttf", b"some font")
        for packet in opened.demux(video=0):
            if packet.size:
                packet.stream = stream
                result.mux(packet)
    done = dehaze_video(dehazer, source, tmp_path / "b.mkv")
    with av.open(str(done.path)) as opened:
        [attached] = opened.streams.attachments
        assert (attached.name, bytes(attached.data)) == ("a.ttf", b"some font")
    assert dehaze_video(dehazer, source, tmp_path / "b.mp4").lost == ("an attachment (a.ttf)",)


def shown(path):
    with av.open(str(path)) as opened:
        return [frame.pts * frame.time_base for frame in opened.decode(video=0)]


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv"])
def test_a_frame_that_is_missing_does_not_stop_mpeg_4(tmp_path, dehazer, ending):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as result:
        stream = result.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index, pixels in enumerate(shots(30, (160, 96))):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index + (index > 20)
            result.mux(stream.encode(frame))
        result.mux(stream.encode(None))
    done = dehaze_video(dehazer, path, tmp_path / f"b.{ending}")
    assert done.frames == 30
    assert list(map(float, shown(done.path))) == pytest.approx(
        list(map(float, shown(path))), abs=1e-3
    )


@pytest.mark.parametrize(
    ("ending", "encoder", "pixel_format"),
    [
        ("mov", "prores_ks", "yuv422p10le"),
        ("mp4", "libx264", "yuv420p"),
        ("mkv", "libx264", "yuv420p"),
    ],
)
def test_the_shape_of_pixels_stays(tmp_path, dehazer, ending, encoder, pixel_format):
    path = tmp_path / f"a.{ending}"
    video(path, encoder, pixel_format, sample_aspect_ratio=Fraction(4, 3))
    done = dehaze_video(dehazer, path, tmp_path / f"b.{ending}")
    for each in (path, done.path):
        with av.open(str(each)) as opened:
            assert opened.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("ending", ["avi", "wmv"])
def test_reordered_frames_come_in_order_where_a_container_knows_no_other(tmp_path, dehazer, ending):
    path = video(tmp_path / "a.mp4", options={"bf": "2"}, count=12)
    done = dehaze_video(dehazer, path, tmp_path / f"b.{ending}")
    times = np.array(list(map(float, shown(done.path))))
    assert len(times) == 12
    steps = np.diff(times)[: -1 if ending == "wmv" else None]  # whose reader guesses the last
    np.testing.assert_allclose(steps, 0.04, atol=2e-3)
    with av.open(str(done.path)) as opened:
        assert opened.streams.video[0].average_rate == 25 or ending == "wmv"
    assert done.lost == ()


def test_frames_that_come_too_late_are_counted(tmp_path, dehazer):
    path = video(tmp_path / "a.wmv", options={"bf": "2"}, count=12)  # whose times are in disorder
    done = dehaze_video(dehazer, path, tmp_path / "b.mkv")
    assert 4 < done.frames < 12
    assert done.lost == (f"{12 - done.frames} frames whose times are before those of others",)


def test_a_list_of_other_files_is_no_video(tmp_path, dehazer):
    video(tmp_path / "other.ts")
    (tmp_path / "a.avi").write_text("ffconcat version 1.0\nfile other.ts\n")
    with pytest.raises(VideoError, match=r"a\.avi cannot be done"):
        dehaze_video(dehazer, tmp_path / "a.avi", tmp_path / "b.avi")


def test_data_that_no_one_knows_is_named(tmp_path, dehazer):
    """Such as iPhones' tracks, beside a timecode, which stays."""
    path = video(tmp_path / "a.mov", of_stream={"timecode": "01:02:03:04"})
    content = path.read_bytes()
    assert content.count(b"tmcd") >= 3
    changed = tmp_path / "b.mov"
    at = content.rindex(b"tref")
    begin = content[:at] + b"free" + content[at + 4 :]
    changed.write_bytes(begin.replace(b"tmcd", b"mebx"))
    with av.open(str(changed)) as opened:
        assert [stream.type for stream in opened.streams] == ["video", "data"]
    done = dehaze_video(dehazer, changed, tmp_path / "c.mov")
    assert done.lost == ("a stream of data (none)",)
    assert dehaze_video(dehazer, path, tmp_path / "d.mov").lost == ()


def test_a_rate_that_is_no_whole_number_stays(tmp_path, dehazer):
    for rate in (Fraction(24000, 1001), Fraction(25, 2)):
        path = tmp_path / "a.mpg" if rate > 20 else tmp_path / "a.mp4"
        with av.open(str(path), "w") as result:
            stream = result.add_stream("mpeg2video" if rate > 20 else "mpeg4", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            for index, pixels in enumerate(shots(6, (160, 96))):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts = index
                result.mux(stream.encode(frame))
            result.mux(stream.encode(None))
        done = dehaze_video(dehazer, path, path.with_stem("b"))
        with av.open(str(done.path)) as opened:
            assert opened.streams.video[0].average_rate == rate
        before, after = ([f.pts * f.time_base for f in frames(p)] for p in (path, done.path))
        assert [b - before[0] for b in before] == pytest.approx(
            [a - after[0] for a in after], abs=1e-3
        )

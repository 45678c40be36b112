"""Videos in and out: containers, codecs, pixel formats, and the streams beside the pictures."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kddn.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".mpg": "mpeg",
    ".mpeg": "mpeg",
    ".wmv": "asf",
    ".asf": "asf",
    ".flv": "flv",
    ".3gp": "3gp",
}
"""Endings of videos, and what FFmpeg calls their containers."""

READ = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,dv,mxf,nut"
}
"""What a file may be, whatever it is called: no list of others, which FFmpeg would open."""

_MPEG = {"mpeg1video", "mpeg2video"}
"""What pictures are encoded with in MPEG's program streams."""

_UNLISTED = {"mpegts", "mpeg"}
"""Containers of which FFmpeg does not say all that they hold."""

_BY_QUALITY = {"flags": "+qscale", "global_quality": str(2 * 118)}
"""For FFmpeg's own lossy encoders, which would go by bits a second: the second best of 31."""

_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "16"},
    "libx265": {"crf": "18"},
    "libvpx": {"crf": "4", "b": "20M", "cpu-used": "4"},
    "libvpx-vp9": {"crf": "20", "b": "0", "cpu-used": "4"},
    "libsvtav1": {"crf": "22", "preset": "8"},
    **dict.fromkeys(
        ("mjpeg", "mpeg4", "msmpeg4", "mpeg2video", "mpeg1video", "wmv1", "wmv2", "flv"),
        _BY_QUALITY,
    ),
}
"""How well each lossy encoder is to work."""

_WITHOUT_LOSS = {"prores_ks", "ffv1", "png", "qtrle", "utvideo", "huffyuv", "ffvhuff", "magicyuv"}
"""Encoders that need not be told, the first nearly so."""

_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "prores": "prores_ks",
    "msmpeg4v3": "msmpeg4",
    "wmv3": "wmv2",
    "vc1": "wmv2",
    "flv1": "flv",
}
"""What encodes a codec again, where it is not called as the codec. Others become H.264."""

_WHOLE_CHROMA = {"libx264", "libx265"}
"""Encoders that take no odd sides where chroma is coarser than luma."""

_IN_ORDER = ("avi", "asf")
"""Containers that know only the order of decoding, in which frames must then be shown."""

_LEAST = {"libx265": 64}
"""Shortest side, in pixels, of what an encoder takes: x265 writes beyond its buffers below 49."""

_IN_STEAD = {"webm": "libvpx-vp9", "mpeg": "mpeg2video", "asf": "wmv2", "avi": "mpeg4"}
"""What encodes for a container that does not hold the codec; for others H.264."""

_UNTRUE = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "rotate", "alpha_mode", "encoder")
"""How tags of a picture stream begin that speak of the old one."""

_JUMP = 10
"""Seconds by which times must leap for a stream to be two that were joined."""

_BACK = 0.1
"""Seconds by which they must go back for that."""


def address(path: Path) -> str:
    """What FFmpeg takes for this very file: of `12:30.mp4`, it would ask the protocol 12."""
    return str(path.absolute())


@dataclass(frozen=True)
class Encoding:
    """How the pictures of a video are encoded."""

    encoder: str
    options: dict[str, str]
    pixel_format: str
    lost: tuple[str, ...] = ()
    """What of the pictures it cannot say, by name."""


def encoding(frame: "VideoFrame", pictures: "VideoStream", result: "OutputContainer") -> Encoding:
    """How to encode a stream's pictures as what they were, as far as a container holds that.

    Args:
        frame: One of them.
        pictures: The stream.
        result: Where they go.
    """
    import av

    codec = pictures.codec_context.codec.canonical_name
    name = _ENCODERS.get(codec, codec if codec in {*_OPTIONS, *_WITHOUT_LOSS} else "libx264")
    fits = holds(result, av.codec.Codec(name, "w").canonical_name, name)
    small = min(frame.width, frame.height) < _LEAST.get(name, 1)
    if small or not fits or (result.format.name == "mpeg" and name not in _MPEG):
        name = _IN_STEAD.get(result.format.name, "libx264")
    options = dict(_OPTIONS.get(name, {}))
    pixel_format = _closest(frame, name)
    lost = []
    if has_alpha(frame.format) and not has_alpha(av.VideoFormat(pixel_format)):
        lost.append("transparency")
    if name in _WHOLE_CHROMA and result.format.name in _IN_ORDER:
        options["bf"] = "0"
    parameters, missing = _side_data(frame, name)
    if frame.interlaced_frame:
        top_first = pictures.codec_context.field_order not in _BOTTOM_FIRST
        missing += _interlace(options, parameters, name, top_first=top_first)
    if name == "libx265":
        parameters.insert(0, "log-level=error")
    if parameters:
        options[f"{name.removeprefix('lib')}-params"] = ":".join(parameters)
    return Encoding(name, options, pixel_format, (*lost, *missing))


def holds(result: "OutputContainer", *codec: str) -> bool:
    """Whether a container can hold a stream of a codec, by any of its names."""
    return result.format.name in _UNLISTED or not result.supported_codecs.isdisjoint(codec)


def has_alpha(format: "VideoFormat") -> bool:
    """Whether a pixel format has transparency."""
    return any(component.is_alpha for component in format.components)


def bits(format: "VideoFormat") -> int:
    """Of the component that has most."""
    return max(component.bits for component in format.components)


def _closest(frame: "VideoFrame", encoder: str) -> str:
    """The pixel format, of those that an encoder takes, that loses least and adds least."""
    import av

    known = av.codec.Codec(encoder, "w").video_formats or [frame.format]
    wanted = frame.format
    odd = frame.width % 2 or frame.height % 2

    def cost(format: "VideoFormat") -> tuple[Any, ...]:
        chroma, wanted_chroma = _chroma(format), _chroma(wanted)
        return (
            bool(odd and encoder in _WHOLE_CHROMA and chroma != (2, 2)),
            has_alpha(wanted) and not has_alpha(format),
            bits(format) < bits(wanted),
            any(ours < theirs for ours, theirs in zip(chroma, wanted_chroma, strict=True)),
            format.is_rgb != wanted.is_rgb,
            format.has_palette,
            format.name != wanted.name,
            (len(format.components) > 2) != (len(wanted.components) > 2),
            has_alpha(format) and not has_alpha(wanted),
            bits(format),
            sum(chroma),
        )

    return min(known, key=cost).name


def _chroma(format: "VideoFormat") -> tuple[int, int]:
    """How many samples of chroma there are on two pixels, across and down."""
    if format.is_rgb or len(format.components) < 3:
        return 2, 2
    return format.chroma_width(4) * 2 // 4, format.chroma_height(4) * 2 // 4


_BOTTOM_FIRST = (3, 4)
"""FFmpeg's numbers of the orders of fields in which the lower one is shown first."""


def _interlace(
    options: dict[str, str], parameters: list[str], encoder: str, *, top_first: bool
) -> list[str]:
    """Ask for fields, where an encoder knows them; what of them it cannot say, by name."""
    if encoder == "libx264":
        parameters.append("tff=1" if top_first else "bff=1")
        return []
    if encoder in ("mpeg2video", "mpeg4"):
        options["flags"] = options.get("flags", "") + "+ildct+ilme"  # the lower field first
        return ["the order of its fields"] if top_first else []
    return ["the mark that it is interlaced, which its lines still are"]


def _side_data(frame: "VideoFrame", encoder: str) -> tuple[list[str], list[str]]:
    """What a frame says of the display and of light, as parameters, and the names of the rest."""
    parameters, lost = [], []
    for data in cast("Any", frame.side_data):
        kind = data.type.name
        if kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
            if encoder not in _DISPLAY:
                lost.append(_SIDE_DATA[kind])
            elif kind == "CONTENT_LIGHT_LEVEL":
                most, mean = struct.unpack("<II", bytes(data)[:8])
                parameters.append(f"{_DISPLAY[encoder][1]}={most},{mean}")
            else:
                parameters.append(f"{_DISPLAY[encoder][0]}={_display(bytes(data), encoder)}")
        elif kind in _SIDE_DATA:
            lost.append(_SIDE_DATA[kind])
    return parameters, lost


_SIDE_DATA = {
    "MASTERING_DISPLAY_METADATA": "the display it was graded on",
    "CONTENT_LIGHT_LEVEL": "light levels",
    "DYNAMIC_HDR_PLUS": "HDR10+'s scene by scene light",
    "DOVI_METADATA": "Dolby Vision's metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision's metadata",
    "A53_CC": "closed captions within the pictures",
    "FILM_GRAIN_PARAMS": "film grain to be added again",
}
"""What frames may say, by FFmpeg's name."""

_DISPLAY = {
    "libx265": ("master-display", "max-cll"),
    "libx264": ("mastering-display", "cll"),
    "libsvtav1": ("mastering-display", "content-light"),
}
"""What encoders call the display and the light."""


def _display(data: bytes, encoder: str) -> str:
    """FFmpeg's AVMasteringDisplayMetadata in the words of an encoder."""
    numbers = struct.unpack("<20i", data[:80])
    values = [Fraction(a, b or 1) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    red, green, blue, white = (values[place : place + 2] for place in (0, 2, 4, 6))
    light = values[9], values[8]  # most and least
    whole = encoder != "libsvtav1"
    units = (50_000, 10_000) if whole else (1, 1)
    pairs = {"G": green, "B": blue, "R": red, "WP": white, "L": light}
    text = ""
    for name, pair in pairs.items():
        scaled = [value * units[name == "L"] for value in pair]
        shown = [str(round(value)) if whole else f"{float(value):.6g}" for value in scaled]
        text += f"{name}({','.join(shown)})"
    return text


def open_result(part: Path, output: Path, metadata: dict[str, str]) -> "OutputContainer":
    """A container to write, of the kind that a name ends in, with what it says of itself."""
    import av

    name = CONTAINERS[output.suffix.lower()]
    own = name in ("mp4", "mov") and any(key.startswith("com.") for key in metadata)
    options = {"movflags": "use_metadata_tags"} if own else {}
    result = av.open(address(part), "w", format=name, options=options)
    result.metadata.update(metadata)
    return result


def say_the_same(stream: "VideoStream", of: "VideoStream") -> None:
    """Give a picture stream the language, timecode, name and role of another."""
    for key, value in of.metadata.items():
        if not key.startswith(_UNTRUE):
            stream.metadata[key] = value
    stream.disposition = of.disposition


@dataclass
class Others:
    """The streams beside the pictures, on their way from one container to another."""

    video: "InputContainer"
    result: "OutputContainer"
    lost: list[str] = field(default_factory=list)
    """What could not be taken along, by name."""
    copies: dict[int, "Stream"] = field(default_factory=dict)
    """Streams of the result, by the index of those that they are of."""
    converted: set[int] = field(default_factory=set)
    """Indices of subtitles that are encoded anew."""

    def add(self, stream: "Stream") -> None:
        """Take a stream along, if the container can hold it in any form.

        Raises:
            VideoError: If it is sound that the container cannot hold.
        """
        kind, codec = stream.type, _codec(stream)
        if kind == "attachment":
            self._attach(stream)
        elif kind == "subtitle" and not holds(self.result, codec):
            self._convert(stream, codec)
        elif kind == "data" and (codec == "tmcd" or "timecode" in stream.metadata):
            pass  # the picture stream's own timecode says the same
        elif kind == "audio" and not holds(self.result, codec):
            name = self.video.name
            raise VideoError(f"{name}: its sound, {codec}, does not fit the container; try mkv")
        elif kind in ("audio", "subtitle", "video", "data") and codec != "none":
            try:
                copy: Stream = self.result.add_stream_from_template(cast(Any, stream))
            except (ValueError, NotImplementedError):
                self.lost.append(f"a stream of {kind} ({codec})")
                return
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            self.copies[stream.index] = copy
        else:
            self.lost.append(f"a stream of {kind} ({codec})")

    def packets(self, packet: "Packet[Any]") -> "Iterator[Packet[Any]]":
        """What a packet becomes."""
        copy = self.copies[packet.stream.index]
        if packet.stream.index not in self.converted:
            packet.stream = copy
            yield packet
            return
        shown = cast("Any", packet.stream.codec_context).decode2(packet)
        if shown is not None:
            made = cast("Any", copy.codec_context).encode_subtitle(shown)
            made.pts = made.dts = packet.pts
            made.duration, made.time_base, made.stream = packet.duration, packet.time_base, copy
            yield made

    def _convert(self, stream: "Stream", codec: str) -> None:
        name = _SUBTITLES.get(self.result.format.name)
        if name is None or codec not in ("subrip", "ass", "ssa", "mov_text", "webvtt", "text"):
            self.lost.append(f"subtitles ({codec})")
            return
        copy: Stream = self.result.add_stream(name)
        header = cast("Any", stream.codec_context).subtitle_header
        cast("Any", copy.codec_context).subtitle_header = header or _ASS
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        self.copies[stream.index] = copy
        self.converted.add(stream.index)

    def _attach(self, stream: Any) -> None:
        if self.result.format.name == "matroska" and stream.data:
            self.result.add_attachment(stream.name, stream.mimetype, stream.data)
        else:
            self.lost.append(f"an attachment ({stream.name})")


_SUBTITLES = {
    **dict.fromkeys(("mp4", "mov", "3gp"), "mov_text"),
    "webm": "webvtt",
    "matroska": "subrip",
}
"""What text subtitles become in containers that do not hold theirs."""

_ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""What FFmpeg's text subtitles are decoded to, where they do not say themselves."""


def _codec(stream: "Stream") -> str:
    context = getattr(stream, "codec_context", None)
    return context.codec.canonical_name if context is not None else stream.name or "none"


def continuous(packets: "Iterator[Packet[Any]]", container: str) -> "Iterator[Packet[Any]]":
    """Packets whose times go on where those of joined streams jump.

    As ffmpeg does for the containers that may be joined at any place, for all streams together, by
    pictures and sound: subtitles have gaps. So may sound, while pictures go on.
    """
    if container not in ("mpegts", "mpeg"):
        yield from packets
        return
    offset = Fraction(0)
    latest: dict[int, Fraction] = {}
    for packet in packets:
        if packet.dts is None or packet.time_base is None:
            yield packet
            continue
        now = packet.dts * packet.time_base + offset
        before = now
        if packet.stream.type in ("audio", "video"):
            before = latest.get(packet.stream.index, now)
        if not before - _BACK <= now <= max([before, *latest.values()]) + _JUMP:
            offset += before - now
            now = before
        ticks = round(offset / packet.time_base)
        packet.dts += ticks
        packet.pts = None if packet.pts is None else packet.pts + ticks
        if packet.stream.type in ("audio", "video"):
            latest[packet.stream.index] = now + (packet.duration or 0) * packet.time_base
        yield packet

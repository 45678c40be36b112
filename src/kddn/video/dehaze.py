"""Videos: haze is removed frame by frame, steadily; sound, subtitles and timing stay."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kddn.dehazer import Dehazer, check_strength
from kddn.errors import VideoError
from kddn.io import image as images
from kddn.io import writing
from kddn.video import transcode
from kddn.video.stability import Stabilizer
from kddn.video.transcode import CONTAINERS, Others

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""FFmpeg's colour spaces, and the matrices that its scaler calls by other numbers."""

_HD = 720
"""Height from which a video that does not say is BT.709 rather than BT.601."""

_BY_RATE = ("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "wmv1", "wmv2", "flv")
"""Encoders whose frames come at a rate, and not at any time."""

_FULL = 2
"""FFmpeg's number of the full range, 0 to 255."""

_APPLES = ("mp4", "mov", "3gp")
"""Containers whose HEVC Apple's players take only with a tag of its own."""

_OTHER_SIZES = "the other sizes of later frames, which are made as large as the first"
"""What a film whose frames change size comes out without."""

_REORDERED = 10
"""Seconds by which a frame can be shown later than it is decoded, at most."""


@dataclass
class VideoResult:
    """A video that was written."""

    path: Path
    size: tuple[int, int] = (0, 0)
    """Width and height, upright."""
    frames: int = 0
    held: list[float] = field(default_factory=list)
    """Seconds at which a frame was broken, and the one before it was shown on."""
    cuts: int = 0
    """Cuts between scenes that were noticed."""
    sha256: str = ""
    """Of the file."""
    lost: tuple[str, ...] = ()
    """What the video had that this one does not, by name."""


def is_video(path: Path) -> bool:
    """Whether a file name's ending is a video's."""
    return path.suffix.lower() in CONTAINERS


def dehaze_video(
    dehazer: Dehazer,
    source: Path,
    output: Path,
    *,
    strength: float = 1.0,
    memory: float = 0.8,
    overwrite: bool = False,
    on_frame: Callable[[int, int], None] | None = None,
) -> VideoResult:
    """Remove haze from a video and write it as a new file, whole or not at all.

    Frames keep their times, so variable rates stay; rotated videos come out upright. Sound,
    subtitles and chapters are copied as they are, what the video says of itself, and the file's
    date and permissions; text subtitles are encoded anew where the container needs that. A frame
    that cannot be decoded is reported, and the one before it shown on. Memory does not grow with
    length.

    Args:
        dehazer: What removes the haze.
        source: The video.
        output: The new file; its ending tells the container.
        strength: See `Dehazer.__call__`.
        memory: See `Stabilizer`; 0 treats each frame for itself.
        overwrite: Whether an existing file may be replaced.
        on_frame: Called after each frame with its number and how many there are, as far as known,
            otherwise 0.

    Raises:
        VideoError: If the video cannot be read, the new one not written, or PyAV is missing.
        ValueError: If `strength` or `memory` is out of range.
        ImageError: If the new file exists already.
    """
    try:
        import av
    except ImportError as error:
        raise VideoError(f"{source} is a video, which needs: pip install 'kddn[video]'") from error
    check_strength(strength)
    stabilizer = Stabilizer(memory)
    if output.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise VideoError(f"{output}: no container ends in {output.suffix!r}; use {known}")
    writing.make_folder(output.parent)
    try:
        with (
            writing.new_file(output, overwrite=overwrite, like=source) as part,
            writing.unchanged(source, output),
            av.open(transcode.address(source), options=transcode.READ) as video,
        ):
            with transcode.open_result(part, output, dict(video.metadata)) as result:
                done = VideoResult(output)
                _Video(dehazer, video, result, done, source, strength, stabilizer).write(on_frame)
            done.sha256 = _sha256(part)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{source} cannot be done ({error}); see that it is whole, or try the format mkv"
        ) from error
    return done


class _Video:
    """One video on its way from one container to another."""

    def __init__(
        self,
        dehazer: Dehazer,
        video: "InputContainer",
        result: "OutputContainer",
        done: VideoResult,
        source: Path,
        strength: float,
        stabilizer: Stabilizer,
    ) -> None:
        self.dehazer = dehazer
        self.video = video
        self.result = result
        self.done = done
        """What became of it so far."""
        self.source = source
        self.strength = strength
        self.stabilizer = stabilizer
        pictures = [s for s in video.streams.video if not _is_cover(s)]
        if not pictures:
            raise VideoError(f"{source} holds no video")
        self.pictures: VideoStream = pictures[0]
        if self.pictures.codec_context is None:
            raise VideoError(f"{source} has pictures in a codec that FFmpeg does not know")
        self.tick = self.pictures.time_base or Fraction(1, 90_000)
        """Seconds that a frame's times count."""
        self.decoder = _decoder(self.pictures)
        self.encoder: VideoStream | None = None
        self.others = Others(video, result)
        self.last: NDArray[Any] | None = None
        """The last clear frame."""
        self.shown: int | None = None
        """The time of the last frame that was encoded."""
        self.broken: list[int] = []
        """Times of frames that could not be decoded and are not yet made up for."""
        self.made_up: set[int] = set()
        """Times at which the frame before is shown on."""
        self.late = 0
        """Frames that came after later ones had been shown."""
        self.sides = 0, 0
        """Width and height of the first frame, as it lies."""
        self.colours: tuple[int, int] = 0, 0
        """Range and matrix of the first frame's colours, as FFmpeg numbers them."""

    def write(self, on_frame: Callable[[int, int], None] | None) -> None:
        """Do the whole video."""
        done = self.done
        for stream in self.video.streams:
            if stream is self.pictures:
                continue
            if stream.type == "video" and not _is_cover(stream):
                self.others.lost.append("a further video stream")
            else:
                self.others.add(stream)
        wanted = [self.pictures, *(self.video.streams[index] for index in self.others.copies)]
        waiting: list[Packet[Any]] = []
        container = self.video.format.name
        for packet in transcode.continuous(self.video.demux(wanted), container):
            if packet.stream is self.pictures:
                for frame in self._decode(packet):
                    self._frame(frame)
                    if on_frame is not None:
                        on_frame(done.frames, self._expected())
            elif packet.size:  # not the end of its stream
                waiting.append(packet)
            if self.encoder is not None:  # which must be known before anything is written
                for other in waiting:
                    for made in self.others.packets(other):
                        self.result.mux(made)
                waiting.clear()
        self._hold_until(None)
        if self.encoder is None:
            raise VideoError(f"{self.source} holds no frame that can be decoded")
        self.result.mux(self.encoder.encode(None))
        self.result.set_chapters(self.video.chapters())
        done.cuts = self.stabilizer.cuts
        done.lost += tuple(self.others.lost)
        if self.late:
            done.lost += (f"{self.late} frames whose times are before those of others",)

    def _expected(self) -> int:
        stream = self.pictures
        if stream.frames or stream.duration is None or not stream.average_rate:
            return stream.frames
        return round(stream.duration * self.tick * stream.average_rate)

    def _decode(self, packet: "Packet[Any]") -> Iterator["VideoFrame"]:
        import av

        if packet.pts is not None and packet.dts is not None:
            ahead = (packet.pts - packet.dts) * self.tick
            if not 0 <= ahead <= _REORDERED:  # damaged: all frames after it would come too late
                packet.pts = packet.dts
        try:
            yield from self.decoder.decode(packet if packet.size else None)
        except av.error.FFmpegError:
            if packet.pts is not None:
                self.broken.append(packet.pts)

    def _frame(self, frame: "VideoFrame") -> None:
        pts = self._time(frame)
        if frame.is_corrupt and self.last is not None:
            self.broken.append(pts)
            self._hold_until(pts + 1)
            return
        self._hold_until(pts)
        self.last = self._clear(frame)
        if self.encoder is None:
            self.sides = frame.width, frame.height
            self.encoder = self._encoder(frame)
            self.done.size = self.last.shape[1], self.last.shape[0]
        elif (frame.width, frame.height) != self.sides and _OTHER_SIZES not in self.done.lost:
            self.done.lost += (_OTHER_SIZES,)
        self._encode(pts, frame.duration)

    def _time(self, frame: "VideoFrame") -> int:
        """When a frame is shown."""
        if self.video.format.name == "avi":
            # AVI knows only the order of decoding, which runs ahead where frames are reordered.
            stream = self.pictures
            ticks = 1 / (stream.average_rate * self.tick) if stream.average_rate else Fraction(1)
            if frame.dts is not None:
                return frame.dts - round(stream.codec_context.reorder_depth * ticks)
            if self.shown is not None:  # the last ones, which come when nothing is read any more
                return self.shown + round(ticks)
        if frame.pts is None:
            raise VideoError(f"{self.source}: a frame has no time; repack the video with ffmpeg")
        return frame.pts

    def _hold_until(self, pts: int | None) -> None:
        """Show the last frame at the times of broken ones, up to a time."""
        due = sorted(broken for broken in self.broken if pts is None or broken < pts)
        self.broken = [broken for broken in self.broken if broken not in due]
        for broken in due:
            if self.encoder is not None:
                self.made_up.add(broken)
                self.done.held.append(float(broken * self.tick))
                self._encode(broken, 0)
            else:
                self.done.lost += (
                    f"a broken frame at its beginning ({float(broken * self.tick):.2f} s)",
                )

    def _clear(self, frame: "VideoFrame") -> NDArray[Any]:
        """The frame's pixels without haze, upright: RGB, or RGBA where it has transparency."""
        rgb = frame.reformat(
            format=_working_format(frame.format),
            src_colorspace=self._matrix(frame),
            src_color_range=frame.color_range or None,
            dst_color_range=_FULL,
            interpolation="BICUBIC",
        )
        turned = np.rot90(rgb.to_ndarray(), round(frame.rotation / 90))
        photograph = images.from_array(np.ascontiguousarray(turned))
        hazy, affine = self.dehazer.affine_map(photograph)
        steady = self.stabilizer(hazy, affine).faded(self.strength)
        clear: NDArray[Any] = photograph.rebuild(steady(photograph.pixels, photograph.maximum))
        return clear

    def _matrix(self, frame: "VideoFrame") -> int:
        assumed = 1 if frame.height >= _HD else 5
        return _MATRICES.get(int(frame.colorspace), assumed)

    def _encoder(self, frame: "VideoFrame") -> "VideoStream":
        """A stream like the video's, but upright, encoded well."""
        assert self.last is not None
        source = self.pictures.codec_context
        how = transcode.encoding(frame, self.pictures, self.result)
        self.done.lost += how.lost
        mean, usual = self.pictures.average_rate, self.pictures.guessed_rate
        steady = self.result.format.name == "avi" and mean == usual
        by_rate = how.encoder in _BY_RATE or steady
        # Encoders that count by the rate cannot count by a mean such as 9000/301.
        rate = usual or mean if by_rate else mean or usual
        made = self.result.add_stream(how.encoder, rate=rate, options=how.options)
        stream = cast("VideoStream", made)
        transcode.say_the_same(stream, self.pictures)
        target = stream.codec_context
        target.height, target.width = self.last.shape[:2]
        target.pix_fmt = how.pixel_format
        if how.encoder == "libx265" and self.result.format.name in _APPLES:
            target.codec_tag = "hvc1"
        if not by_rate:
            target.time_base = stream.time_base = self.tick
        for tag in ("color_range", "color_primaries", "color_trc", "colorspace"):
            setattr(target, tag, getattr(source, tag))
        if shape := self.pictures.sample_aspect_ratio:  # the container's, or else the codec's
            target.sample_aspect_ratio = 1 / shape if round(frame.rotation / 90) % 2 else shape
        self.colours = frame.color_range, self._matrix(frame)
        return stream

    def _encode(self, pts: int, duration: int) -> None:
        from av.video.frame import VideoFrame

        assert self.last is not None
        assert self.encoder is not None
        if self.shown is not None and pts <= self.shown:
            self.late += pts not in self.made_up  # FFmpeg makes up for broken frames too
            return
        self.shown = pts
        formats = {3: ("rgb24", "rgb48le"), 4: ("rgba", "rgba64le")}[self.last.shape[2]]
        rgb = VideoFrame.from_ndarray(self.last, format=formats[self.last.dtype == np.uint16])
        range_of_colours, matrix = self.colours
        frame = rgb.reformat(
            format=self.encoder.codec_context.pix_fmt,
            dst_colorspace=matrix,
            src_color_range=_FULL,
            dst_color_range=range_of_colours or None,
            interpolation="BICUBIC",
        )
        frame.pts, frame.time_base = pts, self.tick
        if duration:
            frame.duration = duration
        self.result.mux(self.encoder.encode(frame))
        self.done.frames += 1


def _working_format(format: "VideoFormat") -> str:
    """What frames are converted to, with as many bits and with their transparency."""
    deep = transcode.bits(format) > 8
    if transcode.has_alpha(format):
        return "rgba64le" if deep else "rgba"
    return "rgb48le" if deep else "rgb24"


def _decoder(pictures: "VideoStream") -> "VideoCodecContext":
    """What decodes a stream: FFmpeg's own decoders of VP8 and VP9 leave out transparency."""
    import av

    context = pictures.codec_context
    names = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
    if pictures.metadata.get("alpha_mode") != "1" or context.codec.name not in names:
        return context
    decoder = cast("VideoCodecContext", av.CodecContext.create(names[context.codec.name], "r"))
    decoder.extradata = context.extradata
    return decoder


def _is_cover(stream: "Stream") -> bool:
    import av

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

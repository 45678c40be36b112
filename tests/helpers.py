"""What several tests share."""

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image

DEMO = Path(__file__).parents[1] / "demo" / "aitzgorri.jpg"


def hazy_photograph(width: int, height: int) -> Image.Image:
    """Stripes that fade into white towards the top."""
    t = np.linspace(0.2, 1, height)[:, None, None]
    stripes = (
        np.indices((height, width)).sum(axis=0)[..., None] // 16 % 2 * np.array([0.6, 0.4, 0.2])
    )
    hazy = stripes * t + (1 - t)
    return Image.fromarray((hazy * 255).round().astype(np.uint8))


def with_subtitles(path, lines, *, title="", chapters=()):
    """The same video with lines of SubRip beside it, in Matroska."""
    text, made = path.with_suffix(".srt"), path.with_name("subtitled.mkv")
    text.write_text(lines)
    with av.open(str(path)) as one, av.open(str(text)) as other, av.open(str(made), "w") as result:
        result.metadata["title"] = title
        result.set_chapters(list(chapters))
        copies = [[result.add_stream_from_template(s) for s in i.streams] for i in (one, other)]
        copies[1][0].metadata["language"] = "deu"
        for streams, opened in zip(copies, (one, other), strict=True):
            for packet in opened.demux():
                if packet.size:
                    packet.stream = streams[packet.stream.index]
                    result.mux(packet)
    return made


def small_video(path: Path) -> None:
    """Three frames of 96x64."""
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame.from_image(hazy_photograph(96, 64))
            frame.pts = index
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    """A picture as a file in memory."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


class Bad:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def vgg_files(folder, depth):
    """A VGG of random weights, as torchvision's file, and what it holds."""
    import torch

    from kddn.research.nets.vgg import VGG  # not before conftest has hooked what checks shapes

    vgg = VGG(depth)
    state = {key: torch.randn_like(value) * 0.05 for key, value in vgg.state_dict().items()}
    # What the real files hold beyond relu5_1, and what tells the two apart.
    state["features.34.weight" if depth == 19 else "features.28.weight"] = torch.zeros(1)
    state["classifier.0.weight"] = torch.zeros(1)
    path = folder / f"vgg{depth}.pth"
    torch.save(state, path)
    return path, state


def tiny(nyu, folder):
    """Two steps on tiny pictures, of the teacher too."""
    teacher = folder / "teacher.yaml"
    teacher.write_text("data: {epoch_length: 2}\n")
    return [
        f"--teacher_recipe={teacher}",
        f"--data.root={nyu}",
        "--data.train_scenes=2",
        "--data.validation_scenes=1",
        "--data.validation_scales=[0.1]",
        "--data.epoch_length=2",
        "--data.batch={size: 1, crop: 32, scales: [0.1, 0.2]}",
        "--trainer.max_steps=2",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.log_every_n_steps=1",
        "--trainer.num_sanity_val_steps=0",
        f"--trainer.default_root_dir={folder}",
        "--trainer.logger.class_path=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.init_args={{save_dir: {folder}, name: ''}}",
    ]

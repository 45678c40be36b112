"""A video, with its progress. Needs pip install 'kddn[video]'.

python examples/video.py VIDEO OUTPUT
"""

import sys
from pathlib import Path

from kddn import Dehazer
from kddn.video.dehaze import dehaze_video


def tell(frame: int, frames: int) -> None:
    """Where it is; of some videos the number of frames is not known."""
    print(f"\r{frame} of {frames or 'unknown'}", end="")


done = dehaze_video(Dehazer(), Path(sys.argv[1]), Path(sys.argv[2]), on_frame=tell)
print(f"\n{done.frames} frames of {done.size[0]}x{done.size[1]}, {done.cuts} cuts")

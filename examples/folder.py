"""A folder of pictures, several at a time; one bad file is told and does not stop the others.

python examples/folder.py FOLDER OUTPUT
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kddn import Dehazer, KddnError
from kddn.io.files import readable_endings

source, output = Path(sys.argv[1]), Path(sys.argv[2])
dehazer = Dehazer()  # one for all threads


def dehaze(path: Path) -> str:
    """Remove haze from a file; what to tell of it."""
    try:
        done = dehazer.file(path, output / path.name, overwrite=True)
    except KddnError as error:
        return f"failed: {error}"
    return f"{done.path}: haze {done.haze:.2f}"


pictures = [path for path in sorted(source.iterdir()) if path.suffix.lower() in readable_endings()]
with ThreadPoolExecutor(2) as threads:
    for told in threads.map(dehaze, pictures):
        print(told)

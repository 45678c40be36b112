"""Photoshop's image resources, which carry IPTC's captions and keywords in JPEG and TIFF."""

import struct
from typing import Any

_THUMBNAILS = (0x0409, 0x040C)
"""Photoshop's image resources that hold a small picture."""

CAPTIONS = 0x0404
"""The resource of IPTC's captions and keywords."""


def image_resources(resources: Any) -> bytes:
    """Photoshop's image resources put together again, but for thumbnails."""
    parts = []
    for code, data in resources.items() if isinstance(resources, dict) else ():
        if isinstance(data, bytes) and code not in _THUMBNAILS:
            padded = data + b"\0" * (len(data) % 2)
            parts.append(b"8BIM" + struct.pack(">HHI", code, 0, len(data)) + padded)
    return b"".join(parts)


def resource_parts(resources: bytes) -> dict[int, bytes]:
    """Photoshop's image resources by their numbers, up to where they are damaged."""
    parts: dict[int, bytes] = {}
    place = 0
    while resources[place : place + 4] == b"8BIM" and place + 7 <= len(resources):
        code = int.from_bytes(resources[place + 4 : place + 6], "big")
        name = resources[place + 6] + 1
        start = place + 6 + name + name % 2 + 4
        length = int.from_bytes(resources[start - 4 : start], "big")
        if start + length > len(resources):
            break
        parts[code] = resources[start : start + length]
        place = start + length + length % 2
    return parts


def jpeg_segments(resources: bytes) -> bytes:
    """As JPEG's APP13, in as many segments as it takes."""
    name, size = b"Photoshop 3.0\0", 65_000
    parts = [resources[place : place + size] for place in range(0, len(resources), size)]
    return b"".join(
        b"\xff\xed" + struct.pack(">H", 2 + len(name) + len(part)) + name + part for part in parts
    )

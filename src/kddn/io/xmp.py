"""XMP packets: what they say of a picture, set right.

Edited as text, not parsed and written anew: what stays is to stay byte by byte. Nothing here takes
longer than a few looks at the packet, whoever wrote it.
"""

import re

_TIFF = rb"http://ns\.adobe\.com/tiff/1\.0/"
_XMP = rb"http://ns\.adobe\.com/xap/1\.0/"
_GAIN_MAP = rb"http://ns\.adobe\.com/hdr-gain-map/1\.0/"
_EXIF = rb"http://ns\.adobe\.com/exif/1\.0/"
_NOTE = rb"http://ns\.adobe\.com/xmp/note/"
_CAMERA = rb"http://ns\.google\.com/photos/1\.0/camera/"
_VIDEO = rb"(?:MotionPhoto|MicroVideo)\w*"
_REGIONS = {
    rb"http://www\.metadataworkinggroup\.com/schemas/regions/": b"Regions",
    rb"http://ns\.microsoft\.com/photo/1\.2/": b"RegionInfo",
}
"""Namespaces of where faces and other things are in a picture, and what of them says so."""
_CONTAINER = rb"http://ns\.google\.com/photos/1\.0/container/"


def upright(packet: bytes, width: int, height: int) -> bytes:
    """A packet that says that the picture is upright, and of a size.

    Also to readers that look for `tiff:` as text, as Pillow does, whatever the packet calls it.
    """
    tiff = rb"tiff|\b" + re.escape(_prefix(packet, _TIFF) or b"tiff")
    exif = rb"exif|\b" + re.escape(_prefix(packet, _EXIF) or b"exif")
    packet = _with_number(packet, tiff, rb"Orientation", 1)
    for names, of_tiff, of_exif in (
        (width, rb"ImageWidth", rb"PixelXDimension"),
        (height, rb"ImageLength", rb"PixelYDimension"),
    ):
        packet = _with_number(packet, tiff, of_tiff, names)
        packet = _with_number(packet, exif, of_exif, names)
    return packet


def _with_number(packet: bytes, prefix: bytes, name: bytes, number: int) -> bytes:
    """A packet in which a property, where it is there, is a number."""
    said = rb"""((?:%s):%s(?:\s?=\s?["']|>\s?))\d+""" % (prefix, name)
    return re.sub(said, rb"\g<1>%d" % number, packet)


def without_thumbnails(packet: bytes) -> bytes:
    """A packet without small copies of the picture."""
    prefix = _prefix(packet, _XMP)
    return packet if prefix is None else _without_element(packet, prefix + b":Thumbnails")


def without_regions(packet: bytes) -> bytes:
    """A packet that does not say where in the picture faces and other things are."""
    for namespace, name in _REGIONS.items():
        if (prefix := _prefix(packet, namespace)) is not None:
            packet = _without_element(packet, prefix + b":" + name)
    return packet


def announces_gain_map(packet: bytes) -> bool:
    """Whether a packet says that there is a gain map behind the picture (Ultra HDR)."""
    return _prefix(packet, _GAIN_MAP) is not None


def without_gain_map(packet: bytes) -> bytes:
    """A packet that does not say so."""
    return _without_directory(_without_properties(packet, _GAIN_MAP))


def announces_video(packet: bytes) -> bool:
    """Whether a packet says that there is a video behind the picture (motion photos)."""
    prefix = _prefix(packet, _CAMERA)
    return prefix is not None and bool(re.search(rb"\b%s:%s" % (re.escape(prefix), _VIDEO), packet))


def without_video(packet: bytes) -> bytes:
    """A packet that does not say so."""
    return _without_directory(_without_properties(packet, _CAMERA, _VIDEO))


def announces_more(packet: bytes) -> bool:
    """Whether a packet says that it goes on elsewhere in the file (extended XMP)."""
    return _prefix(packet, _NOTE) is not None


def without_more(packet: bytes) -> bytes:
    """A packet that does not say so."""
    return _without_properties(packet, _NOTE)


def _without_properties(packet: bytes, namespace: bytes, name: bytes = rb"\w+") -> bytes:
    """A packet without a namespace's properties of a name, be they attributes or elements."""
    if (prefix := _prefix(packet, namespace)) is None:
        return packet
    full = rb"%s:%s" % (re.escape(prefix), name)
    packet = re.sub(rb"""\s%s\s?=\s?(?:"[^"]*"|'[^']*')""" % full, b"", packet)
    for element in set(re.findall(rb"<(%s)>" % full, packet)):
        packet = _without_element(packet, element)
    return packet


def _without_directory(packet: bytes) -> bytes:
    """A packet without the list of what is behind the picture."""
    container = _prefix(packet, _CONTAINER)
    return packet if container is None else _without_element(packet, container + b":Directory")


def _prefix(packet: bytes, namespace: bytes) -> bytes | None:
    """What a packet calls a namespace, if it names it."""
    found = re.search(rb"""xmlns:([\w.-]+)\s?=\s?["']%s["']""" % namespace, packet)
    return found[1] if found else None


def _without_element(packet: bytes, name: bytes) -> bytes:
    """A packet without the elements of a name, and what is in them."""
    opening, closing = re.compile(rb"<%s[>\s]" % re.escape(name)), b"</" + name + b">"
    kept, place = [], 0
    while (found := opening.search(packet, place)) and (
        end := packet.find(closing, found.end())
    ) >= 0:
        kept.append(packet[place : found.start()])
        place = end + len(closing)
    return b"".join([*kept, packet[place:]])

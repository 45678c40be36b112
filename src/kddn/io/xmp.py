"""XMP packets: what they say of a picture, set right.

Edited as text, not parsed and written anew: what stays is to stay byte by byte. Nothing here takes
longer than a few looks at the packet, whoever wrote it.
"""

import re

_TIFF = rb"http://ns\.adobe\.com/tiff/1\.0/"
_XMP = rb"http://ns\.adobe\.com/xap/1\.0/"
_GAIN_MAP = rb"http://ns\.adobe\.com/hdr-gain-map/1\.0/"
_CONTAINER = rb"http://ns\.google\.com/photos/1\.0/container/"


def upright(packet: bytes) -> bytes:
    """A packet that says that the picture is upright.

    Also to readers that look for `tiff:` as text, as Pillow does, whatever the packet calls it.
    """
    names = [rb"tiff"]
    if (tiff := _prefix(packet, _TIFF)) is not None:
        names.append(rb"\b" + re.escape(tiff))
    for name in names:
        said = rb"""(%s:Orientation(?:\s?=\s?["']|>\s?))\d+""" % name
        packet = re.sub(said, rb"\g<1>1", packet)
    return packet


def without_thumbnails(packet: bytes) -> bytes:
    """A packet without small copies of the picture."""
    prefix = _prefix(packet, _XMP)
    return packet if prefix is None else _without_element(packet, prefix + b":Thumbnails")


def announces_gain_map(packet: bytes) -> bool:
    """Whether a packet says that there is a gain map behind the picture (Ultra HDR)."""
    return _prefix(packet, _GAIN_MAP) is not None


def without_gain_map(packet: bytes) -> bytes:
    """A packet that does not say so."""
    if (prefix := _prefix(packet, _GAIN_MAP)) is not None:
        packet = re.sub(rb'\s%s:\w+="[^"]*"' % re.escape(prefix), b"", packet)
        for name in set(re.findall(rb"<(%s:\w+)>" % re.escape(prefix), packet)):
            packet = _without_element(packet, name)
    container = _prefix(packet, _CONTAINER)
    return packet if container is None else _without_element(packet, container + b":Directory")


def _prefix(packet: bytes, namespace: bytes) -> bytes | None:
    """What a packet calls a namespace, if it names it."""
    found = re.search(rb"""xmlns:([\w.-]+)\s?=\s?["']%s["']""" % namespace, packet)
    return found[1] if found else None


def _without_element(packet: bytes, name: bytes) -> bytes:
    """A packet without the elements of a name, and what is in them."""
    opening, closing = b"<" + name + b">", b"</" + name + b">"
    kept, place = [], 0
    while (start := packet.find(opening, place)) >= 0 and (end := packet.find(closing, start)) >= 0:
        kept.append(packet[place:start])
        place = end + len(closing)
    return b"".join([*kept, packet[place:]])

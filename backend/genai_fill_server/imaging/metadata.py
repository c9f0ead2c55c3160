"""Which header attributes a take carries on from its plate, and how they are read and set."""

from __future__ import annotations

import OpenImageIO as oiio  # noqa: N813 - its own community spells it so

from genai_fill_server.imaging.image_file import ask
from genai_fill_server.service.frame_ports import MetadataEntry

MAX_ENTRY_BYTES = 64 * 1024
MAX_TOTAL_BYTES = 1024 * 1024
MAX_NAME_LENGTH = 255  # OpenEXR's long names end here

_LAYOUT = {
    "compression",
    "name",
    "type",
    "view",
    "multiview",
    "chunkcount",
    "version",
    "preview",
    "envmap",
    "tiles",
    "lineorder",
    "channels",
    "datawindow",
    "displaywindow",
    "pixelaspectratio",
    "screenwindowcenter",
    "screenwindowwidth",
    "textureformat",
    "wrapmodes",
    "deepimagestate",
    "idmanifest",
    "fovcot",
    "miplevels",
    "roundingmode",
    "maxsamplesperpixel",
    "dwacompressionlevel",
    "orientation",
    "xresolution",
    "yresolution",
    "resolutionunit",
    "planarconfiguration",
    "iccprofile",
    "digitalsourcetype",
}
_PREFIXES = ("oiio:", "openexr:", "exr:", "tiff:", "dpx:", "png:", "genaifill:", "iptc:")
_COLOUR = {"chromaticities", "whiteluminance", "adoptedneutral", "acesimagecontainerflag"}


def carried_on(spec: oiio.ImageSpec) -> tuple[MetadataEntry, ...]:
    """Return what may go from a plate's header into a take's.

    Dropped: the file's own layout, what describes the pixels' encoding or primaries (the
    take is in the working space), names and values too long to be honest, text that is not
    text. Kept: timecode, frame rate, camera, Nuke's own, the studio's own.
    """
    entries: list[MetadataEntry] = []
    total = 0
    attributes: list[oiio.ParamValue] = ask(lambda: list(spec.extra_attribs), [])
    for attribute in attributes:
        entry = ask(lambda attribute=attribute: _entry(attribute), None)  # type: ignore[misc]
        if entry is None:
            continue
        size = len(entry.name) + len(repr(entry.value))
        if size > MAX_ENTRY_BYTES or total + size > MAX_TOTAL_BYTES:
            continue
        total += size
        entries.append(entry)
    return tuple(entries)


def set_on(spec: oiio.ImageSpec, entries: tuple[MetadataEntry, ...]) -> None:
    """Put ``entries`` into a header that will be written."""
    for entry in entries:
        value = entry.value
        if entry.type == "string":
            spec.attribute(entry.name, value)
        else:
            spec.attribute(entry.name, oiio.TypeDesc(entry.type), value)


def _entry(attribute: oiio.ParamValue) -> MetadataEntry | None:
    name = attribute.name
    if not _may_travel(name):
        return None
    value = attribute.value
    kind = str(attribute.type)
    if value is None or not isinstance(value, str | int | float | tuple):
        return None
    if kind == "string" and "\0" in str(value):
        return None
    return MetadataEntry(name, kind, value)


def _may_travel(name: str) -> bool:
    lowered = name.lower()
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        return False
    return lowered not in _LAYOUT | _COLOUR and not lowered.startswith(_PREFIXES)

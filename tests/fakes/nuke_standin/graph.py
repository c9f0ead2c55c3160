"""What a node says about its picture without computing it: format, range, metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.nuke_standin.values import Format

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

OWN_FORMAT = {"Constant", "CheckerBoard2"}


def source_of(core: NodeCore) -> NodeCore | None:
    """The node whose format, range and metadata this one passes on."""
    from tests.fakes.nuke_standin.ops_views import current

    if core.class_name == "Input" and core.parent is not None:
        return core.parent.input_at(int(core.knobs["number"]._number(0)))
    if core.is_group and not core.disabled():
        return next((node for node in core.children if node.class_name == "Output"), None)
    if core.class_name == "Switch" and not core.disabled():
        return core.input_at(int(core.knobs["which"]._number(0)))
    if core.class_name == "JoinViews":
        return core.input_at(core.world.views.index(current(core.world)))
    return core.input_at(0)


def format_of(core: NodeCore) -> Format:
    if core.class_name == "Read":
        known = core.knobs["format"]._format  # type: ignore[attr-defined]
        return known or size_on_disk(core) or core.knobs["format"]._current()  # type: ignore[attr-defined]
    if core.class_name in OWN_FORMAT:
        return core.knobs["format"]._current()  # type: ignore[attr-defined]
    if core.class_name == "Reformat" and not core.disabled():
        return core.knobs["format"]._current()  # type: ignore[attr-defined]
    if core.class_name == "Crop" and not core.disabled() and core.knobs["reformat"]._number(0):
        x, y, r, t = core.knobs["box"]._vector()  # type: ignore[attr-defined]
        return Format(r - x, t - y)
    source = source_of(core)
    if source is None:
        return core.world.root.knobs["format"]._current()  # type: ignore[attr-defined]
    return format_of(source)


def range_of(core: NodeCore) -> tuple[int, int]:
    if core.class_name == "Read":
        return int(core.knobs["first"]._number(0)), int(core.knobs["last"]._number(0))
    source = source_of(core)
    if source is None:
        root = core.world.root
        return int(root.knobs["first_frame"]._number(0)), int(root.knobs["last_frame"]._number(0))
    return range_of(source)


def size_on_disk(core: NodeCore) -> Format | None:
    """The format the first readable file of a Read declares, None when there is none."""
    import OpenImageIO as oiio

    from tests.fakes.nuke_standin.knobs_text import at_frame
    from tests.fakes.nuke_standin.ops_views import in_view

    pattern = in_view(core.knobs["file"]._evaluated(), core.world)  # type: ignore[attr-defined]
    first, last = range_of(core)
    for frame in range(first, last + 1):
        path = Path(at_frame(pattern, frame))
        if not path.is_file():
            continue
        opened = oiio.ImageInput.open(str(path))
        if opened is None:
            oiio.geterror()
            continue
        spec = opened.spec()
        opened.close()
        aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
        return Format(spec.full_width, spec.full_height, 0, 0, 0, 0, aspect)
    return None

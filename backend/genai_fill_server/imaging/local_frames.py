"""The frame ports for pixels on disks that this process can see."""

from __future__ import annotations

import platform

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own community spells it so
import PyOpenColorIO as ocio  # type: ignore[import-untyped]  # noqa: N813

from genai_fill_server.imaging.colour import OcioColour
from genai_fill_server.imaging.exr_write import ExrTakeStore
from genai_fill_server.imaging.plate_store import DEFAULT_CACHE_BYTES, DiskPlateStore
from genai_fill_server.service.frame_ports import FramePorts


def local_frame_ports(cache_bytes: int = DEFAULT_CACHE_BYTES) -> FramePorts:
    """Return ports that read and write files with OpenImageIO, colour by OpenColorIO."""
    return FramePorts(
        plates=DiskPlateStore(cache_bytes),
        takes=ExrTakeStore(),
        colour=OcioColour,
        library_versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "OpenImageIO": oiio.__version__,
            "OpenColorIO": ocio.__version__,
        },
    )

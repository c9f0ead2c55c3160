"""Which kit a job gets: the device and the flow that its options and this worker allow."""

from __future__ import annotations

from genai_fill_server.engines.cleanplate.description import CleanPlateOptions
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow
from genai_fill_server.engines.cleanplate.kit import Kit


def on_cpu(options: CleanPlateOptions) -> Kit:
    """Return the kit that needs nothing beside the CPU."""
    return Kit(options, NumbaDevice(), DisFlow(options.detail))

"""Which kit a job gets: the device and the flow that its options and this worker allow."""

from __future__ import annotations

from genai_fill_contract.errors import InvalidOption
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions, FlowKind
from genai_fill_server.engines.cleanplate.devices.choosing import choose_device
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.service.ports import Watch


def outfit(options: CleanPlateOptions, worker_device: str, watch: Watch) -> Kit:
    """Return the kit of a job on this worker, whose device ``models.device`` names.

    Raises `InvalidOption` for what is asked and not there.
    """
    if options.flow is FlowKind.RAFT:
        raise InvalidOption("RAFT is not installed.", hint="Choose DIS.", option="flow")
    device = choose_device(options.device, worker_device, watch.log)
    return Kit(options, device, DisFlow(options.detail))


def on_cpu(options: CleanPlateOptions) -> Kit:
    """Return the kit that needs nothing beside the CPU."""
    return Kit(options, NumbaDevice(), DisFlow(options.detail))

"""Which kit a job gets: the device and the flow that its options and this worker allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genai_fill_contract.errors import InvalidOption, ModelMissing
from genai_fill_server.domain.installing import install_words
from genai_fill_server.engines.cleanplate.description import (
    CleanPlateOptions,
    FlowKind,
    Motion,
    Where,
)
from genai_fill_server.engines.cleanplate.devices.choosing import (
    choose_device,
    has_torch,
    torch_name,
)
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow, Flow
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.raft.folder import find_raft_folders
from genai_fill_server.service.ports import Watch


@dataclass(frozen=True)
class Workplace:
    """What a worker may use: its device as ``models.device`` names it, and ``models.dirs``."""

    device: str = "auto"
    model_dirs: Sequence[str] = ()


def outfit(options: CleanPlateOptions, workplace: Workplace, watch: Watch) -> Kit:
    """Return the kit of a job on this worker.

    Raises `InvalidOption` for what is asked and cannot be had here, `ModelMissing` for RAFT
    without weights, and what loading them raises.
    """
    device = choose_device(options.device, workplace.device, watch.log)
    flow: Flow = DisFlow(options.detail)
    # Other kinds of motion measure no flow, so nothing is loaded for them.
    if options.flow is FlowKind.RAFT and options.motion is Motion.DENSE:
        flow = _raft(options, workplace, watch)
    return Kit(options, device, flow)


def on_cpu(options: CleanPlateOptions) -> Kit:
    """Return the kit that needs nothing beside the CPU."""
    return Kit(options, NumbaDevice(), DisFlow(options.detail))


def _raft(options: CleanPlateOptions, workplace: Workplace, watch: Watch) -> Flow:
    if not has_torch("safetensors"):
        raise InvalidOption(
            "The clean plate was asked to measure flow by RAFT, and torch or safetensors is not "
            "installed in the backend's environment.",
            hint=f"Install them {install_words('gpu')}. Or choose the flow 'DIS'.",
            option="flow",
            engine="cleanplate",
        )
    folder = next(find_raft_folders(workplace.model_dirs), None)
    if folder is None:
        raise ModelMissing(
            "The clean plate was asked to measure flow by RAFT, whose weights are not installed.",
            hint="Choose the flow 'DIS'. Or have the weights converted and added: "
            "docs/engines/models.md, 'RAFT'.",
        )
    from genai_fill_server.engines.cleanplate.raft.estimator import RaftFlow, load_raft

    network, name = load_raft(folder)
    wants_cpu = options.device is Where.CPU
    device = "cpu" if wants_cpu else torch_name(workplace.device)
    return RaftFlow(network, name, options.detail, device, watch.check, watch.log)

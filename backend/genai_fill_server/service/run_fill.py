"""Run one fill: the complete way of a frame, from the plate on disk to the take on disk."""

from __future__ import annotations

from collections.abc import Sequence

from genai_fill_contract.fill import FillRequest
from genai_fill_contract.take import Take
from genai_fill_server.service.frame_ports import FramePorts, JobWatch
from genai_fill_server.service.ports import Engine


def run_fill(
    request: FillRequest,
    engine: Engine,
    takes: Sequence[Take],
    ports: FramePorts,
    watch: JobWatch,
) -> None:
    """Fill every frame of every take that is not on disk yet.

    ``takes`` come from `allocate_takes`; on resuming, pass the same ones. Returns when all
    frames are complete; each was told by ``watch.frame_done``. Raises `FillCancelled` when
    cancelled and a `GenAIFillError` on failure; finished frames stay either way.
    """
    raise NotImplementedError

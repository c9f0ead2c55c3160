"""What the panel draws, made from what is known: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from genai_fill.app.panel_state import ActivityView, HeroRow, ModelsView, PanelState, TakeRow
from genai_fill.app.ports import NodeState
from genai_fill.app.watch import FillWatch, Stage
from genai_fill.domain.takes import KnownTake
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.job import JobState

LOG_LINES = 200

TakeKey = tuple[str, int]
"""Job id and index: what a take is called by the backend."""


def take_key(known: KnownTake) -> TakeKey:
    """Return how the backend calls a take."""
    return (known.take.job_id, known.take.index)


@dataclass
class NodeRecord:
    """What this session knows of a node beyond its knobs. Main thread only.

    ``watch`` is set while something is going on. ``given_up`` is the id of a job that was
    out of reach, so that it is not tried again at every click.
    """

    watch: FillWatch | None = None
    stage: Stage | None = None
    error: ErrorReport | None = None
    given_up: str = ""
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    @property
    def is_busy(self) -> bool:
        """Whether a fill of this node is under way."""
        return self.watch is not None and not self.watch.is_over

    def activity(self) -> ActivityView:
        """Return what the panel shows of the fill under way, or of how the last one ended."""
        stage = self.stage
        if stage is None:
            return ActivityView()
        if self.watch is None:
            return ActivityView(state=stage.state)
        cancelling = self.watch.is_cancelled or stage.state is JobState.CANCELLING
        return ActivityView(
            state=stage.state,
            phase="Cancelling" if cancelling else stage.phase,
            fraction=stage.fraction,
            eta_s=None if cancelling else stage.eta_s,
            can_cancel=not cancelling,
        )


def take_rows(node: NodeState, pictures: Mapping[TakeKey, bytes]) -> tuple[TakeRow, ...]:
    """Return the node's takes, newest first."""
    return tuple(
        TakeRow(
            version=known.number,
            label=known.label,
            seed=known.take.seed,
            engine_id=known.engine_id,
            prompt=known.prompt,
            first=known.take.frame_range.first,
            last=known.take.frame_range.last,
            frames_done=len(known.take.frames_done),
            frames_total=len(known.take.frame_range),
            chosen=known.number == node.chosen,
            thumbnail_png=pictures.get(take_key(known), b""),
            summary=known.summary,
        )
        for known in reversed(node.takes.listed)
    )


def panel_state(
    node: NodeState,
    record: NodeRecord,
    *,
    engines: tuple[EngineDescription, ...],
    pictures: Mapping[TakeKey, bytes],
    backend: str,
    error: ErrorReport | None,
    models: ModelsView,
) -> PanelState:
    """Return what the panel draws for a node. The node's own error goes before ``error``."""
    return PanelState(
        node_name=node.name,
        form=node.form,
        engines=engines,
        takes=take_rows(node, pictures),
        activity=record.activity(),
        backend=backend,
        error=record.error or error,
        log=tuple(record.log),
        heroes=tuple(HeroRow(hero.frame, hero.label) for hero in node.heroes.heroes),
        models=models,
    )

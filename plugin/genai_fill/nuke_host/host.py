"""`genai_fill.app.ports.Host` in Nuke."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import nuke

from genai_fill.app.ports import NodeInputs, NodeState, OptionalInput, ScriptState
from genai_fill.domain.heroes import HeroList
from genai_fill.domain.takes import KnownTake, TakeList
from genai_fill.nuke_host import (
    graph,
    knobs,
    optional_inputs,
    plates,
    selection,
    status,
    views,
)
from genai_fill.nuke_host.colour import colour_settings
from genai_fill.nuke_host.editing import undo_step, unnoticed, without_undo
from genai_fill.nuke_host.fill_nodes import all_fill_nodes, inner
from genai_fill.nuke_host.footage import footage_of
from genai_fill.nuke_host.identity import FillNodes
from genai_fill.nuke_host.main_thread import MainThread
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import NukeFailed
from genai_fill_contract.plate import FrameRange, InputRole

T = TypeVar("T")


class NukeHost:
    """The running Nuke. Make it on the main thread."""

    def __init__(self) -> None:
        """Touch nothing yet."""
        self._main = MainThread()
        self._nodes = FillNodes()

    @property
    def interactive(self) -> bool:
        """Whether there is a GUI with an event loop."""
        return self._main.interactive

    def run_on_main(self, call: Callable[[], T]) -> T:
        """Run ``call`` on the main thread and return or raise what it does."""
        return self._main.run(call)

    def post_to_main(self, call: Callable[[], None]) -> None:
        """Have ``call`` run on the main thread soon."""
        self._main.post(call)

    def run_later(self, call: Callable[[], None]) -> None:
        """Have ``call`` run when Nuke is done with what it does now. Main thread, GUI only."""
        self._main.queue(call)

    def identify(self, node: Any) -> str:
        """Return the uuid of a node that is at hand: its own, whatever was pasted over it."""
        return self._nodes.identify(node)

    def nodes(self) -> tuple[str, ...]:
        """Return the uuids of every GenAI Fill node of the script."""
        return tuple(self.identify(node) for node in all_fill_nodes())

    def selected(self) -> str | None:
        """Return the uuid of the selected GenAI Fill node, or None."""
        node = selection.selected_fill_node()
        return None if node is None else self.identify(node)

    def create_node(self) -> str:
        """Create a node as the menu does, and return its uuid."""
        try:
            return self.identify(selection.create_fill_node())
        except RuntimeError as error:
            raise NukeFailed(
                f"Nuke could not create a GenAI Fill node: {error}",
                hint="Look whether the gizmos folder is on NUKE_PATH.",
            ) from error

    def node(self, uuid: str) -> NodeState:
        """Return what the node's knobs say."""
        with self._nodes.using(uuid) as node:
            return knobs.read_node(node)

    def script(self) -> ScriptState:
        """Return the script's state."""
        root = nuke.root()
        path = "" if root.name() == "Root" else root.name().replace("\\", "/")
        return ScriptState(path, int(nuke.frame()), colour_settings(), views.script_views())

    def inputs(self, uuid: str) -> NodeInputs:
        """Return what is connected to the node."""
        with self._nodes.using(uuid) as node:
            plate, matte = node.input(graph.PLATE), node.input(graph.MATTE)
            if plate is None:
                return NodeInputs(None, matte is not None)
            channel = str(inner(node, "MatteChannel")["from0"].value())
            return NodeInputs(
                FrameRange(int(plate.firstFrame()), int(plate.lastFrame())),
                matte is not None,
                footage_of(plate),
                footage_of(matte, channel=channel) if matte is not None else None,
                optional_inputs.connected_names(node),
                views.view_of(node),
                views.needs_one_view(node),
            )

    def output_directory(self, uuid: str) -> str:
        """Return the node's own output folder, with its TCL evaluated as Nuke does it."""
        with self._nodes.using(uuid) as node:
            return knobs.read_output_directory(node)

    def optional_inputs(self, uuid: str, roles: tuple[InputRole, ...]) -> tuple[OptionalInput, ...]:
        """Return the optional inputs that are connected and can have one of ``roles``."""
        with self._nodes.using(uuid) as node:
            return optional_inputs.connected_inputs(node, roles)

    def edit(self, uuid: str, changes: Mapping[str, object], *, undoable: bool = True) -> None:
        """Set fields of `FillForm` on the knobs, as one undo step or as none."""
        with (
            self._nodes.using(uuid) as node,
            undo_step(f"Edit {node.name()}") if undoable else without_undo(),
        ):
            knobs.write_form(node, changes)

    def remember(self, uuid: str, takes: TakeList) -> None:
        """Keep the list of takes on the node; no undo step."""
        with self._nodes.using(uuid) as node, without_undo():
            knobs.write_takes(node, takes)

    def set_heroes(self, uuid: str, heroes: HeroList) -> None:
        """Keep the list of hero frames on the node, as one undo step."""
        with self._nodes.using(uuid) as node, undo_step(f"Hero frames of {node.name()}"):
            knobs.write_heroes(node, heroes)

    def set_job(self, uuid: str, job_id: str) -> None:
        """Keep the id of the job under way on the node, or forget it; no undo step."""
        with self._nodes.using(uuid), without_undo():
            self._nodes.set_job(uuid, job_id)

    def show_take(self, uuid: str, take: KnownTake | None, *, undoable: bool) -> None:
        """Show a take in the node's output, or the plate."""
        label = "the plate" if take is None else take.label
        with (
            self._nodes.using(uuid) as node,
            undo_step(f"Show {label} in {node.name()}") if undoable else without_undo(),
        ):
            graph.show_take(node, take)

    def reload_take(self, uuid: str) -> None:
        """Make Nuke look again at the frames of the take shown."""
        with self._nodes.using(uuid) as node, without_undo():
            graph.reload_take(node)

    def say(self, uuid: str, text: str, *, is_error: bool = False) -> None:
        """Show one status text on the node."""
        with self._nodes.using(uuid) as node, unnoticed():
            status.say(node, text, is_error=is_error)

    def offer_engines(self, uuid: str, engines: tuple[EngineDescription, ...]) -> None:
        """Put the engines into the node's own chooser."""
        with self._nodes.using(uuid) as node, unnoticed():
            knobs.offer_engines(node, [engine.id for engine in engines])

    def spool_plate(self, uuid: str, path_pattern: str, frame: int) -> None:
        """Render one frame of the plate to EXR: working space as it is, full bbox."""
        with self._nodes.using(uuid) as node:
            plates.spool_plate(node, path_pattern, frame, views.view_of(node))

    def spool_matte(self, uuid: str, path_pattern: str, frame: int) -> None:
        """Render one frame of the matte to the alpha channel of an EXR."""
        with self._nodes.using(uuid) as node:
            plates.spool_matte(node, path_pattern, frame, views.view_of(node))

    def spool_input(self, uuid: str, role: InputRole, path_pattern: str, frame: int) -> None:
        """Render one frame of an optional input to EXR, the channels that ``role`` needs."""
        with self._nodes.using(uuid) as node:
            plates.spool_input(node, role, path_pattern, frame, views.view_of(node))

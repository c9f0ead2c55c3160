"""The modules that ``import nuke`` and ``import nukescripts`` find."""

from __future__ import annotations

import functools
import types
from typing import Any

from tests.fakes.nuke_standin import (
    api_nodes,
    api_session,
    knobs_choice,
    menus,
    nodes,
    panels,
    render,
    values,
)
from tests.fakes.nuke_standin.dialogs import CancelledError, ProgressTask, Undo
from tests.fakes.nuke_standin.manifest import manifest, module_names
from tests.fakes.nuke_standin.world import World, active


class StrictModule(types.ModuleType):
    """A module that knows what it does not know."""

    def __init__(self, name: str, allowed: frozenset[str]) -> None:
        super().__init__(name)
        self._allowed = allowed

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_allowed", ()):
            raise NotImplementedError(
                f"{self.__name__}.{name} exists in Nuke; the stand-in does not have it."
            )
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")


def _on_main_thread(function: Any, name: str) -> Any:
    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        active().check_thread(f"nuke.{name}")
        return function(*args, **kwargs)

    return guarded


def _constants(world: World) -> dict[str, Any]:
    major, minor = world.version
    known = {name: value for name, value in manifest()["constants"].items() if value is not None}
    return known | {
        "GUI": world.gui,
        "INTERACTIVE": world.gui,
        "NUKE_VERSION_MAJOR": major,
        "NUKE_VERSION_MINOR": minor,
        "NUKE_VERSION_RELEASE": 4,
        "NUKE_VERSION_STRING": f"{major}.{minor}v4",
        "NUM_CPUS": 2,
        "THREADS": 2,
        "EXE_PATH": f"/opt/nuke/Nuke{major}.{minor}",
        "rawArgs": ["Nuke"] if world.gui else ["Nuke", "-t"],
    }


def _environment(world: World) -> dict[str, Any]:
    import sys

    major, minor = world.version
    values = dict.fromkeys(manifest()["env"], False)
    values.update(
        {
            "gui": world.gui,
            "interactive": world.gui,
            "nukex": True,
            "64bit": True,
            "LINUX": sys.platform.startswith("linux"),
            "MACOS": sys.platform == "darwin",
            "WIN32": sys.platform == "win32",
            "NukeVersionMajor": major,
            "NukeVersionMinor": minor,
            "NukeVersionRelease": 4,
            "NukeVersionString": f"{major}.{minor}v4",
            "ExecutablePath": f"/opt/nuke/Nuke{major}.{minor}",
            "numCPUs": 2,
            "threads": 2,
        }
    )
    return values


def build_nuke(world: World) -> StrictModule:
    """The ``nuke`` module of one session."""
    module = StrictModule("nuke", module_names())
    functions = {**api_nodes.EXPORTS, **api_session.EXPORTS, **render.EXPORTS}
    for name, function in functions.items():
        if name in manifest()["functions"]:
            safe = name in api_session.THREAD_SAFE
            setattr(module, name, function if safe else _on_main_thread(function, name))
    classes = [nodes.Node, nodes.Group, nodes.Gizmo, nodes.Root, menus.Menu, menus.MenuItem,
               values.Format, values.Box, values.Info, values.FrameRange, values.FrameRanges,
               Undo, ProgressTask, CancelledError, *knobs_choice.CLASSES.values()]  # fmt: skip
    for cls in classes:
        if cls.__name__ in manifest()["classes"]:
            setattr(module, cls.__name__, cls)
    for name, value in _constants(world).items():
        setattr(module, name, value)
    module.env = _environment(world)
    module.nodes = api_nodes.Nodes()
    return module


def build_nukescripts() -> tuple[StrictModule, StrictModule]:
    """``nukescripts`` and ``nukescripts.panels``."""
    scripts = StrictModule("nukescripts", frozenset(manifest()["nukescripts"]) | {"panels"})
    allowed = frozenset(manifest()["nukescripts.panels"])
    inner = StrictModule("nukescripts.panels", allowed)
    for name, value in panels.EXPORTS.items():
        setattr(inner, name, value)
    scripts.__path__ = []  # type: ignore[attr-defined]
    scripts.panels = inner
    scripts.PythonPanel = panels.PythonPanel
    for name in ("executeInMainThread", "executeInMainThreadWithResult"):
        setattr(scripts, name, api_session.EXPORTS[name])
    scripts.executeDeferred = api_session.EXPORTS["executeInMainThread"]
    return scripts, inner

"""Opening, saving and clearing the script; running init.py and menu.py."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.nuke_standin.core import NodeCore
from tests.fakes.nuke_standin.script_reader import Loader, read_text
from tests.fakes.nuke_standin.script_writer import script_text
from tests.fakes.nuke_standin.world import NukeLaunchError, World


def new_root(world: World) -> None:
    world.views[:], world.view = ["main"], None
    world.root = NodeCore(world, "Root", None, "Root")
    world.context[:] = [world.root]
    world.modified = False
    world.undo.clear()


def run_start_file(world: World, path: Path) -> None:
    """Execute an init.py or menu.py as Nuke does: in main, with ``__file__``."""
    if not path.is_file():
        return
    outer, outer_file = world.running_init, world.main_namespace.get("__file__")
    world.running_init = world.main_namespace["__file__"] = str(path)
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), world.main_namespace)
    except (Exception, SystemExit) as error:
        if isinstance(error, NukeLaunchError):
            raise
        raise NukeLaunchError(f"{path}: error interpreting this plugin: {error!r}") from error
    finally:
        world.running_init = outer
        world.main_namespace.pop("__file__", None)
        if outer_file is not None:
            world.main_namespace["__file__"] = outer_file


def clear(world: World) -> None:
    """Close the script: onScriptClose, then onDestroy of every node, then an empty root."""
    root = world.root
    world.callbacks.fire("OnScriptClose", root)
    for node in list(root.children):
        world.callbacks.fire("OnDestroy", node)
        node.detach()
    world.callbacks.fire("OnDestroy", root)
    root.attached = False
    new_root(world)


def open_script(world: World, path: str | Path) -> None:
    """Replace the script by a file. Unknown classes are reported after the rest was loaded."""
    text = read_text(path)
    clear(world)
    world.script_path = Path(path).as_posix()
    loader = Loader(world, world.root, [], load_root=True)
    loader.run(text)
    world.callbacks.fire("OnCreate", world.root)
    world.callbacks.fire("OnScriptLoad", world.root)
    world.modified = False
    world.undo.clear()
    if loader.unknown:
        raise RuntimeError(f"{path}: " + "; ".join(loader.unknown))


def source(world: World, path: str | Path) -> None:
    source_text(world, read_text(path))


def source_text(world: World, text: str) -> None:
    """Run script text in the current group."""
    loader = Loader(world, world.context[-1], [])
    loader.run(text)
    world.modified = True
    if loader.unknown:
        raise RuntimeError("; ".join(loader.unknown))


def save_script(world: World, path: str | Path) -> None:
    """Save under a name, which becomes the script's name."""
    if not Path(path).parent.is_dir():
        raise RuntimeError(f"{path}: No such file or directory")
    world.script_path = Path(path).as_posix()
    world.callbacks.fire("OnScriptSave", world.root)
    Path(world.script_path).write_text(script_text(world.root), encoding="utf-8")
    world.modified = False

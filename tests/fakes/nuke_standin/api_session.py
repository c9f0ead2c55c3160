"""nuke's functions about the script, plug-in path, callbacks, dialogs and threads."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from tests.fakes.nuke_standin import scripts
from tests.fakes.nuke_standin.callbacks import NODE_KINDS, RENDER_CLASSES, Callback
from tests.fakes.nuke_standin.values import parse_format
from tests.fakes.nuke_standin.world import active

HANG_S = 60.0
THREAD_SAFE = {"executeInMainThread", "executeInMainThreadWithResult", "tprint"}


# -- plug-in path -------------------------------------------------------------------------


def _add_paths(given: Any, prepend: bool, to_sys_path: bool) -> None:
    world = active()
    for item in [given] if isinstance(given, str) else list(given):
        if not isinstance(item, str):
            raise TypeError(f"a plug-in path is text, not {item!r}")
        base = Path(world.running_init).parent if world.running_init else Path.cwd()
        path = os.path.normpath(base / item).replace("\\", "/")
        if path not in world.plugin_path:
            world.plugin_path.insert(0 if prepend else len(world.plugin_path), path)
        if to_sys_path and path not in sys.path:
            sys.path.append(path)
        if world.running_init and world.running_init.endswith("init.py"):
            scripts.run_start_file(world, Path(path) / "init.py")


def pluginAddPath(args, addToSysPath=True):
    _add_paths(args, True, addToSysPath)


def pluginAppendPath(args, addToSysPath=True):
    _add_paths(args, False, addToSysPath)


def pluginPath():
    return list(active().plugin_path)


# -- the script -----------------------------------------------------------------------------


def scriptOpen(name):
    scripts.open_script(active(), name)


def scriptNew(force=""):
    scripts.clear(active())
    active().script_path = ""


def scriptClear(resetRoot=False):
    scripts.clear(active())


def scriptClose(ask=True):
    scripts.clear(active())
    return True


def scriptSave(filename=None):
    world = active()
    path = filename or world.script_path
    if not path:
        raise RuntimeError("The script has no name yet: use scriptSaveAs")
    scripts.save_script(world, path)
    return True


def scriptSaveAs(filename=None, overwrite=-1):
    if filename is None:
        raise RuntimeError("Cancelled")
    if overwrite == 0 and Path(filename).exists():
        raise RuntimeError("Cancelled")
    scripts.save_script(active(), filename)


def scriptSaveToTemp(name):
    from tests.fakes.nuke_standin.script_writer import script_text

    world = active()
    path = world.home / "tmp" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script_text(world.root), encoding="utf-8")
    return path.as_posix()


def scriptName():
    if not active().script_path:
        raise RuntimeError("No script name; the script is untitled")
    return active().script_path


def script_directory():
    path = active().script_path
    return Path(path).parent.as_posix() if path else ""


def scriptSource(name):
    scripts.source(active(), name)


scriptReadFile = scriptSource


def scriptReadText(text):
    scripts.source_text(active(), text)


def modified(status=None):
    if status is not None:
        active().modified = bool(status)
    return active().modified


def frame(f=None):
    knob = active().root.knobs["frame"]
    if f is not None:
        if type(f) not in (int, float):
            raise TypeError(f"a frame is a number, not {f!r}")
        knob._restore(([float(f)], {}, {}))
    return int(knob._number(0))


def views():
    return list(active().views)


def formats():
    return list(active().formats)


def addFormat(s):
    found = parse_format(s)
    if found is None:
        raise ValueError(f"not a format: {s!r}")
    active().formats.append(found)
    return found


def usingOcio():
    return active().root.knobs["colorManagement"]._raw_text() == "OCIO"


def getColorspaceList(colorspaceKnob):
    return list(colorspaceKnob._items)


def executing():
    return active().executing


def animationStart():
    return int(active().root.knobs["first_frame"]._number(0))


def animationEnd():
    return int(active().root.knobs["last_frame"]._number(0))


# -- dialogs and log ------------------------------------------------------------------------


def _say(kind: str, text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"nuke.{kind} takes text, not {text!r}")
    active().messages.append((kind, text))


def _dialog(kind: str, text: Any) -> Any:
    if not active().gui:
        raise RuntimeError(f"nuke.{kind} needs the GUI")
    _say(kind, text)
    if not active().answers:
        raise AssertionError(f"nuke.{kind}({text!r}): no answer was prepared (session.answer)")
    return active().answers.pop(0)


def message(prompt):
    _say("message", prompt)


def alert(prompt):
    _say("alert", prompt)


def ask(prompt):
    return bool(_dialog("ask", prompt))


def askWithCancel(prompt):
    return bool(_dialog("askWithCancel", prompt))


def getInput(prompt, default=""):
    return _dialog("getInput", prompt)


def getFilename(message, pattern=None, default=None, favorites=None, type=None, multiple=False):
    return _dialog("getFilename", message)


def choice(title, prompt, options, default=0):
    return _dialog("choice", prompt)


def tprint(*values, sep=" ", end="\n", file=None):
    active().printed.append(sep.join(map(str, values)))


def warning(message):
    _say("warning", message)


def debug(message):
    _say("debug", message)


def error(message):
    _say("error", message)


def critical(message):
    _say("critical", message)
    raise SystemExit(1)


# -- threads --------------------------------------------------------------------------------


def executeInMainThread(call, args=(), kwargs=None):
    world = active()
    if not world.gui:
        raise RuntimeError("Without the GUI nobody serves executeInMainThread")
    world.queue.put(call, args, kwargs or {})


def executeInMainThreadWithResult(call, args=(), kwargs=None):
    """Run ``call`` on the main thread and wait. None when it raised (the error is printed)."""
    import threading

    world = active()
    if threading.get_ident() == world.main_thread:
        raise RuntimeError("executeInMainThreadWithResult on the main thread would hang Nuke")
    if not world.gui:
        raise RuntimeError("Without the GUI nobody serves executeInMainThreadWithResult")
    waiting = world.queue.put(call, args, kwargs or {})
    if not waiting.done.wait(HANG_S):
        raise RuntimeError(f"The main thread did not serve the call in {HANG_S} s: a hang in Nuke")
    if waiting.dropped:
        raise RuntimeError("Nuke is shutting down")
    return waiting.result


# -- menus and panes --------------------------------------------------------------------------


def menu(name):
    world = active()
    if not world.gui:
        raise RuntimeError("Menus exist in the GUI only")
    found = world.menus.menus.get(name)
    if found is None:
        raise RuntimeError(f"There is no menu {name!r}")
    return found


def toolbar(name, create=True):
    if not active().gui:
        raise RuntimeError("Toolbars exist in the GUI only")
    return active().menus.toolbar(name, create)


class Pane:
    """A place for panels."""

    def __init__(self, name):
        self.name = name


def getPaneFor(panelName):
    world = active()
    if not world.gui:
        return None
    standard = {"Properties.1", "DAG.1", "Viewer.1"}
    return Pane(panelName) if panelName in standard or panelName in world.panels else None


def thisPane():
    return None


def undo():
    active().undo.undo()


def redo():
    active().undo.redo()


# -- files ------------------------------------------------------------------------------------


def getFileNameList(dir, splitSequences=False, extraInformation=False, returnDirs=True,
                    returnHidden=False):  # fmt: skip
    folder = Path(dir)
    if not folder.is_dir():
        return None
    names: list[str] = []
    sequences: dict[tuple[str, int, str], list[int]] = {}
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and not returnHidden
        if hidden or (path.is_dir() and not returnDirs):
            continue
        found = re.fullmatch(r"(.*?)(\d+)(\.\w+)", path.name)
        if found and not splitSequences and path.is_file():
            key = (found[1], len(found[2]), found[3])
            sequences.setdefault(key, []).append(int(found[2]))
        else:
            names.append(path.name)
    for (stem, padding, suffix), frames in sequences.items():
        names.append(f"{stem}%0{padding}d{suffix} {min(frames)}-{max(frames)}")
    return sorted(names)


def _registrars() -> dict[str, Any]:
    """addOnCreate, removeOnCreate, … for every kind of callback."""
    made: dict[str, Any] = {}
    for kind in NODE_KINDS:
        default = "Write" if kind in RENDER_CLASSES else "*"
        if kind in ("OnScriptLoad", "OnScriptSave", "OnScriptClose"):
            default = "Root"
        made[f"add{kind}"] = _registrar(kind, default, "add")
        made[f"remove{kind}"] = _registrar(kind, default, "remove")
    return made


def _registrar(kind: str, default: str, action: str) -> Any:
    def register(call, args=(), kwargs=None, nodeClass=default, node=None):
        if not callable(call):
            raise TypeError(f"{action}{kind} takes a callable, not {call!r}")
        callback = Callback(call, args, kwargs or {}, nodeClass, node)
        getattr(active().callbacks, action)(kind, callback)

    register.__name__ = f"{action}{kind}"
    return register


EXPORTS = {
    function.__name__: function
    for function in list(globals().values())
    if callable(function)
    and getattr(function, "__module__", "") == __name__
    and not isinstance(function, type)
    and not function.__name__.startswith("_")
} | {"scriptReadFile": scriptReadFile} | _registrars()  # fmt: skip

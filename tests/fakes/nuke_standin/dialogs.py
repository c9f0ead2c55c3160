"""nuke.Undo, nuke.ProgressTask, nuke.CancelledError."""

from __future__ import annotations

from tests.fakes.nuke_standin.values import Strict
from tests.fakes.nuke_standin.world import active


class CancelledError(Exception):
    """The artist cancelled."""


def _stack(what: str):
    active().check_thread(f"Undo.{what}")
    return active().undo


class Undo(Strict):
    """Undo blocks; also a context manager. Every method works on the class itself too."""

    def __init__(self, name=""):
        self._block = name

    @staticmethod
    def begin(name="Untitled"):
        _stack("begin").begin(name)

    @staticmethod
    def name(name):
        _stack("name").name(name)

    @staticmethod
    def end():
        _stack("end").end()

    @staticmethod
    def new(name="Untitled"):
        _stack("new").end()
        active().undo.begin(name)

    @staticmethod
    def cancel():
        _stack("cancel").cancel()

    @staticmethod
    def undo():
        return _stack("undo").undo()

    @staticmethod
    def redo():
        return _stack("redo").redo()

    @staticmethod
    def disable():
        _stack("disable").disable()

    @staticmethod
    def enable():
        _stack("enable").enable()

    @staticmethod
    def disabled():
        return _stack("disabled").disabled

    @staticmethod
    def undoSize():
        return len(_stack("undoSize").done)

    @staticmethod
    def redoSize():
        return len(_stack("redoSize").undone)

    @staticmethod
    def undoDescribe(index=-1):
        return _stack("undoDescribe").done[index].name

    def __enter__(self):
        self.begin(self._block)
        return self

    def __exit__(self, *exc_info):
        self.end()


class ProgressTask(Strict):
    """A progress bar; usable from any thread. ``setProgress`` takes an int."""

    def __init__(self, title=""):
        self._title, self._message, self._percent, self._cancelled = title, "", 0, False
        active().progress_tasks.append(self)

    def setMessage(self, message):
        if not isinstance(message, str):
            raise TypeError(f"setMessage takes text, not {message!r}")
        self._message = message

    def setProgress(self, percent):
        if type(percent) is not int:
            raise TypeError(f"setProgress takes an int, not {percent!r}")
        self._percent = percent

    def isCancelled(self):
        return self._cancelled

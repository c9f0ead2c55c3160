"""One frame ahead: the device makes a frame while the one before is finished and written.

Everything but the model's call stays in the thread that asked: the shot is read there, and the
watch is spoken to there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

from genai_fill_contract.errors import GenAIFillError
from genai_fill_server.service.ports import FillCancelled, FloatImage, Watch

Unit = TypeVar("Unit")
Scene = TypeVar("Scene")
Made = TypeVar("Made")

_LOOK_EVERY_S = 0.05


def in_turn(
    units: Iterable[Unit],
    read: Callable[[Unit], Scene],
    make: Callable[[Unit, Scene, Watch], Made],
    watch: Watch,
) -> Iterator[tuple[Unit, Made]]:
    """Yield each unit with what ``make`` made of what ``read`` read, one after the other."""
    for unit in units:
        watch.check()
        yield unit, make(unit, read(unit), watch)


def one_ahead(
    units: Iterable[Unit],
    read: Callable[[Unit], Scene],
    make: Callable[[Unit, Scene, Watch], Made],
    watch: Watch,
    begin: Callable[[], None],
) -> Iterator[tuple[Unit, Made]]:
    """Do as `in_turn` does, with ``make`` in a thread of its own that works one unit ahead.

    While a unit is made the next one is read; it is begun before the first is handed over. A
    unit that cannot be read raises after all before it were handed over. ``begin`` runs once
    in that thread. Leaving early stops the call at its next look at its watch.
    """
    relay = Relay()
    with ThreadPoolExecutor(1, "genai-fill-model", initializer=begin) as pool:
        try:
            before: tuple[Unit, Future[Made]] | None = None
            for unit in units:
                watch.check()
                scene = _attempt(read, unit)
                made = _result(before[1], relay, watch) if before else None
                following = None
                if not isinstance(scene, GenAIFillError):
                    following = pool.submit(make, unit, scene, relay)
                if before:
                    yield before[0], made  # type: ignore[misc]  # there is one where before is
                if isinstance(scene, GenAIFillError):
                    raise scene
                assert following is not None
                before = unit, following
            if before:
                yield before[0], _result(before[1], relay, watch)
        finally:
            relay.stop()


def _attempt(read: Callable[[Unit], Scene], unit: Unit) -> Scene | GenAIFillError:
    try:
        return read(unit)
    except GenAIFillError as error:
        return error


def _result(future: Future[Made], relay: Relay, watch: Watch) -> Made:
    """Return what the thread made; meanwhile pass on what it says, and look for cancel."""
    while not wait([future], timeout=_LOOK_EVERY_S).done:
        relay.pass_on(watch)
        watch.check()
    relay.pass_on(watch)
    return future.result()


class Relay:
    """A `Watch` for another thread: keeps what it is told until that is passed on."""

    def __init__(self) -> None:
        self._told: deque[Callable[[Watch], None]] = deque()
        self._stopped = Event()

    def check(self) -> None:
        """Raise `FillCancelled` once `stop` was called."""
        if self._stopped.is_set():
            raise FillCancelled

    def progress(self, phase: str, done: float, total: float) -> None:
        """Keep it to be passed on; also checks."""
        self.check()
        self._told.append(lambda watch: watch.progress(phase, done, total))

    def log(self, message: str) -> None:
        """Keep it to be passed on."""
        self._told.append(lambda watch: watch.log(message))

    def note(self, key: str, value: object) -> None:
        """Keep it to be passed on."""
        self._told.append(lambda watch: watch.note(key, value))

    def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None:
        """Keep it to be passed on."""
        self._told.append(lambda watch: watch.preview(take_index, frame, rgb))

    def pass_on(self, watch: Watch) -> None:
        """Tell ``watch`` what was told here, in order. From the thread that owns ``watch``."""
        while self._told:
            self._told.popleft()(watch)

    def stop(self) -> None:
        """Let the other thread stop at its next look."""
        self._stopped.set()

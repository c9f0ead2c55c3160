"""Undo blocks: named, nested, revertible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Step = tuple[Callable[[], None], Callable[[], None]]


@dataclass
class Block:
    """One entry of the Edit > Undo history. Steps are (undo, redo) pairs in order."""

    name: str
    steps: list[Step] = field(default_factory=list)


class UndoStack:
    """The history. A change outside any block makes a block of its own."""

    def __init__(self) -> None:
        self.done: list[Block] = []
        self.undone: list[Block] = []
        self._open: list[Block] = []
        self._disabled = 0
        self._replaying = False

    def record(self, name: str, undo: Callable[[], None], redo: Callable[[], None]) -> None:
        if self._disabled or self._replaying:
            return
        if self._open:
            self._open[-1].steps.append((undo, redo))
            return
        self.done.append(Block(name, [(undo, redo)]))
        self.undone.clear()

    def begin(self, name: str) -> None:
        self._open.append(Block(name))

    def name(self, name: str) -> None:
        if self._open:
            self._open[-1].name = name

    def end(self) -> None:
        if not self._open:
            return
        block = self._open.pop()
        if not block.steps:
            return
        if self._open:
            self._open[-1].steps.extend(block.steps)
        else:
            self.done.append(block)
            self.undone.clear()

    def cancel(self) -> None:
        """Close the block and put everything back."""
        if self._open:
            self._replay([step[0] for step in reversed(self._open.pop().steps)])

    def undo(self) -> bool:
        if not self.done:
            return False
        block = self.done.pop()
        self._replay([step[0] for step in reversed(block.steps)])
        self.undone.append(block)
        return True

    def redo(self) -> bool:
        if not self.undone:
            return False
        block = self.undone.pop()
        self._replay([step[1] for step in block.steps])
        self.done.append(block)
        return True

    def _replay(self, actions: list[Callable[[], None]]) -> None:
        self._replaying = True
        try:
            for action in actions:
                action()
        finally:
            self._replaying = False

    def disable(self) -> None:
        self._disabled += 1

    def enable(self) -> None:
        self._disabled = max(0, self._disabled - 1)

    @property
    def disabled(self) -> bool:
        return self._disabled > 0

    @property
    def open_depth(self) -> int:
        return len(self._open)

    def clear(self) -> None:
        self.done.clear()
        self.undone.clear()
        self._open.clear()

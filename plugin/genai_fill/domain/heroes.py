"""Hero frames: approved frames of takes, to be carried through the shot.

The list lives on the node as JSON, so it is saved with the script, undone with it, and
travels with a copy of the node.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from genai_fill.domain.frame_ranges import frames_in_words
from genai_fill.domain.takes import KnownTake
from genai_fill_contract import codec
from genai_fill_contract.errors import InvalidRequest, MalformedMessage, MissingFrames

MAX_HEROES = 256


@dataclass(frozen=True)
class HeroFrame:
    """One approved frame. The files outlive the take's place in the list of takes.

    ``take`` is the number of the take on the node, ``label`` what the node calls it.
    """

    frame: int
    take: int
    label: str
    path_pattern: str


@dataclass(frozen=True)
class HeroList:
    """The hero frames of a node by frame: at most one a frame. Every change is a new list."""

    heroes: tuple[HeroFrame, ...] = ()

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames, in rising order."""
        return tuple(hero.frame for hero in self.heroes)

    def with_hero(self, hero: HeroFrame) -> HeroList:
        """Return the list with a hero; another one at the same frame gives way.

        Raises `InvalidRequest` when the list is full.
        """
        others = self.without(hero.frame).heroes
        if len(others) >= MAX_HEROES:
            raise InvalidRequest(
                f"The node has {MAX_HEROES} hero frames already.",
                hint="Remove some; a few approved frames say more than many.",
            )
        return HeroList(tuple(sorted((*others, hero), key=lambda known: known.frame)))

    def without(self, frame: int) -> HeroList:
        """Return the list without the hero at ``frame``."""
        return replace(self, heroes=tuple(h for h in self.heroes if h.frame != frame))


def hero_of(known: KnownTake, frame: int) -> HeroFrame:
    """Return a take's frame as a hero; a take of one frame has no other, wherever one looks.

    Raises `MissingFrames` for a frame that the take does not have yet, or at all.
    """
    take = known.take
    wanted = take.frame_range.first if len(take.frame_range) == 1 else frame
    if wanted not in take.frames_done:
        have = frames_in_words(take.frames_done)
        raise MissingFrames(
            f"{known.label} has no frame {wanted}.",
            hint=f"Go to one of its frames: {have}." if have else "Wait for its first frame.",
            frame=wanted,
        )
    return HeroFrame(wanted, known.number, known.label, take.path_pattern)


def encode_heroes(heroes: HeroList) -> str:
    """Return the text of the ``hero_frames`` knob."""
    return codec.dumps(heroes) if heroes.heroes else ""


@functools.lru_cache(maxsize=32)
def decode_heroes(text: str) -> HeroList:
    """Return the list in the text of a ``hero_frames`` knob; empty text is an empty list.

    Fields of a later release are ignored; everything else must be as `encode_heroes` writes
    it. Raises `MalformedMessage`.
    """
    if not text.strip():
        return HeroList()
    try:
        heroes = codec.loads(HeroList, text, unknown="ignore")
    except MalformedMessage as error:
        raise _damaged(error.message) from error
    frames = heroes.frames
    if list(frames) != sorted(set(frames)) or len(frames) > MAX_HEROES:
        raise _damaged("frames must rise, and be at most one a frame.")
    if not all(hero.path_pattern and hero.label for hero in heroes.heroes):
        raise _damaged("a hero frame has no file.")
    return heroes


def _damaged(why: str) -> MalformedMessage:
    return MalformedMessage(
        f"The node's list of hero frames is damaged: {why}",
        hint="Empty it: nuke.toNode('<the node>')['hero_frames'].setValue(''), then choose "
        "the hero frames again.",
    )

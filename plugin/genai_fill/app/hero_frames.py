"""Approve frames of takes as hero frames, and take them back."""

from __future__ import annotations

from genai_fill.app.choose_take import known_take
from genai_fill.app.ports import Host
from genai_fill.domain.heroes import hero_of


def add_hero(host: Host, uuid: str, number: int, frame: int | None) -> None:
    """Make a frame of a take a hero frame of the node; None: the one the artist looks at.

    One undo step. Raises `MissingFrames` when the take does not have the frame, and
    `InvalidRequest` for a take that the node does not know.
    """
    known = known_take(host, uuid, number)
    wanted = host.script().current_frame if frame is None else frame
    host.set_heroes(uuid, host.node(uuid).heroes.with_hero(hero_of(known, wanted)))


def remove_hero(host: Host, uuid: str, frame: int) -> None:
    """Take the hero frame at ``frame`` off the list; its file stays. One undo step."""
    heroes = host.node(uuid).heroes
    if frame in heroes.frames:
        host.set_heroes(uuid, heroes.without(frame))

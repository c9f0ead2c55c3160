"""Choose, forget and recall takes."""

from __future__ import annotations

import posixpath

from genai_fill.app.ports import FileBrowser, Host
from genai_fill.domain.takes import KnownTake
from genai_fill_contract.errors import InvalidRequest


def known_take(host: Host, uuid: str, number: int) -> KnownTake:
    """Return a take of a node; raises `InvalidRequest` when the node has none such."""
    node = host.node(uuid)
    take = node.takes.get(number)
    if take is None or take.off_list:
        raise InvalidRequest(
            f"{node.name} has no take {number}.", hint="Choose one of the takes in the list."
        )
    return take


def choose_take(host: Host, uuid: str, number: int | None) -> None:
    """Show a take in the node's output, or the plate for None; one undo step."""
    take = None if number is None else known_take(host, uuid, number)
    host.show_take(uuid, take, undoable=True)


def forget_take(host: Host, uuid: str, number: int) -> None:
    """Take it off the list; the files stay. The plate is shown if it was the one shown.

    Undoing that shows it again, and puts it back on the list. The list itself is no part of
    the undo history, or else undo would lose the takes that were made since.
    """
    known_take(host, uuid, number)
    node = host.node(uuid)
    if node.chosen == number:
        host.show_take(uuid, None, undoable=True)
    host.remember(uuid, node.takes.without(number))


def restore_take_settings(host: Host, uuid: str, number: int) -> None:
    """Put the prompt, seed, engine and options of a take back; the seed is locked.

    With an unlocked seed the next Generate would not repeat the take.
    """
    take = known_take(host, uuid, number)
    host.edit(
        uuid,
        {
            "prompt": take.prompt,
            "negative_prompt": take.negative_prompt,
            "engine_id": take.engine_id,
            "engine_options": dict(take.engine_options),
            "seed": take.take.seed,
            "seed_locked": True,
        },
    )


def reveal_take(host: Host, browser: FileBrowser, uuid: str, number: int) -> None:
    """Open the take's folder."""
    take = known_take(host, uuid, number)
    browser.reveal(posixpath.dirname(take.take.path_pattern))

"""Seeds: which one a Generate uses."""

from __future__ import annotations

from collections.abc import Callable

from genai_fill_contract.fill import MAX_TAKES

MAX_NODE_SEED = 2**31 - 1 - MAX_TAKES
"""The largest seed that a node keeps: Nuke's integer knobs have 32 bits and a sign."""

RandomBelow = Callable[[int], int]
"""Returns a random integer from 0 to below its argument: ``random.randrange``."""


def roll_seed(random_below: RandomBelow) -> int:
    """Return a new random seed that an integer knob can hold, takes counted in."""
    return random_below(MAX_NODE_SEED + 1)


def seed_for_generate(seed: int, *, locked: bool, random_below: RandomBelow) -> int:
    """Return the seed that Generate uses: the node's own when locked, else a new one."""
    return seed if locked else roll_seed(random_below)

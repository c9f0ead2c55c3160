"""Hero frames: an image model for a whole shot.

A model fills one frame; the clean plate's motion carries what it made through the shot. What
that cannot reach is filled on a further frame, with what is there already in the picture.
Making engines imports no heavy library.
"""

from __future__ import annotations

from collections.abc import Mapping

from genai_fill_contract.engine import EngineKind
from genai_fill_server.service.ports import Engine

__all__ = ["create"]


def create(settings: Mapping[str, object]) -> list[Engine]:
    """Return a hero-frame engine for each image engine of ``engines.diffusers``.

    ``settings`` are theirs; ``worker.threads`` (int, 0: all cores) counts for the carrying too.
    """
    from genai_fill_server.engines import diffusers
    from genai_fill_server.engines.hero.engine import HeroEngine

    threads = settings.get("worker.threads", 0)
    count = threads if isinstance(threads, int) else 0
    return [
        HeroEngine(engine, threads=count)
        for engine in diffusers.create(settings)
        if engine.description.kind is EngineKind.IMAGE
    ]

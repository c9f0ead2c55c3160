"""Clean plate: fills from what other frames show, without a model.

Motion of the background round the matte takes pixels of other frames into the hole, in
scene-linear light; what no frame shows is invented once from the plate's own texture and
carried through the shot by the same motion.
"""

from __future__ import annotations

from collections.abc import Mapping

from genai_fill_server.service.ports import Engine

__all__ = ["create"]


def create(settings: Mapping[str, object]) -> list[Engine]:
    """Return the clean-plate engine.

    ``settings`` may hold ``worker.threads`` (0: all cores), ``models.device``, the worker's
    device, and ``models.dirs``, where RAFT's weights may be.
    """
    from genai_fill_server.engines.cleanplate.engine import CleanPlateEngine

    threads = settings.get("worker.threads", 0)
    device = str(settings.get("models.device", "auto"))
    dirs = settings.get("models.dirs", ())
    named = [str(folder) for folder in dirs] if isinstance(dirs, list | tuple) else []
    return [CleanPlateEngine(threads if isinstance(threads, int) else 0, device, named)]

"""The installed engines, found by entry points: ours and a studio's own alike."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint

from genai_fill_contract.engine import ColourDomain, EngineDescription, EngineKind
from genai_fill_contract.settings import Settings, setting_keys
from genai_fill_server.bootstrap.engine_points import installed_engines
from genai_fill_server.service.ports import Engine, EngineFactory

_LOG = logging.getLogger(__name__)


def engine_settings(settings: Settings, device: str) -> dict[str, object]:
    """Return what engine factories are created with: every setting as ``section.key``.

    ``models.device`` is the device of this worker.
    """
    flat: dict[str, object] = {}
    for key in setting_keys():
        section, name = key.split(".", maxsplit=1)
        flat[key] = getattr(getattr(settings, section), name)
    flat["models.device"] = device
    return flat


def load_engines(settings: dict[str, object]) -> tuple[list[Engine], list[EngineDescription]]:
    """Return the engines of every entry point, and a description for each that is broken.

    A studio's broken engine must not take the others with it, so whatever it raises becomes
    the reason why it is unavailable. Of two engines with one id, the first counts.
    """
    engines: dict[str, Engine] = {}
    broken: list[EngineDescription] = []
    for point in installed_engines():
        try:
            factory: EngineFactory = point.load()
            made = factory(settings)
        except Exception as error:  # noqa: BLE001 - foreign code at the process boundary
            _LOG.exception("the engines of %s (%s) do not load", point.name, point.value)
            broken.append(_broken(point, error))
            continue
        for engine in made:
            engine_id = engine.description.id
            if engine_id in engines:
                _LOG.error("%s: a second engine %r is left out", point.value, engine_id)
            else:
                engines[engine_id] = engine
    return list(engines.values()), broken


def _broken(point: EntryPoint, error: Exception) -> EngineDescription:
    return EngineDescription(
        id=point.name,
        label=point.name,
        kind=EngineKind.IMAGE,
        domain=ColourDomain.DISPLAY,
        help=f"Engines of {point.value}.",
        available=False,
        unavailable_reason=f"It does not load: {type(error).__name__}: {error}"[:500],
    )

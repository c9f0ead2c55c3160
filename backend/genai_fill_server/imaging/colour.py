"""Colour management by the script's own OCIO config (`ColourCodec`).

Plate colorspace → working space → linear Rec.709 for engines that think in sRGB, and the
exact way back. The HDR shoulder (`domain.hdr_shoulder`) is put on by the service; here are
only OCIO's transforms, unoptimised where optimising would lose bits.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping

import numpy as np
import PyOpenColorIO as ocio  # type: ignore[import-untyped]  # noqa: N813

from genai_fill_contract.errors import ConfigError, UnknownColorspace
from genai_fill_contract.plate import ColourSettings
from genai_fill_server.service.ports import FloatImage

_LOG = logging.getLogger(__name__)

_FAULTS = (ocio.Exception, ocio.ExceptionMissingFile)  # the second is no subclass of the first

DEFAULT_CONFIGS = (
    "cg-config-v5.0.0_aces-v2.1_ocio-v2.6",
    "cg-config-v4.0.0_aces-v2.0_ocio-v2.5",
    "cg-config-v2.2.0_aces-v1.3_ocio-v2.4",
    "cg-config-v2.1.0_aces-v1.3_ocio-v2.3",
)
"""Built-in ACES configs, the preferred first; an older OCIO knows only the later ones."""

_REC709_NAMES = (
    "Linear Rec.709 (sRGB)",
    "lin_rec709",
    "lin_srgb",
    "Linear sRGB",
    "Linear Rec.709",
    "Utility - Linear - sRGB",
    "Utility - Linear - Rec.709",
)


class OcioColour:
    """One job's colour codec. Processors are made once each."""

    def __init__(self, settings: ColourSettings) -> None:
        self._config, self._source = load_config(settings.ocio_config)
        self.check(settings.working_space)
        self._working = settings.working_space
        self._processors: dict[tuple[str, str], ocio.CPUProcessor | None] = {}
        self._rec709_note = ""

    def check(self, colorspace: str) -> None:
        """Raise `UnknownColorspace` unless ``colorspace`` is a space, role or alias here."""
        if self._config.getColorSpace(colorspace) is None:
            raise _unknown(colorspace, self._config, self._source)

    def is_working(self, colorspace: str) -> bool:
        """Whether ``colorspace`` is the working space: no pixel would change."""
        return self._between(colorspace, self._working) is None

    def to_working(self, image: FloatImage, colorspace: str) -> FloatImage:
        """Return ``image`` (h, w, 3) in the working space; itself if that is no change."""
        return _apply(self._between(colorspace, self._working), image)

    def to_rec709(self, image: FloatImage) -> FloatImage:
        """Return a working-space image in linear Rec.709, negatives and highlights kept."""
        return _apply(self._rec709("to"), image)

    def from_rec709(self, image: FloatImage) -> FloatImage:
        """Return a linear Rec.709 image in the working space."""
        return _apply(self._rec709("from"), image)

    def describe(self) -> Mapping[str, str]:
        """Return the config's source, name and working space, for the recipe."""
        facts = {
            "ocio_config": self._source,
            "ocio_config_name": self._config.getName(),
            "working_space": self._working,
            "working_colorspace": self._config.getColorSpace(self._working).getName(),
            "ocio_version": ocio.__version__,
        }
        if self._rec709_note:
            facts["note"] = self._rec709_note
        return facts

    def _between(self, source: str, target: str) -> ocio.CPUProcessor | None:
        def make() -> ocio.Processor:
            self.check(source)
            return self._config.getProcessor(source, target)

        return self._cached((source, target), make)

    def _rec709(self, way: str) -> ocio.CPUProcessor | None:
        return self._cached((way, "rec709"), lambda: self._make_rec709(way))

    def _cached(
        self, key: tuple[str, str], make: Callable[[], ocio.Processor | None]
    ) -> ocio.CPUProcessor | None:
        if key not in self._processors:
            try:
                processor = make()
            except _FAULTS as error:
                raise ConfigError(
                    f"The OCIO config {self._source} cannot convert {key[0]!r} to {key[1]!r}: "
                    f"{_first_line(error)}.",
                    hint="Check that the config's LUT files are there and readable.",
                ) from error
            self._processors[key] = _lossless(processor)
        return self._processors[key]

    def _make_rec709(self, way: str) -> ocio.Processor | None:
        name = next((n for n in _REC709_NAMES if self._config.getColorSpace(n) is not None), None)
        if name is not None:
            ends = (self._working, name) if way == "to" else (name, self._working)
            return self._config.getProcessor(*ends)
        try:
            # Through the interchange roles, or by what OCIO can tell of the spaces themselves.
            if way == "to":
                return ocio.Config.GetProcessorToBuiltinColorSpace(
                    self._config, self._working, _REC709_NAMES[0]
                )
            return ocio.Config.GetProcessorFromBuiltinColorSpace(
                _REC709_NAMES[0], self._config, self._working
            )
        except _FAULTS as error:
            self._rec709_note = (
                "The OCIO config has no linear Rec.709 space and no interchange role; its "
                "working space was taken to have Rec.709 primaries."
            )
            _LOG.warning("%s (%s)", self._rec709_note, _first_line(error))
            return None


def load_config(source: str) -> tuple[ocio.Config, str]:
    """Return the OCIO config at ``source`` and what to call it.

    ``source`` is a path, an ``ocio://`` name or empty for the newest built-in ACES config.
    Raises `ConfigError`.
    """
    if source:
        try:
            return ocio.Config.CreateFromFile(source), source
        except _FAULTS as error:
            raise ConfigError(
                f"The OCIO config {source} cannot be loaded: {_first_line(error)}.",
                hint="Set the path of a config.ocio, or leave it empty for the built-in ACES one.",
                path=source,
            ) from error
    for name in DEFAULT_CONFIGS:
        try:
            return ocio.Config.CreateFromBuiltinConfig(name), f"ocio://{name}"
        except _FAULTS:
            _LOG.debug("this OCIO has no built-in config %s", name)
    raise ConfigError(
        f"OpenColorIO {ocio.__version__} has none of the built-in ACES configs.",
        hint="Install OpenColorIO 2.3 or later, or set the path of a config.ocio.",
    )


def _unknown(colorspace: str, config: ocio.Config, source: str) -> UnknownColorspace:
    roles = [role for role, _ in config.getRoles()]
    names = [*config.getColorSpaceNames(), *roles]
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(colorspace.lower(), list(by_lower), n=3, cutoff=0.3)
    shown = [by_lower[name] for name in near] or names[:3]
    return UnknownColorspace(
        f"The OCIO config {source} has no colorspace or role {colorspace!r}.",
        hint=f"Correct the name; the nearest ones are {', '.join(shown)}.",
        colorspace=colorspace,
    )


def _lossless(processor: ocio.Processor | None) -> ocio.CPUProcessor | None:
    if processor is None or processor.isNoOp():
        return None
    cpu = processor.getOptimizedCPUProcessor(
        ocio.BIT_DEPTH_F32, ocio.BIT_DEPTH_F32, ocio.OPTIMIZATION_LOSSLESS
    )
    return None if cpu.isNoOp() else cpu


def _apply(processor: ocio.CPUProcessor | None, image: FloatImage) -> FloatImage:
    if processor is None or image.size == 0:
        return image
    changed = np.array(image, dtype=np.float32, order="C", copy=True)
    processor.applyRGB(changed)
    return changed


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"

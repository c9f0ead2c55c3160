"""Which files a request may touch: only what lies under the allowed roots, links resolved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from genai_fill_contract.engine import EngineDescription, OptionType
from genai_fill_contract.errors import InvalidRequest, PathNotAllowed
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.plate import FrameRange, is_still, path_at

MAX_FRAMES = 100_000
MAX_INPUTS = 64
MAX_PATH_CHARACTERS = 4096
"""As long as a path can be on Linux, and longer than on any other system."""

_BUILT_IN_OCIO = "ocio://"


class PathPolicy:
    """The allowed roots, and the checks of every path that a request names."""

    def __init__(
        self,
        roots: Sequence[str],
        trusted_files: Iterable[str] = (),
        model_dirs: Iterable[str] = (),
    ) -> None:
        """Allow what lies under ``roots``, and exactly the ``trusted_files``.

        Trusted are files that the backend's own environment names, such as the studio's
        OCIO config: they were chosen by who started the backend, not by who asks. Under
        ``model_dirs`` are files that an engine's options may name (a LoRA); nothing else may.
        """
        self.roots = tuple(os.path.realpath(root) for root in roots)
        self._models = tuple(os.path.realpath(os.path.expanduser(d)) for d in model_dirs)  # noqa: PTH111 - Path.expanduser() raises for an unknown user
        self._trusted = frozenset(os.path.realpath(path) for path in trusted_files)

    def check_request(self, request: FillRequest, engine: EngineDescription) -> None:
        """Raise unless every file of ``request`` is allowed.

        Raises `PathNotAllowed` for a path outside the roots, `InvalidRequest` for one that
        is relative or for a frame range beyond reason.
        """
        fill_range = request.frame_range
        _check_length("The frame range to fill", fill_range)
        plate_range = _with(request.plate.frame_range, fill_range)
        self._check_sequence("The plate", request.plate.path_pattern, plate_range)
        matte_range = _with(request.matte.frame_range, fill_range)
        self._check_sequence("The matte", request.matte.path_pattern, matte_range)
        if len(request.inputs) > MAX_INPUTS:
            raise InvalidRequest(
                f"The request names {len(request.inputs)} optional inputs.",
                hint=f"Connect at most {MAX_INPUTS}.",
            )
        for given in request.inputs:
            name = f"The {given.role.value.replace('_', ' ')} input"
            self._check_sequence(name, given.path_pattern, given.frame_range)
        self._check_file("The output folder", request.output.directory)
        config = request.colour.ocio_config
        if config and not config.startswith(_BUILT_IN_OCIO):
            self._check_file("The OCIO config", config)
        for label, path in _file_options(request, engine).items():
            self._check_file(f"The file of the option {label!r}", path, self._models)

    def check_file(self, what: str, path: str) -> None:
        """Raise unless the one file or folder ``path`` is allowed."""
        self._check_file(what, path)

    def _check_file(self, what: str, path: str, also: Sequence[str] = ()) -> None:
        _require_absolute(what, path)
        real = os.path.realpath(path)
        if not self._allows(real) and not _is_under(real, also):
            raise self._refusal(what, path)

    def _check_sequence(self, what: str, pattern: str, frames: FrameRange) -> None:
        """Check every frame: any one of them may be a link to somewhere else.

        Folders are resolved once each, frames only when they are links themselves: one
        look per frame, as cheap as can be on a network disk.
        """
        _require_absolute(what, pattern)
        _check_length(f"{what}'s frame range", frames)
        allowed_folders: dict[str, str] = {}
        for frame in (frames.first,) if is_still(pattern) else frames:
            path = path_at(pattern, frame)
            folder, name = os.path.split(path)
            if folder not in allowed_folders:
                allowed_folders[folder] = os.path.realpath(folder)
            real = os.path.join(allowed_folders[folder], name)  # noqa: PTH118 - hot loop
            if os.path.islink(real):  # noqa: PTH114 - hot loop
                real = os.path.realpath(real)
            if not self._allows(real):
                raise self._refusal(what, path)

    def _allows(self, real_path: str) -> bool:
        if os.path.normcase(real_path) in {os.path.normcase(path) for path in self._trusted}:
            return True
        return _is_under(real_path, self.roots)

    def _refusal(self, what: str, path: str) -> PathNotAllowed:
        return PathNotAllowed(
            f"{what} {path} lies outside the backend's allowed folders.",
            hint=f"Move it under one of {', '.join(self.roots) or 'none'}, "
            "or add its folder to server.allowed_roots.",
            path=path,
        )


def _is_under(real_path: str, roots: Sequence[str]) -> bool:
    path = PurePath(os.path.normcase(real_path))
    return any(path.is_relative_to(os.path.normcase(root)) for root in roots)


def _require_absolute(what: str, path: str) -> None:
    if len(path) > MAX_PATH_CHARACTERS:
        raise InvalidRequest(
            f"The path of {what[0].lower()}{what[1:]} has {len(path)} characters.",
            hint=f"Use a path of at most {MAX_PATH_CHARACTERS} characters.",
        )
    if "\0" in path or not os.path.isabs(path):  # noqa: PTH117 - a pattern, not a path
        raise InvalidRequest(
            f"{what} {path!r} is not a full path.",
            hint="Give the whole path, from the root of the disk or share.",
        )


def _check_length(what: str, frames: FrameRange) -> None:
    # Not len(): that overflows on a range that somebody made absurd on purpose.
    count = frames.last - frames.first + 1
    if count > MAX_FRAMES:
        raise InvalidRequest(
            f"{what} {frames} has {count} frames.",
            hint=f"A job may have at most {MAX_FRAMES}; split the range.",
        )


def _with(on_disk: FrameRange, filled: FrameRange) -> FrameRange:
    return FrameRange(min(on_disk.first, filled.first), max(on_disk.last, filled.last))


def _file_options(request: FillRequest, engine: EngineDescription) -> Mapping[str, str]:
    values = engine.resolve(request.engine_options)
    given = {
        option.label: str(values[option.name])
        for option in engine.options
        if option.type is OptionType.FILE
    }
    return {label: path for label, path in given.items() if path}

"""Make the version folders of a job's takes, so that nobody else can have them.

A version is taken by an exclusive ``mkdir``: atomic on local disks and on network shares,
between processes, machines and artists. Standard library only: the server process does
this before it answers.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
from pathlib import Path

from genai_fill_contract.errors import DiskFull, GenAIFillError, OutputNotWritable
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.take import Take

MAX_VERSION = 9999
SCRATCH_NAME = ".genaifill_scratch"
"""The folder of what an engine keeps for resuming, in the first take's version folder."""
PART_SUFFIX = ".part"
"""How the name of a file ends that is not whole yet; it begins with a dot and the take's stem."""

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system answers when a disk or a quota has no room left."""


def allocate_takes(request: FillRequest, job_id: str) -> tuple[Take, ...]:
    """Return ``request.takes`` new takes, one fresh version folder each.

    Versions rise and follow the highest one on disk, so a deleted version in the middle is
    not used again. Raises `OutputNotWritable` or `DiskFull`; then no folder is left behind.
    """
    directory = Path(request.output.directory)
    if not directory.is_absolute():
        raise OutputNotWritable(
            f"The output folder {request.output.directory!r} is not an absolute path.",
            hint="Give the whole path, from the root of the disk or share.",
            path=request.output.directory,
        )
    made: list[Path] = []
    takes: list[Take] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        version = _highest_version(directory, request.output.name)
        for index in range(request.takes):
            version, folder = _make_next(directory, request.output.name, version)
            made.append(folder)
            takes.append(_take(request, job_id, index, version, folder))
    except (OSError, GenAIFillError) as error:
        for folder in reversed(made):
            _remove_if_empty(folder)
        if isinstance(error, OSError):
            raise output_error(error, directory) from error
        raise
    return tuple(takes)


def release_takes(takes: tuple[Take, ...]) -> None:
    """Remove the folders of takes that never got a file (a job refused or cancelled early)."""
    tidy_takes(takes)
    for take in takes:
        _remove_if_empty(Path(take.path_pattern).parent)


def tidy_takes(takes: tuple[Take, ...]) -> None:
    """Remove what a killed process left in the folders of a job that has ended.

    Half-written files and the engine's scratch; never a frame, never another's file.
    """
    for take in takes:
        folder = Path(take.path_pattern).parent
        shutil.rmtree(folder / SCRATCH_NAME, ignore_errors=True)
        with contextlib.suppress(OSError):
            for entry in list(folder.iterdir()):
                if entry.name.startswith(f".{folder.name}.") and entry.name.endswith(PART_SUFFIX):
                    entry.unlink()


def output_error(error: OSError, path: Path) -> GenAIFillError:
    """Return the `DiskFull` or `OutputNotWritable` that an `OSError` on ``path`` means."""
    place = path.as_posix()
    if error.errno in FULL_DISK:
        return DiskFull(
            f"The disk of {place} is full.",
            hint="Free some space there, or choose another output folder, and run it again.",
            path=place,
        )
    reason = error.strerror or str(error)
    return OutputNotWritable(
        f"Cannot write to {place}: {reason}.",
        hint="Check the folder's permissions and that the disk is mounted, or choose another.",
        path=place,
    )


def _take(request: FillRequest, job_id: str, index: int, version: int, folder: Path) -> Take:
    stem = folder.name
    return Take(
        job_id=job_id,
        index=index,
        version=version,
        seed=request.seed + index,
        path_pattern=(folder / f"{stem}.%04d.exr").as_posix(),
        recipe_path=(folder / f"{stem}.json").as_posix(),
        frame_range=request.frame_range,
    )


def _highest_version(directory: Path, name: str) -> int:
    # Compared without case: on macOS and Windows "Fill_v001" and "fill_v001" are one folder.
    pattern = re.compile(re.escape(name) + r"_v(\d{3,4})", re.IGNORECASE)
    matches = (pattern.fullmatch(entry.name) for entry in directory.iterdir())
    return max((int(match[1]) for match in matches if match), default=0)


def _make_next(directory: Path, name: str, version: int) -> tuple[int, Path]:
    while version < MAX_VERSION:
        version += 1
        folder = directory / f"{name}_v{version:03d}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue  # another job was faster
        return version, folder
    raise OutputNotWritable(
        f"{directory.as_posix()} has {MAX_VERSION} versions of {name!r}.",
        hint="Use another output name or folder.",
        path=directory.as_posix(),
    )


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # not empty, or gone: either way nothing of ours to tidy

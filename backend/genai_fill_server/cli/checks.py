"""The doctor's checks: each looks at one thing and never raises for what it looks for."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genai_fill_contract.errors import GenAIFillError
from genai_fill_contract.settings import ResolvedSettings, Settings
from genai_fill_server.bootstrap.config import allowed_roots, state_path
from genai_fill_server.bootstrap.engine_listing import list_engines
from genai_fill_server.cli.connection import find_backend
from genai_fill_server.cli.finding import Check, Finding, Level, fail, ok, warn
from genai_fill_server.domain.installing import install_words
from genai_fill_server.store.os_files import is_private
from genai_fill_server.store.state_dir import StateDir

_NEEDED = (
    "fastapi",
    "uvicorn",
    "httpx",
    "typer",
    "rich",
    "numpy",
    "opencv-python-headless",
    "numba",
    "OpenImageIO",
    "opencolorio",
)
_FOR_MODELS = ("torch", "diffusers", "transformers", "accelerate", "safetensors")
_OLDEST_PYTHON = (3, 11)
_LITTLE_DISK_BYTES = 20 * 1024**3
_GIB = 1024**3


def all_checks(resolved: ResolvedSettings, environment: Mapping[str, str]) -> list[Check]:
    """Return every check, the quick ones first."""
    settings = resolved.settings
    return [
        check_python,
        check_packages,
        partial(check_state, settings, environment),
        partial(check_roots, settings),
        partial(check_disk, settings, environment),
        partial(check_colour, environment),
        check_exr,
        partial(check_backend, settings, environment),
        partial(check_device, settings),
        partial(check_engines, settings, environment),
    ]


def check_python() -> list[Finding]:
    """Look at the Python that runs this."""
    what = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info < _OLDEST_PYTHON:
        return fail(what, "Use Python 3.11 or newer.")
    return ok(what)


def check_packages() -> list[Finding]:
    """Look for the packages of the server, and those that models need."""
    found = ok(f"genai-fill {_version('genai-fill') or 'runs from a folder, not installed'}")
    missing = [name for name in _NEEDED if _version(name) is None]
    have = ", ".join(f"{name} {_version(name)}" for name in _NEEDED if name not in missing)
    if missing:
        found += fail(
            f"missing packages: {', '.join(missing)}", f"Install them {install_words('server')}."
        )
    found += ok(f"packages: {have}")
    absent = [name for name in _FOR_MODELS if _version(name) is None]
    if absent:
        return found + warn(
            f"no models can run: {', '.join(absent)} not installed",
            f"Install them {install_words('diffusion')}; clean plate needs none of them.",
        )
    models = ", ".join(f"{name} {_version(name)}" for name in _FOR_MODELS)
    return found + ok(f"packages for models: {models}")


def check_state(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Look at the state folder and the token in it."""
    path = state_path(settings, environment)
    try:
        state = StateDir(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except GenAIFillError as error:
        return fail(error.message, error.hint)
    except OSError as error:
        return fail(
            f"state folder {path} cannot be written to: {error.strerror}",
            "Mend its permissions, or choose another one with backend.state_dir.",
        )
    if not is_private(path):
        found = warn(f"state folder {path} is open to others", f"Run: chmod 700 {path}")
    else:
        found = ok(f"state folder {path}")
    if not state.token_path.exists():
        return found + ok("token: made when the backend first starts")
    if not is_private(state.token_path):
        return found + fail(
            f"token {state.token_path} could be read by others",
            "Start the backend again: it makes a new one.",
        )
    return found + ok("token: only you can read it")


def check_roots(settings: Settings) -> list[Finding]:
    """Look at the folders that requests may name."""
    found: list[Finding] = []
    for root in allowed_roots(settings):
        if Path(root).is_dir():
            found += ok(f"allowed folder {root}")
        else:
            found += warn(
                f"allowed folder {root} is not there", "Mount it, or mend server.allowed_roots."
            )
    return found


def check_disk(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Look at the room left where takes go."""
    found: list[Finding] = []
    folders = (*allowed_roots(settings), str(state_path(settings, environment)))
    for folder in dict.fromkeys(folders):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue  # told by the check of the folders
        what = f"{free / _GIB:.0f} GiB free at {folder}"
        found += ok(what) if free > _LITTLE_DISK_BYTES else warn(what, "Free some room there.")
    return found


def check_colour(environment: Mapping[str, str]) -> list[Finding]:
    """Load the OCIO config that requests without one use."""
    from genai_fill_contract.plate import ColourSettings
    from genai_fill_server.imaging.colour import OcioColour

    source = environment.get("OCIO", "")
    try:
        OcioColour(ColourSettings(ocio_config=source))
    except GenAIFillError as error:
        return fail(error.message, error.hint)
    return ok(f"OCIO config {source or '(built in)'} loads")


def check_exr() -> list[Finding]:
    """Write an EXR as takes are written, and read it back bit for bit."""
    import numpy as np

    from genai_fill_contract.plate import FrameRange, PlateRef, Window
    from genai_fill_server.imaging.local_frames import local_frame_ports
    from genai_fill_server.service.frame_ports import FrameHeader, TakeFrame

    ports = local_frame_ports()
    window = Window(2, 1, 6, 4)
    display = Window(0, 0, 8, 6)
    rgb = np.linspace(-1, 60, 36, dtype=np.float32).reshape(3, 4, 3)
    frame = TakeFrame(
        window,
        rgb,
        np.ones((3, 4), np.float32),
        FrameHeader(display, display, pixel_type="float"),
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = (Path(folder) / "doctor.1001.exr").as_posix()
            ports.takes.write_frame(path, frame)
            one = FrameRange(1001, 1001)
            back = ports.plates.open_plate(PlateRef(path, one)).read(1001, window)
    except GenAIFillError as error:
        return fail(error.message, error.hint)
    if not np.array_equal(back, rgb):
        return fail("an EXR does not come back as it was written", "Install OpenImageIO again.")
    return ok("EXR: written and read back bit for bit")


def check_backend(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Look for the backend that runs."""
    try:
        client = find_backend(settings, environment)
        if client is None:
            return warn(
                "no backend is running",
                "The node starts one by itself; by hand: genai-fill serve.",
            )
        try:
            hello = client.hello()
        finally:
            client.close()
    except GenAIFillError as error:
        return fail(error.message, error.hint)
    found = ok(
        f"backend {hello.product_version} runs as process {hello.pid}, "
        f"contract {hello.contract_version}"
    )
    ours = _version("genai-fill")
    if ours is not None and hello.product_version != ours:
        # An upgrade changes the files; the process goes on with what it has loaded.
        found += warn(
            f"the backend that runs is of release {hello.product_version}, this command of {ours}",
            "Run 'genai-fill stop'; the next fill starts the one that is installed.",
        )
    return found


def check_device(settings: Settings) -> list[Finding]:
    """Say on which device models would run."""
    wanted = settings.models.device
    if shutil.which("nvidia-smi") or wanted != "auto":
        return ok(f"device: {wanted}")
    if sys.platform == "darwin":
        return ok("device: auto (Metal where the model can)")
    return warn(
        "device: no NVIDIA driver found, models would run on the CPU",
        "Clean plate needs none. For models, use a machine with a GPU.",
    )


def check_engines(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Ask the engines whether they can run."""
    try:
        engines = list_engines(settings, environment)
    except GenAIFillError as error:
        return fail(error.message, error.hint)
    found: list[Finding] = []
    for engine in engines:
        if engine.available:
            found += ok(f"engine {engine.id} ({engine.licence or 'licence unnamed'})")
        else:
            found += [Finding(Level.WARN, f"engine {engine.id}", engine.unavailable_reason)]
    if not any(engine.available for engine in engines):
        found += fail("no engine can run", f"Install again {install_words('server')}: it has one.")
    default = settings.engine.default
    if default not in [engine.id for engine in engines]:
        found += warn(f"engine.default is {default!r}, which is not installed", "Correct it.")
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

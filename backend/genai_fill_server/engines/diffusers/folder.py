"""Model folders in diffusers layout: finding them, and refusing what must not be loaded.

A model folder is hostile input. Weights are read from safetensors only; a pickle can run
any code when it is opened, and so can Python files and ``auto_map`` entries.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import EngineError, ModelLoadFailed, ModelMissing, ModelUnsafe

INDEX_FILE = "model_index.json"
_PICKLES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".msgpack", ".h5"})
_CODE = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib"})
_LIBRARIES = frozenset({"diffusers", "transformers", "stable_diffusion"})
_REMOTE_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipeline", "custom_pipelines")
_WEIGHTS_KEY = "transformers_weights"
_PLAIN_NAME = re.compile(r"[^/\\:\0]+")
# Parts of a pipeline that have no weights of their own.
_WEIGHTLESS = ("Scheduler", "Tokenizer", "TokenizerFast", "Processor", "FeatureExtractor")
_MAX_DEPTH = 4
_MAX_JSON_BYTES = 64 * 2**20
_VARIANTS = ("fp16", "bf16")
_FINGERPRINT_BYTES = 2**16


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a ``model_index.json``.

    ``roots`` are the model directories, resolved: links may lead anywhere inside them (the
    Hugging Face cache is made of such links) and nowhere else. ``pipeline`` is the
    ``_class_name`` of the index, ``components`` its parts: name -> (library, class).
    """

    path: Path
    name: str
    roots: tuple[Path, ...]
    pipeline: str
    index: Mapping[str, Any]

    @property
    def components(self) -> dict[str, tuple[str, str]]:
        """The parts of the pipeline that are present: name -> (library, class)."""
        return {
            key: (str(value[0]), str(value[1]))
            for key, value in self.index.items()
            if isinstance(value, list) and len(value) == 2 and value[0] is not None
        }


def find_model_folders(dirs: tuple[str, ...]) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Yield every folder with a ``model_index.json`` under ``dirs``, with the roots.

    Looks four levels deep, which reaches the snapshots of a Hugging Face cache, and not
    into a model. Directories that are not there are skipped: a network share may be away.
    """
    roots = tuple(Path(d).expanduser().resolve() for d in dirs)
    seen: set[Path] = set()
    for root in roots:
        for current, folders, files in os.walk(root, followlinks=True):
            here = Path(current)
            depth = len(here.relative_to(root).parts)
            if INDEX_FILE in files:
                folders.clear()
                if here.resolve() not in seen:
                    seen.add(here.resolve())
                    yield here, roots
            elif depth >= _MAX_DEPTH:
                folders.clear()
            folders[:] = sorted(f for f in folders if f not in ("blobs", "refs", ".git"))


def model_name(path: Path) -> str:
    """Return the name of a model folder: its own, or ``org--name`` in a Hugging Face cache."""
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return path.parent.parent.name.removeprefix("models--")
    return path.name


def read_model_folder(path: Path, roots: tuple[Path, ...]) -> ModelFolder:
    """Return the folder at ``path``, its index read but nothing else checked.

    Raises `ModelLoadFailed` for an index that is not one, `ModelUnsafe` for one that asks
    for code from outside diffusers.
    """
    index = _read_json(path / INDEX_FILE)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise ModelUnsafe(
            f"{path / INDEX_FILE} names its own pipeline code: {pipeline!r}.",
            hint="Only pipelines that are part of diffusers are loaded.",
            path=str(path),
        )
    return ModelFolder(path, model_name(path), roots, pipeline, index)


def check_safe(folder: ModelFolder, ignored: frozenset[str] = frozenset()) -> None:
    """Raise `ModelUnsafe` or `ModelMissing` if the folder must not or cannot be loaded.

    ``ignored`` parts are never loaded, so they may be of any kind or absent.
    """
    _check_index(folder)
    for path in _files(folder.path):
        _check_file(folder, path)
    for name, (_, class_name) in folder.components.items():
        if name not in ignored:
            _check_component(folder, name, class_name)


def check_safe_part(folder: ModelFolder, path: Path) -> None:
    """Raise unless ``path`` is a part (a ControlNet) of its own that ``folder`` may load.

    ``path`` is absolute and resolved: a folder, or one .safetensors file. Raises
    `ModelUnsafe` or `ModelMissing`.
    """
    if not any(path.is_relative_to(root) for root in folder.roots):
        raise ModelUnsafe(
            f"The model {folder.name!r} takes a part from {path}, outside the model folders.",
            hint="Put the part beside the model, or add its folder to models.dirs.",
            path=str(path),
        )
    if path.is_file():
        _check_weight_file(folder, path)
        return
    if not path.is_dir():
        raise _missing(folder, path, "a part that its card names")
    for file in _files(path):
        _check_file(folder, file)
    _check_weights(folder, path)


def weight_variant(
    folder: ModelFolder, ignored: frozenset[str] = frozenset(), only: str = ""
) -> str | None:
    """Return the variant ("fp16") that has to be asked for, None for plain file names.

    Some repositories hold ``….fp16.safetensors`` only; diffusers looks for plain names
    unless told. ``only`` looks at one part.
    """
    for name, (_, class_name) in folder.components.items():
        if name in ignored or class_name.endswith(_WEIGHTLESS) or only not in ("", name):
            continue
        names = [p.name for p in (folder.path / name).glob("*.safetensors")]
        if names and all(any(f".{v}" in n for v in _VARIANTS) for n in names):
            return next(v for v in _VARIANTS if any(f".{v}" in n for n in names))
    return None


def read_config(folder: ModelFolder, part: str) -> dict[str, Any]:
    """Return the configuration of a part. Raises `ModelMissing` or `ModelLoadFailed`."""
    return _read_json(folder.path / part / "config.json")


def read_sizes(path: Path) -> dict[str, int]:
    """Return the whole numbers of a folder's ``transformer/config.json``, none if unreadable.

    They tell models of one family from each other whose folders are called anything.
    """
    try:
        config = _read_json(path / "transformer" / "config.json")
    except EngineError:
        return {}
    return {key: value for key, value in config.items() if type(value) is int}


def fingerprint(path: Path) -> str:
    """Return 16 hex digits that change when another model stands in the folder or file.

    Taken of the configurations, and of each weight file's size, beginning and end: reading
    tens of gigabytes before each job would cost minutes. Not a proof; that is what the
    store's checksums are for.
    """
    digest = hashlib.sha256()
    root = path.parent if path.is_file() else path
    for each in [path] if path.is_file() else _files(path):
        if each.suffix not in (".json", ".safetensors") or each.is_dir():
            continue
        size = each.stat().st_size
        digest.update(f"{each.relative_to(root).as_posix()} {size}\n".encode())
        with each.open("rb") as file:
            digest.update(file.read(_FINGERPRINT_BYTES))
            file.seek(max(0, size - _FINGERPRINT_BYTES))
            digest.update(file.read(_FINGERPRINT_BYTES))
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            yield Path(current) / name
        # A linked folder is not walked into (it could lead in circles) but must be safe.
        yield from (Path(current) / f for f in folders if (Path(current) / f).is_symlink())


def _check_index(folder: ModelFolder) -> None:
    where = folder.path / INDEX_FILE
    for key in _REMOTE_CODE_KEYS:
        if folder.index.get(key):
            raise _remote_code(where, key)
    for name, (library, class_name) in folder.components.items():
        plain = class_name.isidentifier() and name.isidentifier()
        if library not in _LIBRARIES or not plain:
            raise ModelUnsafe(
                f"{where} takes its part {name!r} from {library!r} ({class_name!r}).",
                hint="Only parts of diffusers and transformers are loaded.",
                path=str(where),
            )


def _check_file(folder: ModelFolder, path: Path) -> None:
    if path.suffix.lower() in _CODE:
        raise ModelUnsafe(
            f"The model folder holds code: {path}.",
            hint="Models are loaded without their own code. Use a model in diffusers layout "
            "that needs none, or remove the file if it is not needed.",
            path=str(path),
        )
    if path.is_symlink():
        target = path.resolve()
        if not any(target.is_relative_to(root) for root in folder.roots):
            raise ModelUnsafe(
                f"{path} is a link to {target}, outside the model folders.",
                hint="Put the file itself there, or add its folder to models.dirs.",
                path=str(path),
            )
    if path.suffix == ".json" and path.name.endswith("config.json"):
        config = _read_json(path)
        for key in _REMOTE_CODE_KEYS:
            if config.get(key):
                raise _remote_code(path, key)
        if _WEIGHTS_KEY in config:  # transformers loads that file before any other
            _check_weight_name(path, str(config[_WEIGHTS_KEY]))


def _check_component(folder: ModelFolder, name: str, class_name: str) -> None:
    part = folder.path / name
    if not part.is_dir():
        raise _missing(folder, part, f"its part {name!r}")
    if not class_name.endswith(_WEIGHTLESS):
        _check_weights(folder, part)


def _check_weight_file(folder: ModelFolder, path: Path) -> None:
    _check_file(folder, path)
    if path.suffix == ".safetensors":
        return
    if path.suffix.lower() in _PICKLES:
        raise _pickle(path)
    raise ModelUnsafe(
        f"The model {folder.name!r} takes its weights from {path}.",
        hint="Weights are read from .safetensors files only.",
        path=str(path),
    )


def _pickle(path: Path) -> EngineError:
    return ModelUnsafe(
        f"The weights {path} are a pickle, which can run any code when opened.",
        hint="Use a version of the model with .safetensors files, or convert it on a "
        "machine that may run untrusted code.",
        path=str(path),
    )


def _check_weights(folder: ModelFolder, part: Path) -> None:
    files = sorted(part.iterdir())
    what = f"of its part {part.name!r}"
    if not any(p.suffix == ".safetensors" for p in files):
        pickles = [p for p in files if p.suffix.lower() in _PICKLES]
        if pickles:
            raise _pickle(pickles[0])
        raise _missing(folder, part / "*.safetensors", f"the weights {what}")
    for path in files:
        if not path.exists():  # a link whose blob was never fetched
            raise _missing(folder, path, f"a file {what}")
        # "model.safetensors.index.fp16.json", too.
        if ".safetensors.index." in path.name and path.suffix == ".json":
            for shard in _shards(path):
                if not (part / shard).is_file():
                    raise _missing(folder, part / shard, f"a shard {what}")


def _shards(index: Path) -> list[str]:
    """Return the files that an index of weights names: plain names of safetensors files.

    The libraries load whatever stands there by its suffix, a pickle as a pickle.
    """
    weights = _read_json(index).get("weight_map")
    if not isinstance(weights, dict):
        raise ModelLoadFailed(
            f"{index} names no files of weights.",
            hint="Copy the model folder again, whole.",
            path=str(index),
        )
    shards = sorted({str(shard) for shard in weights.values()})
    for shard in shards:
        _check_weight_name(index, shard)
    return shards


def _check_weight_name(where: Path, name: str) -> None:
    if not name.endswith(".safetensors") or not _PLAIN_NAME.fullmatch(name):
        raise ModelUnsafe(
            f"{where} takes weights from {name!r}.",
            hint="Weights are read from .safetensors files beside it only.",
            path=str(where),
        )


def _missing(folder: ModelFolder, path: Path, what: str) -> EngineError:
    return ModelMissing(
        f"The model {folder.name!r} lacks {what}: {path}.",
        hint="Copy the model folder again, whole.",
        path=str(path),
    )


def _remote_code(path: Path, key: str) -> EngineError:
    return ModelUnsafe(
        f"{path} asks for code of its own ({key}).",
        hint="Models are loaded without their own code. Use a version of the model that is "
        "part of diffusers or transformers.",
        path=str(path),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError("it is too large")
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
    except FileNotFoundError as error:
        raise ModelMissing(
            f"{path} is not there.", hint="Copy the model folder again, whole.", path=str(path)
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadFailed(
            f"{path} cannot be read: {error}.",
            hint="Copy the model folder again, whole.",
            path=str(path),
        ) from error
    return value

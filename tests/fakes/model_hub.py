"""A hub of model repositories in memory, and small model folders that pass every check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from genai_fill_contract.errors import ModelMissing
from genai_fill_server.models.ports import RemoteFile, RemoteModel

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def safetensors(weights: bytes = b"\0" * 8, name: str = "w") -> bytes:
    """Return a safetensors file of one float16 tensor that holds these bytes."""
    entry = {"dtype": "F16", "shape": [len(weights) // 2], "data_offsets": [0, len(weights)]}
    header = json.dumps({name: entry}).encode()
    return len(header).to_bytes(8, "little") + header + weights


INDEX = {
    "_class_name": "StableDiffusionInpaintPipeline",
    "_diffusers_version": "0.37.0",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
}


def model_files() -> dict[str, bytes]:
    """Return the files of a whole model: name -> bytes."""
    return {
        "model_index.json": json.dumps(INDEX).encode(),
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": safetensors(b"unet" * 50_000),
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": safetensors(b"vae!" * 1000),
        "tokenizer/tokenizer.json": b'{"version": "1.0"}',
        "tokenizer/merges.txt": b"#version: 0.2\n",
        "scheduler/scheduler_config.json": b"{}",
    }


def write_model(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write a model folder and return it."""
    for name, data in (model_files() if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


class FakeHub:
    """`Hub` in memory. It can break off, give wrong bytes, and move its branch."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = model_files() if files is None else files
        self.commit = COMMIT
        self.asked: list[tuple[str, str]] = []
        self.fetched: list[str] = []
        self.breaks_at = ""
        self.spoils = ""

    def list_files(self, repository: str, revision: str) -> RemoteModel:
        self.asked.append((repository, revision))
        return RemoteModel(self.commit, tuple(self._file(n, d) for n, d in self.files.items()))

    def _file(self, name: str, data: bytes) -> RemoteFile:
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        if name.endswith(".safetensors"):
            return RemoteFile(name, len(data), sha256=hashlib.sha256(data).hexdigest())
        return RemoteFile(name, len(data), git_oid=oid)

    def fetch(
        self, repository: str, commit: str, name: str, folder: Path, advance: Callable[[int], None]
    ) -> None:
        assert commit == self.commit
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (folder / ".cache").mkdir(exist_ok=True)
        (folder / ".cache" / "notes.incomplete").write_bytes(b"")
        data = self.files[name]
        if name == self.breaks_at:
            path.write_bytes(data[: len(data) // 2])
            raise ModelMissing("The line went dead.", hint="Pull again.")
        if name == self.spoils:
            data = data[:-1] + bytes([data[-1] ^ 1])
        path.write_bytes(data)
        self.fetched.append(name)
        advance(len(data))

    def tidy(self, folder: Path) -> None:
        for path in (folder / ".cache").iterdir():
            path.unlink()
        (folder / ".cache").rmdir()


class Steps:
    """`Progress` that remembers; raises ``stop`` after so many bytes."""

    def __init__(self, stop_after_bytes: int | None = None) -> None:
        self.phases: list[list[int | str]] = []
        self.stop_after_bytes = stop_after_bytes

    def start(self, what: str, total_bytes: int) -> None:
        self.phases.append([what, total_bytes, 0])

    def advance(self, done_bytes: int) -> None:
        self.phases[-1][2] += done_bytes
        if self.stop_after_bytes is not None and self.phases[-1][2] >= self.stop_after_bytes:
            raise KeyboardInterrupt

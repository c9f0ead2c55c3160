"""The Hugging Face hub, or a studio's mirror of it: the only importer of huggingface_hub."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import ConfigError, DiskFull, ModelMissing, OutputNotWritable
from genai_fill_server.domain.installing import install_words
from genai_fill_server.models.ports import RemoteFile, RemoteModel

_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = frozenset({"1", "on", "yes", "true"})
_QUIET = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK", "DO_NOT_TRACK")
_LOCAL_CACHE = ".cache"
_TIMEOUT_S = 30.0


class HuggingFaceHub:
    """`Hub` by the huggingface_hub package.

    ``HF_ENDPOINT`` of ``environment`` names a mirror, ``HF_TOKEN`` an account for gated
    models. Refuses to work where the user asked the library to stay off line.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Prepare; nothing is asked yet. Raises `ConfigError` when off line or not installed."""
        for name in _OFFLINE_VARIABLES:
            if environment.get(name, "").strip().lower() in _TRUE:
                raise ConfigError(
                    f"{name} is set, so nothing is fetched from the network.",
                    hint=f"Unset {name} for this command, or bring the model's folder and use "
                    "'genai-fill models add FOLDER'.",
                )
        for name in _QUIET:  # read once, when the library is imported
            os.environ.setdefault(name, "1")
        try:
            import huggingface_hub
            import huggingface_hub.errors  # not always there without
        except ImportError as error:
            raise ConfigError(
                "The package huggingface_hub is not installed.",
                hint=f"Install it {install_words('diffusion')}, or bring the model's folder and "
                "use 'genai-fill models add FOLDER'.",
            ) from error
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        self._hub = huggingface_hub
        self._endpoint = environment.get("HF_ENDPOINT", "").rstrip("/") or None
        self._token = environment.get("HF_TOKEN") or None

    def list_files(self, repository: str, revision: str) -> RemoteModel:
        """Return the files at ``revision``, with sizes and hashes."""
        api = self._hub.HfApi(endpoint=self._endpoint, token=self._token)
        with self._in_words(repository):
            info = api.model_info(
                repository, revision=revision, files_metadata=True, timeout=_TIMEOUT_S
            )
        return RemoteModel(
            commit=str(info.sha), files=tuple(_file(sibling) for sibling in info.siblings or ())
        )

    def fetch(
        self,
        repository: str,
        commit: str,
        name: str,
        folder: Path,
        advance: Callable[[int], None],
    ) -> None:
        """Write one file to ``folder / name``."""
        told = 0

        def tell(count: int) -> None:
            nonlocal told
            told += count
            advance(count)

        with self._in_words(repository):
            path = self._hub.hf_hub_download(
                repository,
                name,
                revision=commit,
                local_dir=folder,
                cache_dir=folder / _LOCAL_CACHE / "hub",
                endpoint=self._endpoint,
                token=self._token,
                tqdm_class=_bar_that_tells(tell),
            )
            # Not every way that the library knows tells the bar of each byte.
            advance(Path(path).stat().st_size - told)

    def tidy(self, folder: Path) -> None:
        """Remove the library's notes."""
        shutil.rmtree(folder / _LOCAL_CACHE, ignore_errors=True)

    @contextmanager
    def _in_words(self, repository: str) -> Iterator[None]:
        """Turn whatever the library and its HTTP client raise into an error of ours."""
        errors = self._hub.errors
        try:
            yield
        except errors.GatedRepoError as error:
            raise ModelMissing(
                f"{repository} is given out only to those who agreed to its licence.",
                hint="Agree on its page, then set HF_TOKEN to a token of that account.",
            ) from error
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
            raise ModelMissing(
                f"The hub has no {repository}, or not at that revision.",
                hint="Look at --revision, HF_TOKEN and HF_ENDPOINT. A mirror may not have it.",
            ) from error
        except OSError as error:
            raise _from_os(error, repository) from error
        except Exception as error:
            # The HTTP client, and so its errors, differ between the library's versions.
            if not _is_of_the_network(error):
                raise
            raise _unreachable(error, repository) from error


def _file(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    digest = getattr(lfs, "sha256", None) or (lfs.get("sha256") if isinstance(lfs, dict) else None)
    return RemoteFile(
        name=str(sibling.rfilename),
        size_bytes=int(sibling.size or 0),
        sha256=str(digest or ""),
        git_oid=str(sibling.blob_id or ""),
    )


def _from_os(error: OSError, repository: str) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("The store's disk is full.", hint="Free some room, then pull again.")
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return OutputNotWritable(
            f"{error.filename or 'The store'} cannot be written to: {error.strerror}.",
            hint="Look at the permissions of the store.",
        )
    return _unreachable(error, repository)


def _unreachable(error: Exception, repository: str) -> ModelMissing:
    words = str(error).strip().splitlines()
    return ModelMissing(
        f"{repository} cannot be fetched: {words[0][:200] if words else type(error).__name__}.",
        hint="Look at the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT, then pull again: "
        "files that are whole already are not fetched again.",
    )


def _is_of_the_network(error: Exception) -> bool:
    modules = {base.__module__.split(".")[0] for base in type(error).__mro__}
    return bool(modules & {"httpx", "httpx2", "httpcore", "requests", "urllib3", "hf_xet"})


def _bar_that_tells(advance: Callable[[int], None]) -> type:
    """Return a progress bar class for the library that draws nothing and tells ``advance``."""
    from tqdm import tqdm  # type: ignore[import-untyped]  # has no annotations

    class TellingBar(tqdm):  # type: ignore[misc]  # as it has none
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            advance(int(n or 0))
            return None

    return TellingBar

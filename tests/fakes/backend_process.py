"""A real backend in a process of its own, on a free port, with a state folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from genai_fill_server.http.client import BackendClient

ENGINES = Path(__file__).with_name("studio_engines.py")
START_TIMEOUT_S = 60


def install_studio_engines(folder: Path) -> Path:
    """Make a folder that, on PYTHONPATH, is an installed package of engines."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ENGINES, folder / "studio_engines.py")
    info = folder / "studio_engines-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: studio-engines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[genai_fill.engines]\n"
        "studio = studio_engines:create\n"
        "studio_broken = studio_engines:create_broken\n"
    )
    return folder


class BackendProcess:
    """Starts `genai-fill serve` and talks with it; `kill` it as hard as you like."""

    def __init__(self, state_dir: Path, roots: Path, engines: Path, **settings: object) -> None:
        self.state_dir = state_dir
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GENAI_FILL_")},
            "PYTHONPATH": str(engines),
            "HOME": str(state_dir.parent),
            "GENAI_FILL_SERVER_ALLOWED_ROOTS": str(roots),
            "GENAI_FILL_BACKEND_STATE_DIR": str(state_dir),
            "GENAI_FILL_SERVER_PORT": "0",
            "GENAI_FILL_WORKER_THREADS": "1",
            **{f"GENAI_FILL_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._clients: list[BackendClient] = []

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "genai_fill_server.cli", *arguments]

    def start(self) -> BackendProcess:
        self.process = subprocess.Popen(
            self.command("serve"),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        line = self.process.stdout.readline().decode()
        if "listens at" not in line:
            raise AssertionError(f"no backend: {line}{self.process.stderr.read().decode()}")
        self.url = line.split()[-1]
        return self

    def wait_for_endpoint(self) -> dict:
        return json.loads((self.state_dir / "endpoint.json").read_text())

    @property
    def token(self) -> str:
        return (self.state_dir / "token").read_text().strip()

    def client(self) -> BackendClient:
        """A client that is closed with the process."""
        self._clients.append(BackendClient(self.url, self.token, timeout_s=30))
        return self._clients[-1]

    def http(self, **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}", **headers},
            trust_env=False,
            timeout=60,
        )

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        return self._reap()

    def _reap(self) -> int:
        while self._clients:
            self._clients.pop().close()
        self.process.wait(30)
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()
        code, self.process = self.process.returncode, None
        return code

    def wait_for_ends(self) -> None:
        """Wait until each job that has ended is tidied up after and on record.

        A final state is written first, so that a power cut leaves no job without its folder;
        empty versions and scratch go after it, and the audit log's line comes last.
        """
        ended = {job.id for job in self.client().jobs(1000) if job.state.is_final}
        wait_until(lambda: ended <= set(self._jobs_with_an_end()))

    def _jobs_with_an_end(self) -> Iterator[str]:
        for line in (self.state_dir / "audit.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["event"] == "finished":
                yield record["job"]

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.state_dir / "logs").iterdir()))


def wait_until(condition, timeout_s: float = 30.0):
    """Return the first true value of ``condition``, or fail."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {condition}")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie waits for its parent and runs no more.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"

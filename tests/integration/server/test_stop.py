"""`genai-fill stop` against real backends."""

from __future__ import annotations

import signal
import subprocess

import pytest

from genai_fill_contract.job import JobState
from tests.fakes.backend_process import BackendProcess, is_running, wait_until


def run(backend: BackendProcess, *arguments: str):
    return subprocess.run(
        backend.command(*arguments),
        env=backend.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_stop_ends_the_backend_and_says_which(backend_in):
    backend = backend_in()
    pid = backend.process.pid

    stopped = run(backend, "stop")

    assert stopped.returncode == 0, stopped.stderr
    (line,) = stopped.stdout.splitlines()
    assert line.startswith("stopped backend ")
    assert line.endswith(f"process {pid}")
    assert stopped.stderr == ""
    # It is over by the time the command says so: a new one can have the folder at once.
    assert not (backend.state_dir / "endpoint.json").exists()
    assert backend_in().url
    assert backend.stop() == 0
    assert "asked to stop" in (backend.state_dir / "logs" / "server.log").read_text()


def test_what_was_running_goes_on_with_the_next_backend(backend_in, request_for):
    first = backend_in()
    client = first.client()
    job = client.submit(request_for(options={"delay_s": 60.0}))
    wait_until(lambda: client.job(job.id).state is JobState.RUNNING)

    stopped = run(first, "stop")

    assert stopped.returncode == 0, stopped.stderr
    assert "1 job(s) go on when a backend is started again" in stopped.stdout
    assert first.stop() == 0
    client = backend_in().client()
    wait_until(lambda: client.job(job.id).state is JobState.RUNNING)
    client.cancel(job.id)
    wait_until(lambda: client.job(job.id).state is JobState.CANCELLED)


def test_without_a_backend_stop_says_so_in_one_line(backend_in):
    backend = backend_in()
    assert backend.stop() == 0

    nothing = run(backend, "stop")

    assert nothing.returncode == 3
    (line,) = nothing.stderr.splitlines()
    assert f"No backend runs with the state folder {backend.state_dir}" in line
    assert nothing.stdout == ""


def test_one_that_was_killed_counts_as_none(backend_in):
    backend = backend_in()
    backend.kill()

    assert run(backend, "stop").returncode == 3


def test_one_that_hangs_is_named_by_its_process(backend_in):
    backend = backend_in()
    pid = backend.process.pid
    backend.environment["GENAI_FILL_BACKEND_REQUEST_TIMEOUT_S"] = "1"
    backend.process.send_signal(signal.SIGSTOP)
    try:
        hung = run(backend, "stop")
    finally:
        backend.process.send_signal(signal.SIGCONT)

    assert hung.returncode == 3
    assert "does not answer" in hung.stderr
    assert f"End its process {pid}" in hung.stderr
    assert is_running(pid)


@pytest.fixture
def upgraded(backend_in, tmp_path):
    """A backend of another release than the command that looks at it."""
    older = tmp_path / "older"
    info = older / "genai_fill-0.0.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genai-fill\nVersion: 0.0.9\n")
    backend = BackendProcess(tmp_path / "state", tmp_path, older)
    backend.start()
    backend.environment["PYTHONPATH"] = ""
    yield backend
    backend.stop()


def test_doctor_and_stop_say_that_the_backend_is_of_another_release(upgraded):
    looked = run(upgraded, "doctor")
    line = next(line for line in looked.stdout.splitlines() if "of release 0.0.9" in line)
    assert line.startswith("warn")
    assert "Run 'genai-fill stop'" in looked.stdout

    stopped = run(upgraded, "stop")

    assert stopped.returncode == 0, stopped.stderr
    assert "stopped backend 0.0.9" in stopped.stdout
    assert "another release than this command" in stopped.stdout

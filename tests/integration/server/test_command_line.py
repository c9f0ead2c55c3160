"""The command as a user runs it: in a process, with a backend or without."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genai_fill_contract.job import JobState
from genai_fill_contract.plate import path_at
from tests.fakes.backend_process import BackendProcess, wait_until


@pytest.fixture
def no_backend(shot, engines_folder, tmp_path) -> BackendProcess:
    """An environment in which none runs, with a home of its own."""
    process = BackendProcess(tmp_path / "state", shot, engines_folder)
    process.environment["HOME"] = str(tmp_path)
    return process


def run(backend: BackendProcess, *arguments: str, **changes):
    return subprocess.run(
        backend.command(*arguments),
        env=backend.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **changes,
    )


def fill_arguments(shot: Path, out: Path, *more: str) -> list[str]:
    return [
        "fill",
        "--plate",
        f"{shot}/plate.%04d.exr",
        "--matte",
        f"{shot}/matte.####.exr",
        "--engine",
        "studio:paint",
        "--out",
        str(out),
        *more,
    ]


def test_fill_uses_the_backend_that_runs(backend, shot, tmp_path):
    out = shot / f"{tmp_path.name}-cli"
    done = run(backend, *fill_arguments(shot, out, "--range", "1001-1003", "--takes", "2"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert "take 1 v001 seed 0: 3 of 3 frames" in lines[0]
    assert (out / "fill_v002" / "fill_v002.1003.exr").exists()
    newest = backend.client().jobs(1)[0]
    assert newest.request.output.directory == str(out)
    assert newest.request.plate.frame_range.last == 1020
    assert newest.request.provenance.user


def test_fill_without_a_backend_runs_a_private_one_and_leaves_nothing(no_backend, shot, tmp_path):
    out = shot / f"{tmp_path.name}-cli"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    no_backend.environment["TMPDIR"] = str(temporary)
    done = run(
        no_backend,
        *fill_arguments(shot, out, "--range", "1001", "--json", "--option", "delay_s=0.1"),
    )
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["state"] == "done"
    assert job["request"]["engine_options"] == {"delay_s": 0.1}
    assert Path(path_at(job["takes"][0]["path_pattern"], 1001)).exists()
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "state" / "endpoint.json").exists()
    audit = (tmp_path / "state" / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["job"] for line in audit] == [job["id"]] * 2


def test_a_private_backend_may_touch_the_folders_that_were_named(no_backend, shot, tmp_path):
    del no_backend.environment["GENAI_FILL_SERVER_ALLOWED_ROOTS"]
    out = shot / f"{tmp_path.name}-cli"
    done = run(no_backend, *fill_arguments(shot, out, "--range", "1001"))
    assert done.returncode == 0, done.stderr


def test_roots_that_somebody_chose_hold_for_a_private_backend_too(no_backend, shot, tmp_path):
    no_backend.environment["GENAI_FILL_SERVER_ALLOWED_ROOTS"] = str(tmp_path)
    out = tmp_path / "takes"
    done = run(no_backend, *fill_arguments(shot, out, "--range", "1001"))
    assert done.returncode == 1
    assert "allowed_roots" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_cancels_its_job(backend, shot, tmp_path, number):
    out = shot / f"{tmp_path.name}-cli"
    arguments = fill_arguments(shot, out, "--range", "1001-1010", "--option", "delay_s=0.4")
    process = subprocess.Popen(
        backend.command(*arguments),
        env=backend.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: (out / "fill_v001" / "fill_v001.1001.exr").exists())
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "of 10 frames" in output
    client = backend.client()
    job = next(job for job in client.jobs(50) if job.request.output.directory == str(out))
    assert job.state is JobState.CANCELLED
    assert 1 <= len(job.takes[0].frames_done) < 10


def test_a_private_backend_dies_with_a_command_that_is_killed(no_backend, shot, tmp_path):
    out = shot / f"{tmp_path.name}-cli"
    arguments = fill_arguments(shot, out, "--range", "1001-1010", "--option", "delay_s=0.5")
    process = subprocess.Popen(
        no_backend.command(*arguments),
        env={**no_backend.environment, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = wait_until(lambda: next(tmp_path.glob("genai-fill-*/endpoint.json"), None))
    server_pid = json.loads(endpoint.read_text())["pid"]
    wait_until(lambda: (out / "fill_v001" / "fill_v001.1001.exr").exists())
    process.kill()
    process.wait()
    from tests.fakes.backend_process import is_running

    wait_until(lambda: not is_running(server_pid), timeout_s=15)


def test_a_failed_fill_says_what_where_and_what_to_do(backend, shot, tmp_path):
    out = shot / f"{tmp_path.name}-cli"
    failed = run(
        backend,
        *fill_arguments(shot, out, "--range", "1001-1003", "--option", "raise_at=1002"),
    )
    assert failed.returncode == 1
    assert "the paint ran out" in failed.stderr
    assert "Run the job again" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "1 of 3 frames" in failed.stdout
    assert failed.stderr.splitlines()[-1].endswith(" [generation_failed]")


def test_takes_without_a_frame_are_not_told_of(backend, shot, tmp_path):
    out = shot / f"{tmp_path.name}-cli"
    failed = run(
        backend,
        *fill_arguments(shot, out, "--range", "1001-1003", "--option", "raise_at=1001"),
    )
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "no frame was made" in failed.stderr
    assert "_v001" not in failed.stderr
    listed = run(backend, "jobs", "--limit", "1").stdout
    assert "the paint ran out" in listed
    assert "_v001" not in listed


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (["--range", "all"], 2, "1001-1048"),
        (["--engine", "studio:pant"], 1, "studio:paint"),
        (["--option", "delay_s=soon"], 2, "Delay"),
        (["--takes", "99"], 2, "takes"),
        (["--plate", "/nowhere/plate.%04d.exr"], 1, "no frames on disk"),
        (["--ocio", "/etc/none.ocio"], 1, "/etc/none.ocio"),
    ],
)
def test_wrong_use_is_told_in_words_with_its_exit_code(
    backend, shot, tmp_path, changes, code, words
):
    out = shot / f"{tmp_path.name}-cli"
    refused = run(backend, *fill_arguments(shot, out, *changes))
    assert refused.returncode == code, refused.stderr
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not out.exists()


def test_an_address_that_was_set_and_does_not_answer_is_an_error_not_a_private_backend(
    no_backend, shot, tmp_path
):
    no_backend.environment["GENAI_FILL_BACKEND_URL"] = "http://127.0.0.1:9"
    failed = run(no_backend, *fill_arguments(shot, tmp_path / "takes"))
    assert failed.returncode == 3
    assert "127.0.0.1:9" in failed.stderr


def test_jobs_are_listed_and_cancelled(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(options={"delay_s": 20.0}))
    listed = run(backend, "jobs", "--limit", "1")
    assert job.id in listed.stdout
    cancelled = run(backend, "cancel", job.id)
    assert cancelled.returncode == 0
    wait_until(lambda: client.job(job.id).state is JobState.CANCELLED)
    assert json.loads(run(backend, "jobs", "--json").stdout)["jobs"][0]["id"] == job.id
    assert run(backend, "cancel", "nosuchjob").returncode == 1


def test_engines_come_with_reasons_and_options(no_backend):
    listed = run(no_backend, "engines")
    assert "studio:absent\timage\tApache-2.0\tIts weights are on another disk." in listed.stdout
    one = run(no_backend, "engines", "studio:paint").stdout
    assert "--option delay_s=0.0" in one
    wire = json.loads(run(no_backend, "engines", "--json").stdout)
    assert "studio:paint" in [engine["id"] for engine in wire["engines"]]
    assert run(no_backend, "engines", "nothing").returncode == 1


def test_config_tells_where_each_value_came_from(no_backend, tmp_path):
    studio, user = tmp_path / "studio.toml", tmp_path / "user.toml"
    studio.write_text("[worker]\nidle_timeout_s = 60\n[server]\nport = 1\n")
    user.write_text("[worker]\nidle_timeout_s = 9\n[spool]\nkeep = true\n")
    no_backend.environment["GENAI_FILL_STUDIO_CONFIG"] = str(studio)
    no_backend.environment["GENAI_FILL_USER_CONFIG"] = str(user)
    wire = json.loads(run(no_backend, "config", "--json").stdout)
    assert wire["worker.idle_timeout_s"] == {"value": 60.0, "origin": "studio file"}
    assert wire["spool.keep"] == {"value": True, "origin": "user file"}
    assert wire["server.port"] == {"value": 0, "origin": "environment"}
    assert wire["engine.default"] == {"value": "cleanplate", "origin": "default"}
    shown = run(no_backend, "config", "--origin").stdout
    assert "worker.idle_timeout_s = 60.0" in shown
    assert "studio file (GENAI_FILL_WORKER_IDLE_TIMEOUT_S)" in shown


@pytest.mark.parametrize(
    ("text", "words"), [("[server]\nprot = 1", "port"), ("[server", "not TOML"), (None, "read")]
)
def test_a_bad_settings_file_is_an_error_in_words(no_backend, tmp_path, text, words):
    path = tmp_path / "user.toml"
    if text is not None:
        path.write_text(text)
    no_backend.environment["GENAI_FILL_USER_CONFIG"] = str(path)
    failed = run(no_backend, "config")
    assert failed.returncode == 2
    assert words in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_doctor_names_every_fault_and_what_to_do(backend, tmp_path):
    healthy = run(backend, "doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert "FAIL" not in healthy.stdout
    assert f"process {backend.process.pid}" in healthy.stdout
    assert "another disk" in healthy.stdout
    ill = {
        **backend.environment,
        "OCIO": "/nowhere/config.ocio",
        "GENAI_FILL_SERVER_ALLOWED_ROOTS": str(tmp_path / "gone"),
        "GENAI_FILL_BACKEND_URL": "http://127.0.0.1:9",
    }
    found = subprocess.run(
        backend.command("doctor", "--json"), env=ill, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1, found.stderr
    assert found.stdout, found.stderr
    levels = {finding["what"]: finding["level"] for finding in json.loads(found.stdout)}
    assert [what for what, level in levels.items() if level == "fail"]
    assert any("config.ocio" in what and level == "fail" for what, level in levels.items())
    assert any("127.0.0.1:9" in what and level == "fail" for what, level in levels.items())
    assert any("gone" in what and level == "warn" for what, level in levels.items())
    todo = [f["to_do"] for f in json.loads(found.stdout) if f["level"] != "ok"]
    assert all(todo)


@pytest.mark.parametrize("package", ["PIL", "skimage"])
def test_the_demo_without_its_extra_says_in_one_line_what_to_install(no_backend, tmp_path, package):
    # None in its place makes an import fail as if the package were not there.
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from genai_fill_server.cli import main\n"
        "main(['demo', '--out', sys.argv[1]])"
    )
    failed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "demo")],
        env=no_backend.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert failed.returncode == 2
    (line,) = failed.stderr.splitlines()
    assert f"needs the package '{package}'" in line
    assert 'pip install -c constraints.txt -e ".[demo]"' in line
    assert not (tmp_path / "demo").exists()


def test_help_of_every_command_fits_a_terminal(no_backend):
    environment = {**no_backend.environment, "COLUMNS": "80", "TERM": "dumb"}
    shown_ones = ("serve", "stop", "fill", "engines", "jobs", "cancel", "doctor", "config", "demo")
    for command in shown_ones:
        shown = subprocess.run(
            no_backend.command(command, "--help"),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0
        assert max(len(line) for line in shown.stdout.splitlines()) <= 80
        assert "--audit-log" not in shown.stdout


def test_a_server_tied_to_stdin_ends_with_it(no_backend):
    began = time.monotonic()
    process = subprocess.Popen(
        no_backend.command("serve", "--until-stdin-closes"),
        env=no_backend.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert b"listens" in process.stdout.readline()
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()
    assert time.monotonic() - began < 10
    assert not (no_backend.state_dir / "endpoint.json").exists()

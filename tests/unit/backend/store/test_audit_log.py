from __future__ import annotations

import json
import os
import threading

import pytest

from genai_fill_contract.errors import OutputNotWritable
from genai_fill_contract.fill import Provenance
from genai_fill_contract.job import Job, JobState
from genai_fill_server.service.job_ports import AuditEntry
from genai_fill_server.store.audit_log import JsonlAuditLog
from tests.fakes.job_stores import PAINT, request_in, takes_in


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def entry(tmp_path):
    request = request_in(
        tmp_path,
        prompt="line one\nline two",
        provenance=Provenance("ada", "calc", "sh010", "/s/a.nk", "GenAIFill1", "ws-7"),
    )
    return AuditEntry(
        "finished", 12.3456, Job("j1", JobState.DONE, request, takes_in(tmp_path, "j1"), 1.0), PAINT
    )


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_entry_is_one_line_that_says_who_what_with_what_and_where(path, entry):
    JsonlAuditLog(path).append(entry)
    (line,) = lines(path)
    assert line["who"] == {
        "user": "ada",
        "show": "calc",
        "shot": "sh010",
        "script": "/s/a.nk",
        "node": "GenAIFill1",
        "host": "ws-7",
    }
    assert line["prompt"] == "line one\nline two"
    assert len(line["prompt_sha256"]) == 64
    assert (line["engine"], line["model"], line["licence"]) == ("paint", "paint-1", "Apache-2.0")
    assert line["plate"].endswith("plate.%04d.exr")
    assert line["matte"].endswith("matte.%04d.exr")
    assert line["takes"][0]["output"].endswith("fill_v001.%04d.exr")
    assert (line["state"], line["error"], line["frames"]) == ("done", None, [1001, 1004])
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_written_is_never_changed(path, entry):
    log = JsonlAuditLog(path)
    log.append(entry)
    before = path.read_bytes()
    log.append(entry)
    assert path.read_bytes().startswith(before)
    assert len(lines(path)) == 2


def test_a_log_that_was_rotated_away_is_started_anew(path, entry):
    log = JsonlAuditLog(path)
    log.append(entry)
    path.rename(path.with_suffix(".1"))
    log.append(entry)
    assert len(lines(path)) == 1
    assert len(lines(path.with_suffix(".1"))) == 1


def test_half_a_line_from_a_power_cut_stays_alone(path, entry):
    path.write_bytes(b'{"event": "subm')
    JsonlAuditLog(path).append(entry)
    first, second = path.read_text().splitlines()
    assert first == '{"event": "subm'
    assert json.loads(second)["job"] == "j1"


def test_lines_of_several_writers_stay_whole(path, entry):
    def write() -> None:
        log = JsonlAuditLog(path)
        for _ in range(15):
            log.append(entry)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(path)) == 60


def test_a_log_that_cannot_be_written_is_an_error(tmp_path, entry):
    with pytest.raises(OutputNotWritable, match="audit"):
        JsonlAuditLog(tmp_path / "missing" / "audit.jsonl").append(entry)
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(OutputNotWritable, match="cannot be written"):
        JsonlAuditLog(tmp_path / "audit.jsonl").append(entry)


def test_a_prompt_that_is_no_text_is_recorded_all_the_same(path, tmp_path, entry):
    import dataclasses

    request = dataclasses.replace(entry.job.request, prompt="half a pair \ud83d")
    job = dataclasses.replace(entry.job, request=request)
    JsonlAuditLog(path).append(dataclasses.replace(entry, job=job))
    assert lines(path)[0]["prompt"] == "half a pair \ud83d"


def test_entries_are_flushed_to_disk(path, entry, monkeypatch):
    flushed = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(fd) or real(fd))
    JsonlAuditLog(path).append(entry)
    assert flushed

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genai_fill_contract.errors import ErrorReport, MalformedMessage, OutOfMemory
from genai_fill_contract.job import FrameDone, Job, JobState, Progress
from genai_fill_contract.plate import ColourSettings, Window
from genai_fill_contract.settings import Settings, WorkerSettings
from genai_fill_server.executors import protocol
from genai_fill_server.executors.child_environment import OFFLINE, child_environment
from tests.fakes.job_stores import PAINT, request_in, takes_in


def job(folder: Path) -> Job:
    request = request_in(folder, prompt="“quoted”\nand ☃", engine_options={"strength": 0.25})
    return Job("j", JobState.RUNNING, request, takes_in(folder, "j"), 1.0)


TO_CHILD = [
    lambda folder: protocol.Start(
        Settings(worker=WorkerSettings(threads=3)), "cuda:1", ("/show",), ("/ocio",)
    ),
    lambda folder: protocol.Run(job(folder)),
    lambda folder: protocol.Cancel("j"),
    lambda folder: protocol.Describe(3),
    lambda folder: protocol.MakeThumbnail(4, "/x", 7, 320, ColourSettings("/o", "ACEScg")),
]
FROM_CHILD = [
    protocol.Ready(1),
    protocol.Reported("j", Progress("filling", 0.5, 3.0)),
    protocol.Logged("j", "a\nb"),
    protocol.CropKnown("j", Window(-1, 2, 3, 4)),
    protocol.Previewed("j", 1, -5, "aGk="),
    protocol.FrameWritten("j", FrameDone(0, -5, "/x")),
    protocol.Finished("j", JobState.FAILED, ErrorReport.of(OutOfMemory("m", hint="h"))),
    protocol.Engines(1, (PAINT,)),
    protocol.Thumbnail(1, "aGk="),
    protocol.Refused(1, ErrorReport.of(OutOfMemory("m", hint="h"))),
]


@pytest.mark.parametrize("make", TO_CHILD)
def test_what_the_server_says_arrives_as_one_line(make, tmp_path):
    message = make(tmp_path)
    line = protocol.to_line(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert protocol.read_to_child(line) == message


@pytest.mark.parametrize("message", FROM_CHILD, ids=lambda m: type(m).__name__)
def test_what_a_child_says_arrives_as_one_line(message):
    line = protocol.to_line(message)
    assert line.count(b"\n") == 1
    assert protocol.read_from_child(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello\n",
        b"[]",
        b"{}",
        b'{"type": "Nothing"}',
        b'{"type": ["Ready"]}',
        b'{"type": "Ready"}',
        b'{"type": "Ready", "pid": "x"}',
        b'{"type": "Ready", "pid": 1, "more": 2}',
        b"\xff\xff",
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(MalformedMessage):
        protocol.read_from_child(line)


def test_a_child_cannot_speak_as_the_server():
    with pytest.raises(MalformedMessage):
        protocol.read_from_child(protocol.to_line(protocol.Cancel("j")))


def test_children_are_off_line_whatever_the_users_environment_says():
    told = dict.fromkeys(OFFLINE, "0") | {"PATH": "/bin", "OMP_NUM_THREADS": "64"}
    environment = child_environment(told, threads=2)
    assert {environment[name] for name in OFFLINE} == {"1"}
    assert environment["PATH"] == "/bin"
    assert environment["OMP_NUM_THREADS"] == environment["NUMBA_NUM_THREADS"] == "2"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["KMP_BLOCKTIME"] == "0"


def test_threads_are_left_alone_when_none_are_set():
    assert child_environment({"OMP_NUM_THREADS": "7"}, threads=0)["OMP_NUM_THREADS"] == "7"
    assert "OMP_NUM_THREADS" not in child_environment({}, threads=0)


def test_messages_have_no_field_of_the_wires_own_name():
    for cls in (*protocol._TO_CHILD.values(), *protocol._FROM_CHILD.values()):
        assert "type" not in json.loads(json.dumps(list(cls.__dataclass_fields__)))

"""Which device a run gets, and what happens when it fails in the middle of a job."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import numpy as np
import pytest

from genai_fill_contract.errors import InvalidOption
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions, Where
from genai_fill_server.engines.cleanplate.devices import choosing, torch_device
from genai_fill_server.engines.cleanplate.devices.falling_back import DeviceGaveUp, FallingBack
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.run import ShotRun
from genai_fill_server.service.ports import EngineJob, FillCancelled
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import known_shot


@pytest.fixture
def two_cuda_devices(monkeypatch):
    """A machine with a driver and two devices, on which torch computes on its CPU."""
    real, made = torch_device.TorchDevice, []

    def on_cpu(name):
        made.append(name)
        return real("cpu")

    monkeypatch.setattr(choosing, "has_driver", lambda: True)
    monkeypatch.setattr(torch_device, "cuda_devices", lambda: 2)
    monkeypatch.setattr(torch_device, "TorchDevice", on_cpu)
    return made


def fill(device="auto", worker="auto", shot=None):
    shot = shot or known_shot(frames=4, pan=(2.0, 0.0))
    (engine,) = create({"worker.threads": 2, "models.device": worker})
    watch = QuietWatch()
    job = EngineJob(seeds=(1,), options={"device": device})
    frames = [f.pixels for f in engine.fill(ArrayShot(shot.plates, shot.mattes), job, watch)]
    return np.array(frames), watch


@pytest.mark.parametrize(
    ("asked", "worker", "taken"),
    [
        ("auto", "auto", ["cuda:0"]),
        ("cuda", "auto", ["cuda:0"]),
        ("cuda", "cuda", ["cuda:0"]),
        ("auto", "cuda:1", ["cuda:1"]),
        ("auto", "cpu", []),
        ("auto", "mps", []),
        ("cpu", "cuda:1", []),
        ("auto", "cuda:2", []),
        ("auto", "cuda:first", []),
    ],
)
def test_the_worker_s_device_is_kept_to(two_cuda_devices, asked, worker, taken):
    choosing.choose_device(Where(asked), worker, lambda line: None)

    assert two_cuda_devices == taken


@pytest.mark.parametrize(
    ("worker", "has_torch", "count", "words"),
    [
        ("auto", False, 0, "torch is not installed"),
        ("auto", True, 0, "torch sees no CUDA device"),
        ("cpu", True, 1, "computes on 'cpu' only"),
        ("cuda:3", True, 1, "is not one of 1 CUDA devices"),
    ],
)
def test_cuda_that_is_not_there_is_refused_with_what_to_do(
    monkeypatch, worker, has_torch, count, words
):
    monkeypatch.setattr(choosing, "has_torch", lambda: has_torch)
    monkeypatch.setattr(torch_device, "cuda_devices", lambda: count)

    with pytest.raises(InvalidOption, match=words) as raised:
        fill("cuda", worker)

    assert "choose 'auto' or 'CPU'" in raised.value.hint
    assert raised.value.hint[0].isupper()


def test_without_torch_the_clean_plate_fills_as_ever(monkeypatch):
    wanted, _ = fill("cpu")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(choosing, "has_driver", lambda: True)

    got, watch = fill("auto")

    np.testing.assert_array_equal(got, wanted)
    assert watch.notes["cleanplate"]["device"] == "cpu"
    assert not choosing.has_torch()


def test_a_torch_that_does_not_load_is_as_none(monkeypatch):
    module = "genai_fill_server.engines.cleanplate.devices.torch_device"
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(choosing, "has_driver", lambda: True)
    monkeypatch.setattr(choosing, "has_torch", lambda: True)

    assert choosing.choose_device(Where.AUTO, "auto", pytest.fail).name == "cpu"
    with pytest.raises(InvalidOption, match="torch does not load"):
        choosing.choose_device(Where.CUDA, "auto", pytest.fail)


def test_torch_is_not_imported_where_there_is_no_driver():
    program = """
import sys
from genai_fill_server.engines.cleanplate.devices import choosing
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions
from genai_fill_server.engines.cleanplate.outfit import Workplace, outfit
from tests.fakes.array_shot import QuietWatch
choosing.has_driver = lambda: False
kit = outfit(CleanPlateOptions(), Workplace(), QuietWatch())
print(kit.device.name, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["cpu", "False"]


def test_the_recipe_names_the_device_and_the_flow(two_cuda_devices):
    _, watch = fill("cuda")

    assert watch.notes["cleanplate"]["device"].startswith("cpu (torch ")
    assert watch.notes["cleanplate"]["flow"] == "dis"


class Failing(NumbaDevice):
    """The CPU, until it has done so many operations."""

    name = "cuda:7"

    def __init__(self, operations: int) -> None:
        self.left = operations

    def __getattribute__(self, name):
        if name in {"reduced", "warped", "followed", "membrane", "apart", "weighed", "gather"}:
            self.left -= 1
            if self.left < 0:
                raise DeviceGaveUp("out of memory")
        return super().__getattribute__(name)


@pytest.mark.parametrize("operations", [0, 1, 5, 40, 90])
def test_a_device_that_gives_up_hands_over_to_the_cpu(operations):
    shot = known_shot(frames=4, pan=(2.0, 0.0))
    whole, options, watch = ArrayShot(shot.plates, shot.mattes), CleanPlateOptions(), QuietWatch()
    first = Failing(operations)
    device = FallingBack(first, NumbaDevice(), watch.log)
    with ShotRun(whole, Kit(options, device, DisFlow(options.detail)), (1,), watch, 2) as run:
        got = np.array([next(run.frame(f, (0,)))[1] for f in whole.frames])
        report = run.report()

    np.testing.assert_array_equal(got, fill("cpu", shot=shot)[0])
    assert first.left < 0
    assert len(watch.lines) == 1
    assert "goes on with the CPU" in watch.lines[0]
    assert "out of memory" in watch.lines[0]
    assert report["device"] == "cuda:7, then cpu"


@pytest.mark.parametrize("cancel_after", [None, 30])
def test_memory_is_given_back_after_a_job_and_after_a_cancelled_one(monkeypatch, cancel_after):
    released = []
    monkeypatch.setattr(NumbaDevice, "release", lambda self: released.append("device"))
    monkeypatch.setattr(DisFlow, "release", lambda self: released.append("flow"))
    shot = known_shot(frames=4, pan=(2.0, 0.0))
    (engine,) = create({"worker.threads": 2})
    watch = QuietWatch(cancel_after_checks=cancel_after)
    frames = engine.fill(ArrayShot(shot.plates, shot.mattes), EngineJob(seeds=(1,)), watch)

    ended = pytest.raises(FillCancelled) if cancel_after else contextlib.nullcontext()
    with ended:
        list(frames)

    assert released == ["flow", "device"]


def test_a_device_that_fails_at_once_is_not_used(monkeypatch, two_cuda_devices):
    def fail(name):
        raise DeviceGaveUp(f"{name}: out of memory")

    monkeypatch.setattr(torch_device, "TorchDevice", fail)
    lines = []

    device = choosing.choose_device(Where.CUDA, "auto", lines.append)

    assert device.name == "cpu"
    assert "cuda:0: out of memory" in lines[0]

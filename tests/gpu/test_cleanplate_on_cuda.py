"""The clean plate's operations and whole shots on a real CUDA device, against the CPU.

Run with ``pytest tests/gpu`` on a machine with CUDA: the cases are those that run everywhere
with torch's CPU as the device.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.description import Detail
from genai_fill_server.engines.cleanplate.devices.falling_back import DeviceGaveUp
from genai_fill_server.engines.cleanplate.devices.torch_device import TorchDevice
from genai_fill_server.engines.cleanplate.raft.estimator import RaftFlow
from genai_fill_server.engines.cleanplate.raft.layout import LARGE, SMALL
from genai_fill_server.engines.cleanplate.raft.network import Raft
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import known_shot
from tests.fakes.raft_weights import random_weights
from tests.unit.backend.engines.cleanplate.device_parity import DeviceParity

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


class TestTorchOnCuda(DeviceParity):
    @classmethod
    def make_device(cls):
        return TorchDevice("cuda:0")


def both_ways(flow, pair):
    """Return the flow there and back."""
    first, second = pair
    return flow.between(first, second), flow.between(second, first)


def fill(device, watch=None):
    shot = known_shot(frames=6, pan=(2.0, 0.0))
    (engine,) = create({"worker.threads": 2})
    job = EngineJob(seeds=(1,), options={"device": device})
    watch = watch or QuietWatch()
    engine.prepare(watch)
    frames = engine.fill(ArrayShot(shot.plates, shot.mattes), job, watch)
    return np.array([frame.pixels for frame in frames])


def test_auto_takes_the_device_and_says_so():
    watch = QuietWatch()

    np.testing.assert_array_equal(fill("auto", watch), fill("cuda"))

    assert watch.notes["cleanplate"]["device"].startswith("cuda:0")


def test_the_device_s_memory_is_given_back_after_a_job():
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()

    fill("cuda")

    assert torch.cuda.memory_reserved() <= before


def test_a_device_without_room_hands_over_to_the_cpu():
    wanted = fill("cpu")
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2**20 / total)
    watch = QuietWatch()
    try:
        got = fill("cuda", watch)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    np.testing.assert_array_equal(got, wanted)
    assert len([line for line in watch.lines if "gave up" in line]) == 1


def test_the_error_of_a_full_device_is_known_for_what_it_is():
    device = TorchDevice("cuda:0")
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2**20 / total)
    try:
        with pytest.raises(DeviceGaveUp, match="out of memory"):
            device.reduced(np.ones((4096, 4096, 3), np.float32), 2)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("layout", [LARGE, SMALL], ids=lambda layout: layout.name)
def test_raft_gives_what_it_gives_on_the_cpu_and_always_the_same(layout):
    random = np.random.default_rng(1)
    pair = [random.integers(0, 256, (150, 200)).astype(np.uint8) for _ in range(2)]
    on_cpu, on_cuda = (raft_on(layout, device) for device in ("cpu", "cuda:0"))

    wanted, got = both_ways(on_cpu, pair), both_ways(on_cuda, pair)
    again = both_ways(on_cuda, pair)

    for way in range(2):
        np.testing.assert_array_equal(got[way], again[way])
        # Random weights never settle, so rounding grows from update to update.
        assert np.abs(got[way] - wanted[way]).max() < 0.02 * np.abs(wanted[way]).max()


def raft_on(layout, device):
    network = Raft(layout)
    tensors = random_weights(layout, scale=0.05)
    network.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    return RaftFlow(network, "raft", Detail.DRAFT, device, lambda: None, pytest.fail)

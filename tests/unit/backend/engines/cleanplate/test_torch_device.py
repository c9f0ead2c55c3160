"""The torch device on torch's CPU: the same operations as on a GPU, but for the machine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_server.engines.cleanplate.devices import torch_fields, torch_samples
from genai_fill_server.engines.cleanplate.devices.falling_back import DeviceGaveUp
from genai_fill_server.engines.cleanplate.devices.torch_device import TorchDevice
from tests.unit.backend.engines.cleanplate.device_parity import DeviceParity

PLANE = np.zeros((8, 8), np.float32)


class TestTorchOnTheCpu(DeviceParity):
    @classmethod
    def make_device(cls):
        return TorchDevice("cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        MemoryError(),
    ],
)
def test_a_device_that_fails_gives_up(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(torch_fields, "pull_push", fail)

    with pytest.raises(DeviceGaveUp, match="cpu"):
        TorchDevice("cpu").pull_push(PLANE, PLANE)


def test_a_fault_of_the_code_is_not_taken_for_one_of_the_device(monkeypatch):
    def fail(*_):
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")

    monkeypatch.setattr(torch_fields, "pull_push", fail)

    with pytest.raises(RuntimeError, match="must match"):
        TorchDevice("cpu").pull_push(PLANE, PLANE)


def test_arrays_that_may_not_be_written_to_are_taken_and_stay():
    image = np.ones((8, 8), np.float32)
    image.flags.writeable = False

    reduced = TorchDevice("cpu").reduced(image, 2)
    reduced += 1.0

    assert (image == 1.0).all()


def test_many_samples_are_taken_in_bites_with_the_same_bits(monkeypatch):
    random = np.random.default_rng(1)
    image = random.random((30, 40, 3), np.float32)
    blocked = np.zeros((30, 40), np.uint8)
    place = random.uniform(0, 30, (1000, 2)).astype(np.float32)
    whole, _ = TorchDevice("cpu").sampled(image, blocked, place)

    monkeypatch.setattr(torch_samples, "_BITE", 64)

    np.testing.assert_array_equal(TorchDevice("cpu").sampled(image, blocked, place)[0], whole)

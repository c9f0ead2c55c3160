"""RAFT: its numbers, its sizes, cancelling, and the files that it refuses.

There are no trained weights here, so nothing is said about how good its flow is.
"""

from __future__ import annotations

import dataclasses
import json
import threading

import numpy as np
import pytest
import torch

from genai_fill_contract.errors import (
    InvalidOption,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
)
from genai_fill_server.engines.cleanplate import alignment, create
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions, Detail
from genai_fill_server.engines.cleanplate.devices import choosing
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.proxies import Proxies
from genai_fill_server.engines.cleanplate.raft import estimator
from genai_fill_server.engines.cleanplate.raft.estimator import UPDATES, RaftFlow, load_raft
from genai_fill_server.engines.cleanplate.raft.folder import (
    check_raft_folder,
    find_raft_folders,
    read_raft_folder,
)
from genai_fill_server.engines.cleanplate.raft.layout import LARGE, SMALL, tensors_of
from genai_fill_server.engines.cleanplate.raft.network import Raft
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.service.ports import EngineJob, FillCancelled
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import relief_shot
from tests.fakes.raft_weights import random_weights, write_raft

# What torchvision 0.29's own implementation gives with `random_weights` after three updates:
# (x, y) of the flow at the places, the mean, and the mean of the absolute values.
PLACES = ((0, 0), (5, 140), (64, 70), (100, 31), (127, 143))
REFERENCE = {
    LARGE: (
        [
            (-10.8464, 3.8632),
            (-5.5984, -3.7439),
            (-44.7944, 11.3506),
            (-44.2650, 10.0525),
            (-0.0550, 4.0061),
        ],
        -13.71673,
        24.76381,
    ),
    SMALL: (
        [
            (3.7043, 0.2792),
            (-7.2659, 35.6131),
            (-7.1843, 43.8821),
            (-1.3122, 36.8862),
            (16.6848, 0.2836),
        ],
        14.19002,
        19.56688,
    ),
}


def both_ways(flow, first, second):
    """Return the flow there and back."""
    return flow.between(first, second), flow.between(second, first)


def network(layout, **options) -> Raft:
    made = Raft(layout).eval()
    tensors = random_weights(layout, **options)
    made.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    return made


def flow_of(layout=SMALL, detail=Detail.DRAFT, check=lambda: None, tell=print, device="cpu"):
    return RaftFlow(network(layout, scale=0.05), "raft", detail, device, check, tell)


def levels(height: int, width: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


@pytest.mark.parametrize("layout", [LARGE, SMALL], ids=lambda layout: layout.name)
def test_the_numbers_are_those_of_torchvision(layout):
    random = np.random.default_rng(11)
    shape = (1, 3, 128, 144)
    first, second = (torch.tensor(random.uniform(-1, 1, shape).astype("f4")) for _ in range(2))

    with torch.inference_mode():
        flow = network(layout).flow(first, second, 3, lambda: None)[0].numpy()

    places, mean, size = REFERENCE[layout]
    found = [flow[:, row, column] for row, column in PLACES]
    np.testing.assert_allclose(found, places, atol=2e-3)
    assert flow.mean() == pytest.approx(mean, abs=1e-3)
    assert np.abs(flow).mean() == pytest.approx(size, abs=1e-3)


@pytest.mark.parametrize(("layout", "count"), [(LARGE, 5_257_536), (SMALL, 990_162)])
def test_the_tensors_are_those_of_the_published_weights(layout, count):
    made = Raft(layout)

    assert {name: tuple(t.shape) for name, t in made.state_dict().items()} == tensors_of(layout)
    assert sum(parameter.numel() for parameter in made.parameters()) == count


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1), (128, 136), (150, 131)])
def test_flow_has_the_size_of_the_picture(size):
    there, back = both_ways(flow_of(), levels(*size), levels(*size, seed=2))

    for flow in (there, back):
        assert flow.shape == (*size, 2)
        assert flow.dtype == np.float32
        assert np.isfinite(flow).all()
    assert np.abs(there - back).max() > 0.0


def test_the_same_bits_whatever_the_number_of_threads():
    first, second = levels(136, 150), levels(136, 150, seed=2)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append(flow_of().between(first, second))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)

    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_several_threads_at_once_get_the_bits_that_one_gets():
    flow, first, second = flow_of(), levels(64, 64), levels(64, 64, seed=2)
    alone = flow.between(first, second)
    results = []

    def run():
        results.append(flow.between(first, second))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 3
    for result in results:
        np.testing.assert_array_equal(result, alone)


def test_detail_decides_how_often_the_flow_is_improved():
    for detail, updates in UPDATES.items():
        checks = []
        flow_of(detail=detail, check=lambda kept=checks: kept.append(1)).between(
            levels(32, 32), levels(32, 32)
        )
        assert len(checks) == updates + 2


def test_a_cancel_ends_a_pair_and_leaves_the_flow_usable():
    watch = QuietWatch(cancel_after_checks=3)
    flow, pair = flow_of(check=watch.check), (levels(32, 32), levels(32, 32, seed=2))
    with pytest.raises(FillCancelled):
        flow.between(*pair)
    assert watch.checks == 4

    flow = flow_of()
    np.testing.assert_array_equal(flow.between(*pair), flow.between(*pair))


def test_a_device_without_room_hands_over_to_the_cpu(monkeypatch):
    lines, pair = [], (levels(32, 32), levels(32, 32, seed=2))
    wanted = both_ways(flow_of(), *pair)
    real, asked = Raft.to, []

    def full(self, device):
        asked.append(device.type)
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, device)

    monkeypatch.setattr(Raft, "to", full)
    flow = flow_of(device="cuda:0", tell=lines.append)

    for _ in range(2):
        for got, known in zip(both_ways(flow, *pair), wanted, strict=True):
            np.testing.assert_array_equal(got, known)

    assert asked == ["cuda", "cpu"]
    assert len(lines) == 1
    assert "goes on with the CPU" in lines[0]


def test_a_fault_of_the_code_is_seen(monkeypatch):
    def fail(*_):
        raise RuntimeError("The size of tensor a must match the size of tensor b")

    monkeypatch.setattr(Raft, "flow", fail)

    with pytest.raises(RuntimeError, match="must match"):
        flow_of().between(levels(32, 32), levels(32, 32))


# The folder of the weights.


@pytest.fixture
def folder(tmp_path):
    return write_raft(tmp_path / "models" / "raft-small", SMALL)


def read(path):
    return read_raft_folder(path, (path.parent.resolve(),))


def weights_file(folder, layout=SMALL):
    return folder / "flow" / f"{layout.name}.safetensors"


def test_weights_come_back_as_they_were_written(folder):
    made, name = load_raft(read(folder))

    for key, value in random_weights(SMALL).items():
        np.testing.assert_array_equal(made.state_dict()[key].numpy(), value)
    assert name.startswith("raft_small ")
    assert len(name.split()[1]) == 16


def test_half_precision_weights_are_taken_as_floats(tmp_path):
    half = {
        name: value.astype(np.float16) if value.shape else value
        for name, value in random_weights(SMALL).items()
    }
    folder = write_raft(tmp_path / "half", SMALL, half)

    made, _ = load_raft(read(folder))

    assert {t.dtype for t in made.state_dict().values() if t.shape} == {torch.float32}


def test_the_large_one_is_taken_first_and_other_models_are_passed_over(tmp_path):
    write_raft(tmp_path / "a" / "one", SMALL)
    write_raft(tmp_path / "b" / "two", LARGE)
    (tmp_path / "b" / "other").mkdir()
    (tmp_path / "b" / "other" / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    (tmp_path / "b" / "broken").mkdir()
    (tmp_path / "b" / "broken" / "model_index.json").write_text("{")
    dirs = [str(tmp_path / "a"), str(tmp_path / "away"), str(tmp_path / "b")]

    assert [found.path.name for found in find_raft_folders(dirs)] == ["two", "one"]


def test_a_pickle_is_refused_even_beside_good_weights(folder):
    (folder / "raft_small.pth").write_bytes(b"\x80\x04.")

    with pytest.raises(ModelUnsafe, match="pickle"):
        check_raft_folder(read(folder))


def test_a_pickle_with_another_ending_is_no_safetensors_file(folder):
    torch.save({"a": torch.zeros(3)}, weights_file(folder))

    with pytest.raises(ModelUnsafe, match="not a safetensors file"):
        load_raft(read(folder))


def test_missing_weights_are_named(folder):
    weights_file(folder).unlink()

    with pytest.raises(ModelMissing, match=r"raft_small\.safetensors is not there"):
        load_raft(read(folder))


@pytest.mark.parametrize("left", [0, 7, 100, 200_000, -4])
def test_cut_weights_are_refused(folder, left):
    path = weights_file(folder)
    path.write_bytes(path.read_bytes()[:left])

    with pytest.raises((ModelUnsafe, ModelLoadFailed), match=r"raft_small\.safetensors"):
        load_raft(read(folder))


def test_weights_of_the_other_size_are_refused(folder, tmp_path):
    other = write_raft(tmp_path / "large", LARGE)
    weights_file(folder).write_bytes(weights_file(other, LARGE).read_bytes())

    with pytest.raises(ModelLoadFailed, match="is not raft_small: it has no tensor"):
        load_raft(read(folder))


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "type"])
def test_tensors_that_are_not_its_own_are_refused(tmp_path, change):
    tensors = random_weights(SMALL)
    name = "update_block.flow_head.conv2.bias"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors["more"] = np.zeros(2, np.float32)
    elif change == "shape":
        tensors[name] = np.zeros(3, np.float32)
    else:
        tensors[name] = np.zeros(2, np.int64)
    folder = write_raft(tmp_path / "changed", SMALL, tensors)

    with pytest.raises(ModelLoadFailed, match="is not raft_small"):
        load_raft(read(folder))


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    tensors = random_weights(SMALL)
    tensors["feature_encoder.conv.bias"][3] = np.nan
    folder = write_raft(tmp_path / "nan", SMALL, tensors)

    with pytest.raises(ModelLoadFailed, match=r"feature_encoder\.conv\.bias"):
        load_raft(read(folder))


@pytest.mark.parametrize(
    "index",
    [
        {"_class_name": "RAFT"},
        {"_class_name": "RAFT", "flow": ["genai_fill", "raft_huge"]},
        {"_class_name": "RAFT", "flow": ["somewhere.else", "raft_small"]},
        {"_class_name": "RAFT", "flow": ["genai_fill", ["raft_small"]]},
        {"_class_name": "RAFT", "flow": "raft_small"},
    ],
)
def test_an_index_that_names_no_known_size_is_refused(folder, index):
    (folder / "model_index.json").write_text(json.dumps(index))

    with pytest.raises(ModelLoadFailed, match="names no size of RAFT"):
        read(folder)


def test_a_linked_folder_out_of_the_model_folders_is_refused(folder, tmp_path):
    part, outside = weights_file(folder).parent, tmp_path / "elsewhere" / "flow"
    outside.parent.mkdir()
    part.rename(outside)
    part.symlink_to(outside)
    with pytest.raises(ModelUnsafe, match="outside"):
        check_raft_folder(read_raft_folder(folder, (folder.resolve(),)))


def test_a_link_out_of_the_model_folders_is_refused(folder, tmp_path):
    outside = tmp_path / "outside.safetensors"
    weights_file(folder).rename(outside)
    weights_file(folder).symlink_to(outside)

    with pytest.raises(ModelUnsafe, match="outside the model folders"):
        load_raft(read(folder))


# The clean plate with it.


def fill(shot, dirs, **options):
    (engine,) = create({"worker.threads": 2, "models.dirs": dirs, "models.device": "cpu"})
    watch = QuietWatch()
    job = EngineJob(seeds=(1,), options=options)
    frames = [f.pixels for f in engine.fill(ArrayShot(shot.plates, shot.mattes), job, watch)]
    return np.array(frames), watch.notes["cleanplate"]


def test_without_weights_raft_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ModelMissing, match="weights are not installed") as raised:
        fill(relief_shot(), [str(tmp_path)], flow="raft")

    assert "docs/engines/models.md" in raised.value.hint


def test_without_torch_raft_is_refused_with_what_to_do(monkeypatch, folder):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not choosing.has_torch()

    with pytest.raises(InvalidOption, match="torch or safetensors is not installed") as raised:
        fill(relief_shot(), [str(folder.parent)], flow="raft")

    assert 'install -c constraints.txt -e ".[gpu]"' in raised.value.hint


def test_other_kinds_of_motion_need_no_weights(tmp_path):
    _, notes = fill(relief_shot(frames=3), [str(tmp_path)], flow="raft", motion="homography")

    assert notes["flow"] == "dis"


def test_raft_is_asked_in_place_of_dis(monkeypatch, folder):
    shot, asked = relief_shot(), []
    real = RaftFlow.between

    def noted(self, first, second):
        asked.append(first.shape)
        return real(self, first, second)

    monkeypatch.setattr(RaftFlow, "between", noted)

    filled, notes = fill(shot, [str(folder.parent)], flow="raft", detail="draft")

    assert asked
    assert notes["flow"].startswith("raft_small ")
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[shot.mattes <= 0], shot.plates[shot.mattes <= 0])


class Recorder:
    """A flow that keeps what it was given."""

    name = "recorder"

    def __init__(self):
        self.given = []

    def between(self, first, second):
        self.given.append((first.copy(), second.copy()))
        return np.zeros((*first.shape, 2), np.float32)

    def release(self):
        pass


def test_no_flow_ever_sees_the_object(monkeypatch):
    monkeypatch.setattr(alignment, "_has_relief", lambda *_: True)
    random, recorder = np.random.default_rng(1), Recorder()
    kit = Kit(CleanPlateOptions(), NumbaDevice(), recorder)
    shot = relief_shot()
    proxies = Proxies(ArrayShot(shot.plates, shot.mattes), QuietWatch(), kit.device, 16)
    proxy, source = proxies.get(1003), proxies.get(1005)
    target = alignment.Target.of(proxy, Region(0, 0, proxies.width, proxies.height))
    seen, usable = source.levels, source.valid > 0
    alignment._residual_flow(target, seen, usable, True, kit)

    noise = random.integers(0, 256, seen.shape).astype(np.uint8)
    covered = dataclasses.replace(target, levels=np.where(target.known, target.levels, noise))
    alignment._residual_flow(covered, np.where(usable, seen, 255 - noise), usable, True, kit)

    (first, second), back, (first_covered, second_covered), _ = recorder.given
    assert np.array_equal(back[0], second), "it is asked for both ways"
    assert not target.known.all()
    assert not usable.all()
    # Where both are covered there is no background to show, and both show the same.
    either = target.known | usable
    np.testing.assert_array_equal(first_covered[either], first[either])
    np.testing.assert_array_equal(second_covered[either], second[either])
    np.testing.assert_array_equal(first_covered[~either], second_covered[~either])


def test_a_fill_with_raft_has_the_same_bits_each_time(folder):
    shot = relief_shot(frames=5)

    first, second = (
        fill(shot, [str(folder.parent)], flow="raft", detail="draft")[0] for _ in range(2)
    )

    np.testing.assert_array_equal(first, second)


def test_random_weights_do_no_harm_since_flow_must_explain_more_than_the_plane(folder):
    shot = relief_shot()

    with_raft, _ = fill(shot, [str(folder.parent)], flow="raft", detail="draft")
    plane, _ = fill(shot, [str(folder.parent)], motion="homography", detail="draft")

    hole = shot.mattes > 0
    off = [np.abs(p[hole] - shot.truths[hole]).mean() for p in (with_raft, plane)]
    assert off[0] < 1.2 * off[1]


def test_the_estimator_is_not_loaded_for_dis(monkeypatch, folder):
    def fail(_):
        pytest.fail("nobody asked for RAFT")

    monkeypatch.setattr(estimator, "load_raft", fail)

    assert fill(relief_shot(frames=3), [str(folder.parent)])[1]["flow"] == "dis"

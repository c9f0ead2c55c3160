"""ControlNets beside a model: published as one file, and for depth and edges."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genai_fill_contract.errors import ModelLoadFailed, ModelUnsafe
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import write_card
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

Z_IMAGE = "z-image-controlnet"


def only(engine, shot, job, watch=None):
    (frame,) = fill(engine, shot, job, watch)
    return frame.pixels


@pytest.fixture
def published(copied):
    """Return a function: a Z-Image folder whose ControlNet is one file, its tensors changed."""

    def folder(change=dict, inside=False):
        path = copied(Z_IMAGE)
        beside = path / "weights_beside"
        (weights,) = beside.glob("*.safetensors")
        file = path.parent / "parts" / "Fun-Controlnet-Union-2.1.safetensors"
        file.parent.mkdir()
        save_file(change(load_file(weights)), file)
        shutil.rmtree(beside)
        named = "../parts" if inside else f"../parts/{file.name}"
        write_card(path, controlnet=named, native_px=64)
        return path

    return folder


def engine_with_roots(folder):
    """Return the engine of ``folder`` where its parent is a model directory as well."""
    return engine_of(folder.parent)


@pytest.mark.parametrize("inside", [False, True])
def test_a_published_file_fills_like_the_folder_that_diffusers_writes(tiny, published, inside):
    shot = noisy_shot()
    folder = engine_of(tiny(Z_IMAGE))
    expected = only(folder, shot, job_of(folder))

    engine = engine_with_roots(published(inside=inside))

    np.testing.assert_array_equal(only(engine, shot, job_of(engine)), expected)


def untrained(tensors):
    """As version 2.0 is published: the refiner's first projection is all zeros."""
    name = "control_noise_refiner.0.before_proj.weight"
    return {**tensors, name: torch.zeros_like(tensors[name])}


def test_of_version_two_the_untrained_refiner_is_left_out(published):
    engine = engine_with_roots(published(untrained))
    engine.prepare(RecordingWatch())

    controlnet = engine._loaded.pipe.controlnet

    assert controlnet.add_control_noise_refiner == "control_layers"
    assert controlnet.control_noise_refiner is None
    assert np.isfinite(only(engine, noisy_shot(), job_of(engine))).all()


def without_the_hole(tensors):
    name = "control_all_x_embedder.2-1.weight"
    return {**tensors, name: tensors[name][:, : 4 * 4].contiguous()}


def lite(tensors):
    more = {
        name.replace("control_layers.0.", "control_layers.1."): t.clone()
        for name, t in tensors.items()
        if name.startswith("control_layers.0.")
    }
    return {**tensors, **more}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_the_hole, "4 channels"),
        (lite, "2 layers"),
        (lambda tensors: {"weight": torch.zeros(2)}, "others"),
        (lambda tensors: {**tensors, "more": torch.zeros(1)}, "adds 1 tensors, such as 'more'"),
        (
            lambda tensors: {n: t for n, t in tensors.items() if "feed_forward" not in n},
            "lacks",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_reason(published, change, says):
    engine = engine_with_roots(published(change))

    with pytest.raises(ModelLoadFailed, match="ControlNet") as caught:
        engine.prepare(RecordingWatch())

    assert says in caught.value.message


def test_a_file_that_is_a_pickle_is_refused(copied):
    folder = copied(Z_IMAGE)
    (folder / "controlnet.ckpt").write_bytes(b"x")
    write_card(folder, controlnet="controlnet.ckpt", native_px=64)

    with pytest.raises(ModelUnsafe, match="pickle"):
        engine_of(folder).prepare(RecordingWatch())


def test_a_file_of_no_known_kind_is_refused(copied):
    folder = copied(Z_IMAGE)
    (folder / "controlnet.gguf").write_bytes(b"x")
    write_card(folder, controlnet="controlnet.gguf", native_px=64)

    with pytest.raises(ModelUnsafe, match="safetensors"):
        engine_of(folder).prepare(RecordingWatch())

"""ControlNets beside a model: published as one file, and for depth and edges."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genai_fill_contract.errors import ModelLoadFailed, ModelUnsafe
from genai_fill_contract.plate import InputRole
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


def structured(copied, name, **config):
    """A Qwen-Image folder with a ControlNet for structure, untrained but not silent."""
    from tests.fakes.tiny_pipelines import flow_models, wake

    folder = copied(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = flow_models.qwen_image_union(**config)
        wake(network)
    network.save_pretrained(folder / "union")
    card = {"controlnet": "weights_beside"} if "controlnet" in name else {}
    card["commercial_use"] = "with_licence"  # else it is taken for Qwen-Image 2.1
    write_card(folder, structure="union", native_px=64, **card)
    return folder


def with_control(shot, colour):
    picture = np.broadcast_to(np.float32(colour), (64, 64, 3)).copy()
    alpha = np.ones((64, 64), np.float32)
    return shot.with_inputs({InputRole.CONTROL: {1001: (picture, alpha)}})


@pytest.mark.parametrize("name", ["qwen-image", "qwen-image-controlnet"])
def test_depth_steers_qwen_image_with_and_without_the_other_controlnet(tiny, copied, name):
    plain = engine_of(tiny(name))
    engine = engine_of(structured(copied, name))
    assert engine.description.inputs == (InputRole.CONTROL,)
    assert plain.description.inputs == ()
    shot = noisy_shot()
    near, far = with_control(shot, (1.0, 1.0, 1.0)), with_control(shot, (0.0, 0.0, 0.0))

    base = only(plain, shot, job_of(plain))
    free = only(engine, shot, job_of(engine))
    nears = [only(engine, near, job_of(engine)) for _ in range(2)]
    fars = only(engine, far, job_of(engine))
    weak = only(engine, near, job_of(engine, structure_strength=0.2))
    off = only(engine, near, job_of(engine, structure_strength=0.0))

    np.testing.assert_array_equal(free, base)
    np.testing.assert_array_equal(off, base)
    np.testing.assert_array_equal(*nears)
    assert not np.array_equal(nears[0], base)
    assert not np.array_equal(nears[0], fars)
    assert not np.array_equal(nears[0], weak)


def test_the_structure_is_asked_once_a_step_for_prompt_and_negative(copied):
    engine = engine_of(structured(copied, "qwen-image"))
    engine.prepare(RecordingWatch())
    calls = []
    network = engine._loaded.pipe.transformer.genai_fill_structure
    network.register_forward_pre_hook(lambda *_: calls.append(1))

    only(engine, with_control(noisy_shot(), (1.0, 0.5, 0.0)), job_of(engine, steps=3))

    assert len(calls) == 3


def test_control_goes_into_tiles_where_they_lie(copied):
    engine = engine_of(structured(copied, "qwen-image"))
    shot = noisy_shot(120, 150)
    half = np.zeros((120, 150, 3), np.float32)
    half[:, 75:] = 1.0
    alpha = np.ones((120, 150), np.float32)
    shots = [
        shot.with_inputs({InputRole.CONTROL: {1001: (p, alpha)}}) for p in (half, half[:, ::-1])
    ]

    a, b = (only(engine, s, job_of(engine, detail=0.5)) for s in shots)

    assert not np.array_equal(a, b)


def test_a_controlnet_of_the_wrong_kind_is_named(copied):
    engine = engine_of(structured(copied, "qwen-image", extra_condition_channels=4))

    with pytest.raises(ModelLoadFailed, match="not one for structure"):
        engine.prepare(RecordingWatch())


def test_structure_for_a_family_that_takes_none_is_a_mistake_in_the_card(copied):
    folder = copied("stable-diffusion")
    write_card(folder, structure="unet", native_px=64)

    assert "ControlNet" in engine_of(folder).description.unavailable_reason


BOTH = pytest.mark.parametrize("name", [Z_IMAGE, "qwen-image-controlnet"])


@BOTH
def test_a_large_crop_is_gone_over_inside_the_hole_and_nowhere_else(tiny, name):
    engine = engine_of(tiny(name))
    shot, watch = noisy_shot(120, 150), RecordingWatch()

    soft, fine = (only(engine, shot, job_of(engine, detail=d), watch) for d in (0.0, 0.5))
    again = only(engine, shot, job_of(engine, detail=0.5))

    hole = shot.matte(1001) > 0
    assert any("in tiles" in line for line in watch.lines)
    assert (fine[hole] != soft[hole]).mean() > 0.99
    np.testing.assert_array_equal(again, fine)
    np.testing.assert_array_equal(fine[~hole], soft[~hole])


@BOTH
def test_a_late_start_is_as_noisy_as_its_first_step_expects(tiny, name, monkeypatch):
    from diffusers.utils import torch_utils

    from genai_fill_server.engines.diffusers.families import late_start

    engine = engine_of(tiny(name))
    engine.prepare(RecordingWatch())
    made, times = [], []
    original = late_start.late_start

    def spy(pipe, clean, *args):
        with monkeypatch.context() as patch:
            patch.setattr(torch_utils, "randn_tensor", lambda shape, **_: torch.zeros(shape))
            made.append((clean, original(pipe, clean, *args)["latents"]))
        return original(pipe, clean, *args)

    family = type(engine._model.family).start.__globals__
    monkeypatch.setitem(family, "late_start", spy)
    engine._loaded.pipe.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: times.append(
            kwargs["timestep"] if kwargs.get("timestep") is not None else 1 - args[1]
        ),
        with_kwargs=True,
    )
    only(engine, noisy_shot(120, 150), job_of(engine, steps=10, detail=0.5, guidance=0.0))

    clean, latents = made[0]
    level = 1 - float((latents * clean).sum() / (clean * clean).sum())
    assert 0.3 < level < 0.95
    assert any(abs(float(time.flatten()[0]) - level) < 1e-5 for time in times)


def step_across_borders(picture, hole, tiles):
    """The mean step across the tiles' borders inside the hole, for one at another place: 1."""
    steps = np.abs(np.diff(picture.mean(axis=2), axis=1))
    inside = hole[:, 1:] & hole[:, :-1]
    borders = np.zeros_like(inside)
    for tile in tiles:
        for column in (tile.x0, tile.x1):
            if 0 < column < picture.shape[1]:
                borders[tile.y0 : tile.y1, column - 1] = True
    return steps[borders & inside].mean() / steps[inside & ~borders].mean()


@BOTH
def test_tiles_of_a_controlnet_leave_no_seam(tiny, name):
    from genai_fill_server.engines.diffusers import refining

    engine = engine_of(tiny(name))
    shot = noisy_shot(200, 240)
    hole = shot.matte(1001) > 0
    tiles = refining.plan_tiles(hole, engine._sizing())

    pixels = only(engine, shot, job_of(engine, steps=4, detail=0.7))

    assert len(tiles) > 4
    # Latents have cells of 8 pixels, so that a step at a border is not quite like any other.
    assert step_across_borders(pixels, hole, tiles) < 1.5


def test_the_recipe_tells_one_controlnet_from_another(published):
    notes = []
    for change in (dict, untrained):
        folder = published(change)
        engine, watch = engine_with_roots(folder), RecordingWatch()
        only(engine, noisy_shot(), job_of(engine, steps=1), watch)
        notes.append(watch.notes["diffusers"])
        shutil.rmtree(folder.parent)

    assert len(notes[0]["controlnet"]) == 16
    assert notes[0]["controlnet"] != notes[1]["controlnet"]

"""Stable Diffusion's ControlNets: depth and edges steer where they are given, and nothing else."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers import memory
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.steering import steered_steps
from genai_fill_server.service.ports import FillCancelled
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import stable_diffusion, wake, write_card
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

PLAIN = {
    "stable-diffusion-controlnet": "stable-diffusion",
    "stable-diffusion-xl-controlnet": "stable-diffusion-xl",
}


@pytest.fixture(scope="module", params=PLAIN)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def engine(tiny, name):
    engine = engine_of(tiny(name))
    engine.prepare(RecordingWatch())
    yield engine
    engine.release()


@pytest.fixture(scope="module")
def plain(tiny, name):
    engine = engine_of(tiny(PLAIN[name]))
    yield engine
    engine.release()


def only(engine, shot, **options):
    (frame,) = fill(engine, shot, job_of(engine, **options))
    return frame.pixels


def with_control(shot, seed=1, frames=(1001,)):
    height, width = shot.plate_window.height, shot.plate_window.width
    rng = np.random.default_rng(seed)
    alpha = np.ones((height, width), np.float32)
    pictures = {f: (rng.random((height, width, 3), dtype=np.float32), alpha) for f in frames}
    return shot.with_inputs({InputRole.CONTROL: pictures})


def calls_of(engine, record):
    """Have ``record`` called with the arguments of every call of the ControlNet."""
    return engine._loaded.pipe.controlnet.register_forward_pre_hook(
        lambda _, args, kwargs: record(args, kwargs), with_kwargs=True
    )


def test_control_is_an_input_of_the_model_with_a_controlnet_alone(engine, plain):
    assert engine.description.inputs == (InputRole.CONTROL,)
    assert plain.description.inputs == ()


def test_without_a_picture_the_bits_are_those_of_the_model_alone(engine, plain):
    calls = []
    hook = calls_of(engine, lambda *_: calls.append(1))
    free = only(engine, noisy_shot(), steps=4)
    off = only(engine, with_control(noisy_shot()), steps=4, control_strength=0.0)
    never = only(engine, with_control(noisy_shot()), steps=4, control_start=0.5, control_end=0.5)
    hook.remove()

    base = only(plain, noisy_shot(), steps=4)

    for pixels in (free, off, never):
        np.testing.assert_array_equal(pixels, base)
    assert calls == []


def test_the_picture_steers_and_the_same_one_the_same_way(engine):
    shot = noisy_shot()
    base = only(engine, shot, steps=4)
    once, again = (only(engine, with_control(shot), steps=4) for _ in range(2))

    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, base)
    assert not np.array_equal(once, only(engine, with_control(shot, seed=2), steps=4))
    for changed in ({"control_strength": 0.3}, {"control_start": 0.5}, {"control_end": 0.5}):
        other = only(engine, with_control(shot), steps=4, **changed)
        assert not np.array_equal(other, once), changed
        assert not np.array_equal(other, base), changed


def test_the_network_sees_four_channels_and_the_picture_in_float(engine):
    seen = []
    hook = calls_of(engine, lambda args, kwargs: seen.append((args[0], kwargs["controlnet_cond"])))
    shot = with_control(noisy_shot())
    only(engine, shot, steps=3, strength=1.0)
    hook.remove()

    latents, picture = seen[0]
    given = torch.from_numpy(shot.input(InputRole.CONTROL, 1001)[0]).permute(2, 0, 1)
    assert engine._loaded.pipe.unet.config.in_channels == 9
    assert len(seen) == 3
    assert latents.shape[1] == 4
    for each in picture:  # for the prompt and for its negative
        torch.testing.assert_close(each, given, atol=0, rtol=0)


def test_a_plain_checkpoint_of_four_channels_is_steered_as_well(tmp_path, name):
    make = {"stable-diffusion-controlnet": "sd15", "stable-diffusion-xl-controlnet": "sdxl"}[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe = getattr(stable_diffusion, make)()
        config = {**pipe.unet.config, "in_channels": 4}
        pipe.register_modules(unet=type(pipe.unet).from_config(config))
        network = getattr(stable_diffusion, f"{make}_controlnet")()
        wake(network)
    pipe.save_pretrained(tmp_path / "model")
    network.save_pretrained(tmp_path / "model" / "depth")
    write_card(tmp_path / "model", controlnet="depth", native_px=64)
    engine = engine_of(tmp_path / "model")
    shot = noisy_shot()

    free, steered = only(engine, shot), only(engine, with_control(shot))

    assert np.isfinite(steered).all()
    assert not np.array_equal(free, steered)


def test_both_ways_of_calling_share_every_weight(engine):
    from genai_fill_server.engines.diffusers.family import Picture

    pipe, family = engine._loaded.pipe, engine._model.family
    options = engine.description.resolve({})
    image = torch.zeros(1, 3, 64, 64)

    other = family.pipe_for(pipe, Picture(image, image[:, :1]), options)

    assert family.pipe_for(pipe, Picture(image, image[:, :1], control=image), options) is pipe
    assert "controlnet" not in other.components
    assert all(part is pipe.components[key] for key, part in other.components.items())


def test_what_frees_the_device_after_a_call_does_so_after_the_other_kind_too(engine, monkeypatch):
    freed = []
    pipe = engine._loaded.pipe
    monkeypatch.setattr(pipe, "maybe_free_model_hooks", lambda: freed.append(1), raising=False)

    only(engine, noisy_shot())
    only(engine, with_control(noisy_shot()))

    assert freed == [1, 1]


def test_a_card_too_small_for_the_whole_needs_room_for_denoiser_and_network_together(engine):
    pipe = engine._loaded.pipe

    need = memory.memory_need(pipe, ModelCard("x", "X"), 0.0)

    both = (part.parameters() for part in (pipe.unet, pipe.controlnet))
    together = sum(p.numel() * p.element_size() for p in itertools.chain(*both)) / 2**30
    assert need.parts == pytest.approx(together)
    assert need.parts < need.resident


def test_a_frame_without_a_picture_of_its_own_is_free(engine):
    shot = noisy_shot(frame_count=2)
    job = job_of(engine)

    free = fill(engine, shot, job)
    steered = fill(engine, with_control(shot, frames=(1002,)), job)

    np.testing.assert_array_equal(free[0].pixels, steered[0].pixels)
    assert not np.array_equal(free[1].pixels, steered[1].pixels)


def test_a_resumed_job_makes_the_bits_that_it_would_have_made(engine):
    shot = with_control(noisy_shot(frame_count=2), frames=(1001, 1002))
    whole = fill(engine, shot, job_of(engine))

    (rest,) = fill(engine, shot, job_of(engine, done=(frozenset({1001}),)))

    assert rest.frame == 1002
    np.testing.assert_array_equal(rest.pixels, whole[1].pixels)


def test_takes_in_one_call_are_steered_as_each_alone(engine):
    shot, seeds = with_control(noisy_shot()), (5, 6, 7)

    alone = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=1))
    together = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=3))

    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(b.pixels, a.pixels, atol=5e-4)
    assert np.abs(alone[0].pixels - alone[1].pixels).max() > 0.02


def test_tiles_of_the_detail_pass_see_their_part_of_the_picture(engine):
    shot = with_control(noisy_shot(200, 240))
    seen = []
    hook = calls_of(engine, lambda args, kwargs: seen.append(kwargs["controlnet_cond"][0]))
    only(engine, shot, steps=4, detail=0.5)
    hook.remove()

    whole = torch.from_numpy(shot.input(InputRole.CONTROL, 1001)[0]).permute(2, 0, 1)
    tiles = {tuple(each.flatten()[:8].tolist()): each for each in seen}
    parts = [t for t in tiles.values() if is_part_of(t, whole)]
    assert len(parts) > 1


def is_part_of(tile, whole):
    height, width = tile.shape[1:]
    windows = whole[0].unfold(0, height, 1).unfold(1, width, 1)
    return bool((windows == tile[0]).all(dim=-1).all(dim=-1).any())


def test_start_and_end_count_from_noise_to_picture_also_where_a_call_starts_late():
    options = {"steps": 10, "strength": 1.0, "control_start": 0.2, "control_end": 0.75}
    late = {**options, "strength": 0.5}

    assert steered_steps(options) == pytest.approx((0.2, 0.75))
    assert steered_steps(late) == pytest.approx((0.0, 0.5))
    assert steered_steps({**late, "control_end": 0.5}) == (0.0, 0.0)
    assert steered_steps({**late, "control_start": 0.0, "control_end": 1.0}) == (0.0, 1.0)


def test_cancel_stops_within_the_network(engine):
    watch, reached = RecordingWatch(), []
    hooks = [
        calls_of(engine, lambda *_: watch.cancelled.set()),
        engine._loaded.pipe.unet.register_forward_pre_hook(lambda *_: reached.append(1)),
    ]
    with pytest.raises(FillCancelled):
        fill(engine, with_control(noisy_shot()), job_of(engine), watch)
    for hook in hooks:
        hook.remove()

    assert reached == []
    once, again = (only(engine, with_control(noisy_shot())) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_it_steers_in_the_precision_that_it_has_on_a_gpu(tiny, name, monkeypatch):
    from genai_fill_server.engines.diffusers import runtime

    monkeypatch.setattr(runtime, "working_dtype", lambda device, dtype: getattr(torch, dtype))
    engine = engine_of(tiny(name))
    shot = noisy_shot(48, 64)

    free, steered = only(engine, shot), only(engine, with_control(shot))

    assert engine._loaded.pipe.controlnet.dtype == torch.float16
    assert np.isfinite(steered).all()
    assert not np.array_equal(free, steered)


def test_a_steered_call_shows_what_it_makes(engine):
    watch = RecordingWatch()
    fill(engine, with_control(noisy_shot()), job_of(engine), watch)

    assert watch.previews


def test_a_lora_changes_steered_calls_and_free_ones_and_goes_without_a_trace(copied):
    folder = copied("stable-diffusion-controlnet")
    query = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    rng = torch.Generator().manual_seed(0)
    down, up = torch.randn(2, 16, generator=rng), torch.randn(16, 2, generator=rng)
    tensors = {f"{query}.lora_A.weight": down, f"{query}.lora_B.weight": up}
    save_file(tensors, folder / "look.safetensors")
    engine = engine_of(folder)
    shots = [noisy_shot(), with_control(noisy_shot())]

    before = [only(engine, shot) for shot in shots]
    changed = [only(engine, shot, lora="look.safetensors") for shot in shots]
    after = [only(engine, shot) for shot in shots]

    for a, b, c in zip(before, changed, after, strict=True):
        assert not np.array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_the_recipe_tells_one_controlnet_from_another(copied, name):
    notes = []
    folder = copied(name)
    for change in (0.0, 1.0):
        (weights,) = (folder / "weights_beside").glob("*.safetensors")
        change_weight(weights, change)
        watch = RecordingWatch()
        engine = engine_of(folder)
        fill(engine, noisy_shot(), job_of(engine, steps=2), watch)
        notes.append(watch.notes["diffusers"]["controlnet"])

    assert notes[0] != notes[1]


def change_weight(path, by):
    tensors = load_file(path)
    first = next(iter(tensors))
    save_file({**tensors, first: tensors[first] + by}, path)


def test_a_folder_with_the_controlnet_as_a_part_is_loaded_as_it_is(copied, name, engine):
    folder = copied(name)
    (folder / "weights_beside").rename(folder / "controlnet")
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = engine._model.family.pipeline
    index["controlnet"] = ["diffusers", "ControlNetModel"]
    (folder / "model_index.json").write_text(json.dumps(index))
    write_card(folder, native_px=64)
    shot = with_control(noisy_shot())

    inside = engine_of(folder, models__allow_non_commercial=True)

    np.testing.assert_array_equal(only(inside, shot), only(engine, shot))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"_class_name": "ControlNetUnionModel"}, "ControlNetUnionModel"),
        ({"cross_attention_dim": 8}, "cross_attention_dim 8"),
        ({"addition_embed_type": "text"}, "another version"),
        ({"conditioning_channels": 1}, "RGB"),
        ({"in_channels": 9}, "latents"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_with_the_reason(copied, name, change, says):
    folder = copied(name)
    path = folder / "weights_beside" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(ModelLoadFailed, match="ControlNet") as caught:
        engine_of(folder).prepare(RecordingWatch())

    assert says in caught.value.message
    assert caught.value.hint


def test_one_file_without_a_configuration_is_refused(copied, name):
    folder = copied(name)
    (weights,) = (folder / "weights_beside").glob("*.safetensors")
    weights.rename(folder / "control_depth.safetensors")
    write_card(folder, controlnet="control_depth.safetensors", native_px=64)

    with pytest.raises(ModelLoadFailed, match="configuration"):
        engine_of(folder).prepare(RecordingWatch())


def test_as_a_frame_ahead_is_made_on_a_gpu_the_picture_steers_it_too(engine, monkeypatch):
    from genai_fill_server.engines.diffusers import runtime

    shot = with_control(noisy_shot(frame_count=2), frames=(1001, 1002))
    job = job_of(engine)
    in_turn = fill(engine, shot, job)
    monkeypatch.setattr(runtime, "works_beside", lambda device: True)

    ahead = fill(engine, shot, job)

    for a, b in zip(in_turn, ahead, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)

"""What holds for every image family, on tiny pipelines of the real architectures."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from genai_fill_contract.engine import EngineKind
from genai_fill_contract.errors import ModelMissing, ModelUnsafe
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.families import FAMILIES, family_of
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import NAMES, write_card
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

IMAGE_MODELS = [name for name in NAMES if name != "wan-vace"]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Whatever a model's files say, nothing is fetched and nothing is told."""

    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module", params=IMAGE_MODELS)
def engine(request, tiny):
    engine = engine_of(tiny(request.param), models__allow_non_commercial=True)
    yield engine
    engine.release()


def option_names(engine):
    return {option.name for option in engine.description.options}


def only(engine, shot, job, watch=None):
    (frame,) = fill(engine, shot, job, watch)
    return frame.pixels


def test_every_family_is_tried_here():
    tried = {engine_family(name) for name in NAMES}

    assert tried == {family.name for family in FAMILIES}


def engine_family(name):
    return name.removesuffix("-distilled")


def test_no_two_families_claim_the_same_pipeline():
    claimed = [name for family in FAMILIES for name in family.accepts]

    assert len(set(claimed)) == len(claimed)
    assert all(family_of(name) for name in claimed)


def test_an_odd_crop_is_filled_at_its_own_size(engine):
    pixels = only(engine, noisy_shot(61, 83), job_of(engine))

    assert pixels.shape == (61, 83, 3)
    assert np.isfinite(pixels).all()
    assert pixels.std() > 0


def test_the_prompt_and_the_seed_change_the_picture_and_the_rest_is_fixed(engine):
    shot = noisy_shot()
    base = only(engine, shot, job_of(engine))

    np.testing.assert_array_equal(only(engine, shot, job_of(engine)), base)
    assert not np.array_equal(only(engine, shot, job_of(engine, prompt="the sea")), base)
    assert not np.array_equal(only(engine, shot, job_of(engine, seeds=(8,))), base)


def test_the_negative_prompt_counts_just_where_the_description_says_so(engine):
    shot = noisy_shot()

    plain = only(engine, shot, job_of(engine))
    negated = only(engine, shot, job_of(engine, negative="brick"))

    assert np.array_equal(plain, negated) != engine.description.uses_negative_prompt


def test_the_plate_round_the_hole_reaches_the_model(engine):
    a = only(engine, noisy_shot(seed=1), job_of(engine))
    b = only(engine, noisy_shot(seed=2), job_of(engine))

    assert not np.array_equal(a[20:40, 20:40], b[20:40, 20:40])


def test_what_is_removed_is_not_shown_to_the_model(engine):
    shot, other = noisy_shot(), noisy_shot()
    other._plates[1001][16:48, 16:48] = 0.9

    np.testing.assert_array_equal(*(only(engine, s, job_of(engine)) for s in (shot, other)))


def test_what_is_under_the_matte_is_shown_when_asked_for(engine):
    if "hole_content" not in option_names(engine):
        # These start from pure noise and are told of the hole: they never look under it.
        assert "strength" not in option_names(engine)
        return
    shot, other = noisy_shot(), noisy_shot()
    other._plates[1001][16:48, 16:48] = 0.9

    a, b = (
        only(engine, s, job_of(engine, hole_content="plate", strength=0.5)) for s in (shot, other)
    )

    assert not np.array_equal(a, b)


def test_every_option_changes_the_picture(engine):
    shot = noisy_shot()
    if InputRole.CONTROL in engine.description.inputs:
        control = {1001: picture_of((0.2, 0.5, 0.9), (64, 64))}
        shot = shot.with_inputs({InputRole.CONTROL: control})
    base = only(engine, shot, job_of(engine, steps=4))
    changes = {
        "steps": 3,
        "guidance": 2.0,
        "strength": 0.5,
        "control_strength": 0.2,
        "control_start": 0.5,
        "control_end": 0.5,
        "noise": "per_frame",
        "sampler": "unipc",
    }

    for name in option_names(engine) & set(changes):
        changed = only(engine, shot, job_of(engine, **{"steps": 4, name: changes[name]}))
        assert not np.array_equal(changed, base), name


def test_a_prompt_longer_than_the_encoder_reads_is_reported_exactly(engine):
    watch = RecordingWatch()
    engine.prepare(watch)
    limit = engine._model.family.limits(engine._loaded.pipe)[0]
    fits = "a" * (limit.max_tokens - limit.template_tokens - 40)

    only(engine, noisy_shot(), job_of(engine, prompt=fits + "b" * 200), watch)

    assert any(
        limit.name in line and f"first {limit.max_tokens}" in line for line in watch.lines
    ), watch.lines


def test_what_the_encoder_reads_is_really_read_to_the_end(engine):
    """Some calls cut embeddings that were encoded at full length unless told otherwise."""
    engine.prepare(RecordingWatch())
    limit = engine._model.family.limits(engine._loaded.pipe)[0]
    length = limit.max_tokens - limit.template_tokens - 4
    start = "a " * (length // 4)
    start = "x" * (length - 8) if limit.name in ("Qwen3", "Qwen2.5-VL") else start

    a, b = (only(engine, noisy_shot(), job_of(engine, prompt=start + end)) for end in "yz")

    assert not np.array_equal(a, b)


def test_an_image_model_describes_itself(engine):
    description = engine.description

    assert description.kind is EngineKind.IMAGE
    assert description.size_multiple_px in (8, 16)
    assert description.help.endswith(".")
    assert description.native_size_px == 64


def test_a_distilled_model_has_few_steps_and_no_guidance(tiny):
    description = engine_of(tiny("flux2-klein-distilled")).description
    defaults = {option.name: option.default for option in description.options}

    assert defaults["steps"] == 4
    assert "guidance" not in defaults
    assert not description.uses_negative_prompt


@pytest.mark.parametrize("name", ["z-image-controlnet", "qwen-image-controlnet"])
def test_a_controlnet_gets_the_picture_from_minus_one_to_one(tiny, name, monkeypatch):
    engine = engine_of(tiny(name))
    engine.prepare(RecordingWatch())
    vae = engine._loaded.pipe.vae
    encode, seen = vae.encode, []

    def spy(x, *args, **kwargs):
        seen.append((float(x.min()), float(x.max())))
        return encode(x, *args, **kwargs)

    monkeypatch.setattr(vae, "encode", spy)
    shot = noisy_shot()
    shot._plates[1001][0, 0] = 0.0
    shot._plates[1001][0, 1] = 1.0

    only(engine, shot, job_of(engine))

    assert (-1.0, 1.0) in seen


def test_without_a_control_picture_z_image_controls_with_zero_latents(tiny):
    import torch

    from genai_fill_server.engines.diffusers.families.z_image import NO_CONTROL

    engine = engine_of(tiny("z-image-controlnet"))
    engine.prepare(RecordingWatch())
    vae = engine._loaded.pipe.vae

    nothing = vae.encode(torch.full((1, 3, 64, 64), NO_CONTROL)).latent_dist.mode()
    something = vae.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mode()

    assert torch.all(nothing - vae.config.shift_factor == 0)
    assert torch.any(something - vae.config.shift_factor != 0)


def test_a_controlnet_outside_the_model_folders_is_refused(copied, tmp_path):
    folder = copied("z-image-controlnet")
    (tmp_path / "elsewhere").mkdir()
    write_card(folder, controlnet="../../elsewhere", native_px=64)

    engine = engine_of(folder)

    assert not engine.description.available
    with pytest.raises(ModelUnsafe, match="outside"):
        engine.prepare(RecordingWatch())


def test_a_controlnet_that_is_not_there_is_named(copied):
    folder = copied("z-image-controlnet")
    write_card(folder, controlnet="gone", native_px=64)

    with pytest.raises(ModelMissing, match="gone"):
        engine_of(folder).prepare(RecordingWatch())


def test_a_controlnet_as_a_pickle_is_refused(copied):
    folder = copied("z-image-controlnet")
    (weights,) = (folder / "weights_beside").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))

    with pytest.raises(ModelUnsafe, match="pickle"):
        engine_of(folder).prepare(RecordingWatch())


def test_a_controlnet_for_a_family_that_takes_none_is_a_mistake_in_the_card(copied):
    folder = copied("flux2-klein")
    write_card(folder, controlnet="transformer", native_px=64)

    assert "ControlNet" in engine_of(folder).description.unavailable_reason


def test_a_controlnet_that_is_part_of_the_pipeline_folder_is_found_there(copied):
    import json

    folder = copied("qwen-image-controlnet")
    (folder / "weights_beside").rename(folder / "controlnet")
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = "QwenImageControlNetInpaintPipeline"
    index["controlnet"] = ["diffusers", "QwenImageControlNetModel"]
    (folder / "model_index.json").write_text(json.dumps(index))
    write_card(folder, native_px=64, commercial_use="with_licence")
    engine = engine_of(folder)

    assert "control_strength" in option_names(engine)
    assert only(engine, noisy_shot(), job_of(engine)).shape == (64, 64, 3)


def picture_of(colour, size=(40, 60)):
    return np.broadcast_to(np.float32(colour), (*size, 3)).copy(), np.ones(size, np.float32)


@pytest.mark.parametrize("name", ["flux2-klein", "wan-vace"])
def test_a_reference_picture_of_any_size_changes_what_is_made(tiny, name):
    engine = engine_of(tiny(name))
    assert InputRole.REFERENCE in engine.description.inputs
    shot = noisy_shot(48, 64, 1)
    shots = [
        shot,
        shot.with_inputs({InputRole.REFERENCE: {1001: picture_of((0.2, 0.4, 1.0))}}),
        shot.with_inputs({InputRole.REFERENCE: {7: picture_of((1.0, 0.0, 0.0), (1200, 1500))}}),
        shot,
    ]

    without, blue, red, again = (only(engine, s, job_of(engine, steps=1)) for s in shots)
    engine.release()

    assert not np.array_equal(without, blue)
    assert not np.array_equal(blue, red)
    np.testing.assert_array_equal(again, without)


def test_a_control_picture_steers_the_frame_that_it_is_of(tiny):
    engine = engine_of(tiny("z-image-controlnet"))
    assert engine.description.inputs == (InputRole.CONTROL,)
    shot = noisy_shot(64, 64, 2)
    control = {1002: picture_of((1.0, 1.0, 1.0), (64, 64))}

    plain = fill(engine, shot, job_of(engine))
    steered = fill(engine, shot.with_inputs({InputRole.CONTROL: control}), job_of(engine))
    engine.release()

    np.testing.assert_array_equal(plain[0].pixels, steered[0].pixels)
    assert not np.array_equal(plain[1].pixels, steered[1].pixels)


def test_inputs_that_a_family_does_not_take_change_nothing(tiny):
    engine = engine_of(tiny("stable-diffusion"))
    shot = noisy_shot(64, 64, 1)
    given = {role: {1001: picture_of((1.0, 0.0, 0.0), (64, 64))} for role in InputRole}

    plain = only(engine, shot, job_of(engine))
    np.testing.assert_array_equal(only(engine, shot.with_inputs(given), job_of(engine)), plain)
    engine.release()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_runs_in_the_precision_it_has_on_a_gpu(tiny, name, monkeypatch):
    """Where precisions meet is where half precision breaks; the CPU can show that too."""
    import torch

    from genai_fill_server.engines.diffusers import runtime

    monkeypatch.setattr(runtime, "working_dtype", lambda device, dtype: getattr(torch, dtype))
    engine = engine_of(tiny(name), models__allow_non_commercial=True)
    watch = RecordingWatch()

    pixels = only(engine, noisy_shot(48, 64), job_of(engine), watch)

    assert watch.notes["diffusers"]["precision"] == engine._model.family.working_dtype
    assert np.isfinite(pixels).all()
    # The VAE stays in float32, so there are more levels than half precision has.
    assert engine._loaded.pipe.vae.dtype == torch.float32
    assert len(np.unique(pixels)) > 4000
    engine.release()


def test_a_new_take_or_seed_encodes_no_plate_again_and_has_the_same_bits(engine):
    engine.prepare(RecordingWatch())
    pipe, encodings = engine._loaded.pipe, engine._loaded.encodings
    shot, calls = noisy_shot(seed=5), []
    encodings.clear()
    hook = pipe.vae.encoder.register_forward_pre_hook(lambda *_: calls.append(1))

    fill(engine, shot, job_of(engine, seeds=(1,)))
    first = len(calls)
    both = fill(engine, shot, job_of(engine, seeds=(1, 2)))
    assert first >= 1
    assert len(calls) == first

    encodings.clear()
    anew = fill(engine, shot, job_of(engine, seeds=(2,)))
    hook.remove()

    assert len(calls) == 2 * first
    for kept, made in zip(both[1:], anew, strict=True):
        np.testing.assert_array_equal(kept.pixels, made.pixels)

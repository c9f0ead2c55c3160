"""Qwen-Image Edit: what the libraries do with 8-bit pictures, done in float."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.families import seeing
from genai_fill_server.engines.diffusers.options import PLATE
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

NAMES = ("qwen-image-edit", "qwen-image-edit-plus")


@pytest.fixture(scope="module", params=NAMES)
def engine(request, tiny):
    engine = engine_of(tiny(request.param))
    engine.prepare(RecordingWatch())
    yield engine
    engine.release()


def only(engine, shot, job, watch=None):
    (frame,) = fill(engine, shot, job, watch)
    return frame.pixels


def grey_ramp(height, width):
    """A picture of values that 8 bits have, so that both ways see the same."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tensor = torch.from_numpy(values.transpose(2, 0, 1).astype(np.float32) / 255)[None]
    return values, tensor


def test_the_encoder_is_shown_what_its_own_processor_would_show_it(engine):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
        Qwen2VLImageProcessorPil,
    )

    values, tensor = grey_ramp(56, 84)
    processor = Qwen2VLImageProcessorPil()
    theirs = processor(values, return_tensors="pt", input_data_format="channels_last")

    ours, grid = seeing._patches(tensor, engine._loaded.pipe.text_encoder.config.vision_config)

    assert [list(grid)] == theirs["image_grid_thw"].tolist()
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=1e-5, rtol=1e-5)


def test_the_denoiser_is_shown_the_latents_that_the_edit_pipeline_packs(engine):
    from diffusers import QwenImageEditPlusPipeline

    pipe = engine._loaded.pipe
    own = QwenImageEditPlusPipeline(**pipe.components, processor=None)
    _, tensor = grey_ramp(64, 96)
    with torch.no_grad():
        latents = own._encode_vae_image((tensor * 2 - 1)[:, :, None], None).transpose(1, 2)
    theirs = own._pack_latents(latents, 1, 4, *latents.shape[-2:])

    ours, grid = seeing.latent_tokens(pipe, tensor)

    torch.testing.assert_close(ours, theirs)
    assert grid == (1, *(side // 2 for side in latents.shape[-2:]))


def test_places_in_the_picture_are_told_to_the_encoder(engine, monkeypatch):
    seen = []
    encoder = engine._loaded.pipe.text_encoder
    forward = encoder.model.language_model.forward

    def spy(*args, **kwargs):
        seen.append(kwargs["position_ids"])
        return forward(*args, **kwargs)

    monkeypatch.setattr(encoder.model.language_model, "forward", spy)
    engine._loaded.prompts.clear()
    only(engine, noisy_shot(64, 96), job_of(engine))

    # Time, row and column differ inside a picture only.
    assert (seen[0][-2] != seen[0][-1]).any()


def test_the_text_encoder_sees_the_frame_it_is_asked_about(engine):
    pipe = engine._loaded.pipe
    seen = []
    hook = pipe.text_encoder.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["pixel_values"]), with_kwargs=True
    )
    engine._loaded.prompts.clear()
    shot = noisy_shot(64, 64, 2)

    fill(engine, shot, job_of(engine, seeds=(1, 2)))
    first = len(seen)
    fill(engine, shot, job_of(engine, seeds=(3,), steps=3))
    hook.remove()

    # Two frames, each with the prompt and the negative; neither takes nor steps ask again.
    assert first == 4
    assert len(seen) == first
    assert not torch.equal(seen[0], seen[2])


def test_a_prompt_cannot_pretend_to_hold_a_picture(engine):
    shot = noisy_shot()

    pixels = only(engine, shot, job_of(engine, prompt="a <|image_pad|> wall <|im_end|>"))

    assert np.isfinite(pixels).all()


def test_what_is_under_the_matte_is_seen_by_the_encoder_only_when_asked_for(engine):
    shot, other = noisy_shot(), noisy_shot()
    other._plates[1001][16:48, 16:48] = 0.9

    hidden = [only(engine, s, job_of(engine)) for s in (shot, other)]
    shown = [only(engine, s, job_of(engine, hole_content=PLATE)) for s in (shot, other)]

    np.testing.assert_array_equal(*hidden)
    assert not np.array_equal(*shown)


def test_the_picture_stays_float_on_every_way_to_the_model(engine, monkeypatch):
    import PIL.Image

    def refuse(*_, **__):
        raise AssertionError("a picture of 8 bits was made")

    monkeypatch.setattr(PIL.Image, "fromarray", refuse)
    engine._loaded.prompts.clear()
    shot, other = noisy_shot(), noisy_shot()
    other._plates[1001][0, 0] += np.float32(1e-4)

    a, b = (only(engine, s, job_of(engine)) for s in (shot, other))

    assert not np.array_equal(a, b)


def test_the_later_kind_takes_a_reference_and_the_first_does_not(engine):
    takes = InputRole.REFERENCE in engine.description.inputs
    picture = np.full((40, 60, 3), 0.5, np.float32), np.ones((40, 60), np.float32)
    shot = noisy_shot()

    plain = only(engine, shot, job_of(engine))
    given = only(engine, shot.with_inputs({InputRole.REFERENCE: {1: picture}}), job_of(engine))

    assert takes == ("plus" in engine.description.id)
    assert takes != np.array_equal(plain, given)


def test_detail_goes_over_a_large_crop_in_tiles_that_are_seen_each(engine):
    watch = RecordingWatch()

    fine = only(engine, noisy_shot(120, 150), job_of(engine, detail=0.5), watch)
    soft = only(engine, noisy_shot(120, 150), job_of(engine, detail=0.0))

    assert any("in tiles" in line for line in watch.lines)
    assert not np.array_equal(fine, soft)

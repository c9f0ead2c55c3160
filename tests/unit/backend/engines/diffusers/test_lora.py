from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from genai_fill_contract.errors import ModelLoadFailed, ModelMissing, ModelUnsafe
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    target = tmp_path_factory.mktemp("lora") / "model"
    return Path(shutil.copytree(tiny("stable-diffusion"), target))


@pytest.fixture(scope="module")
def engine(folder):
    engine = engine_of(folder)
    yield engine
    engine.release()


def halves(rank=2, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(rank, size, generator=generator),
        torch.randn(size, rank, generator=generator),
    )


def write_lora(folder, name="look.safetensors", keys=("lora_A", "lora_B"), module=f"unet.{QUERY}"):
    down, up = halves()
    save_file({f"{module}.{keys[0]}.weight": down, f"{module}.{keys[1]}.weight": up}, folder / name)
    return name


def pixels(engine, watch=None, **options):
    return fill(engine, noisy_shot(), job_of(engine, **options), watch)[0].pixels


def test_a_lora_changes_the_picture_and_goes_without_a_trace(engine, folder):
    name = write_lora(folder)
    plain = pixels(engine)

    assert not np.array_equal(pixels(engine, lora=name), plain)
    np.testing.assert_array_equal(pixels(engine), plain)
    np.testing.assert_array_equal(pixels(engine, lora=name, lora_strength=0.0), plain)


def test_the_weights_get_just_the_product_times_the_strength(engine, folder):
    name = write_lora(folder)
    pixels(engine)  # without any LoRA
    weight = engine._loaded.pipe.unet.get_submodule(QUERY).weight
    before = weight.detach().clone()
    down, up = halves()

    pixels(engine, lora=name, lora_strength=0.5)

    torch.testing.assert_close(weight.detach() - before, 0.5 * up @ down, atol=1e-6, rtol=1e-5)


def test_strengths_do_not_add_up_from_job_to_job(engine, folder):
    name = write_lora(folder)
    first = pixels(engine, lora=name, lora_strength=0.7)
    pixels(engine, lora=name, lora_strength=1.5)

    np.testing.assert_array_equal(pixels(engine, lora=name, lora_strength=0.7), first)


def test_a_lora_that_was_trained_again_is_read_again(engine, folder):
    name = write_lora(folder, "again.safetensors")
    first = pixels(engine, lora=name)
    down, up = halves(seed=5)
    module = f"unet.{QUERY}"
    save_file({f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}, folder / name)
    os.utime(folder / name, ns=(1, 1))  # a clock too coarse must not hide it here

    assert not np.array_equal(pixels(engine, lora=name), first)


def test_a_lora_by_absolute_path_is_the_same(engine, folder):
    name = write_lora(folder)

    np.testing.assert_array_equal(
        pixels(engine, lora=name), pixels(engine, lora=str(folder / name))
    )


def test_the_spelling_of_another_trainer_with_its_alpha_is_understood(engine, folder):
    down, up = halves()
    flat = QUERY.replace(".", "_")
    save_file(
        {
            f"lora_unet_{flat}.lora_down.weight": down,
            f"lora_unet_{flat}.lora_up.weight": up,
            f"lora_unet_{flat}.alpha": torch.tensor(1.0),
        },
        folder / "kohya.safetensors",
    )
    write_lora(folder)

    # Alpha 1 over rank 2 is half the strength.
    np.testing.assert_allclose(
        pixels(engine, lora="kohya.safetensors"),
        pixels(engine, lora="look.safetensors", lora_strength=0.5),
        atol=1e-5,
    )


@pytest.mark.parametrize("layer", ["q", "k", "v", "out"])
def test_older_spellings_of_a_text_encoder_find_their_layer(engine, folder, layer):
    down, up = halves()
    flat = f"lora_te_text_model_encoder_layers_0_self_attn_{layer}_proj"
    save_file(
        {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}, folder / "te.safetensors"
    )
    pixels(engine)
    layers = dict(engine._loaded.pipe.text_encoder.named_modules())
    (module,) = [m for n, m in layers.items() if n.endswith(f"layers.0.self_attn.{layer}_proj")]
    before = module.weight.detach().clone()

    pixels(engine, lora="te.safetensors")

    torch.testing.assert_close(module.weight.detach() - before, up @ down, atol=1e-6, rtol=1e-5)


def test_a_lora_of_the_text_encoder_changes_how_the_prompt_is_read(engine, folder):
    engine.prepare(RecordingWatch())
    encoder = engine._loaded.pipe.text_encoder
    module = next(name for name, _ in encoder.named_modules() if name.endswith("q_proj"))
    name = write_lora(folder, module=f"text_encoder.{module}")
    plain = pixels(engine)

    assert not np.array_equal(pixels(engine, lora=name), plain)
    np.testing.assert_array_equal(pixels(engine), plain)


def test_a_lora_for_a_video_model_works_too(copied):
    folder = copied("wan-vace")
    down, up = halves(size=24)
    module = "transformer.blocks.0.attn1.to_q"
    save_file(
        {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up},
        folder / "look.safetensors",
    )
    engine = engine_of(folder)
    shot = noisy_shot(48, 64, 1)

    plain = fill(engine, shot, job_of(engine))[0].pixels
    styled = fill(engine, shot, job_of(engine, lora="look.safetensors"))[0].pixels

    assert not np.array_equal(plain, styled)
    engine.release()


def test_the_lora_is_noted_in_the_recipe(engine, folder):
    first, second, without = RecordingWatch(), RecordingWatch(), RecordingWatch()

    for watch in (first, second):  # the second time it is mixed in already
        pixels(engine, watch, lora=write_lora(folder))
    pixels(engine, without)

    expected = [{"file": "look.safetensors", "strength": 1.0, "weights": 1}]
    assert first.notes["lora"] == second.notes["lora"] == expected
    assert "lora" not in without.notes


def test_several_loras_are_mixed_in_each_with_its_strength(engine, folder):
    look = write_lora(folder)
    down, up = halves(seed=5)
    module = f"unet.{QUERY}"
    save_file(
        {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up},
        folder / "place.safetensors",
    )
    plain = pixels(engine)
    weight = engine._loaded.pipe.unet.get_submodule(QUERY).weight
    before, watch = weight.detach().clone(), RecordingWatch()
    asked = {"lora": look, "lora_strength": 0.5, "lora_3": "place.safetensors"}

    both = pixels(engine, watch, lora_3_strength=2.0, **asked)

    first_down, first_up = halves()
    delta = 0.5 * (first_up @ first_down) + 2.0 * (up @ down)
    torch.testing.assert_close(weight.detach() - before, delta, atol=1e-5, rtol=1e-4)
    assert [note["file"] for note in watch.notes["lora"]] == [look, "place.safetensors"]
    assert not np.array_equal(both, pixels(engine, lora=look, lora_strength=0.5))
    np.testing.assert_array_equal(pixels(engine), plain)
    np.testing.assert_array_equal(weight.detach(), before)


def test_when_the_second_lora_fails_the_first_does_not_stay(engine, folder):
    look, plain = write_lora(folder), pixels(engine)
    (folder / "bad.safetensors").write_bytes(b"\xff" * 40)

    with pytest.raises(ModelLoadFailed):
        pixels(engine, lora=look, lora_2="bad.safetensors")

    np.testing.assert_array_equal(pixels(engine), plain)


def test_changes_that_do_not_fit_are_told(engine, folder):
    down, up = halves()
    save_file(
        {
            f"unet.{QUERY}.lora_A.weight": down,
            f"unet.{QUERY}.lora_B.weight": up,
            "unet.no.such.module.lora_A.weight": down.clone(),
            "unet.no.such.module.lora_B.weight": up.clone(),
        },
        folder / "half.safetensors",
    )
    watch = RecordingWatch()

    pixels(engine, watch, lora="half.safetensors")

    assert any("1 of the 2 changes" in line for line in watch.lines)


def test_a_lora_for_another_model_is_refused_and_nothing_stays(engine, folder):
    name = write_lora(folder, module="unet.no.such.module")
    plain = pixels(engine)

    with pytest.raises(ModelLoadFailed, match="another model"):
        pixels(engine, lora=name)

    np.testing.assert_array_equal(pixels(engine), plain)


def test_a_lora_of_the_wrong_size_is_refused_and_nothing_stays(engine, folder):
    down, up = halves(size=8)
    module = f"unet.{QUERY}"
    save_file(
        {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up},
        folder / "other.safetensors",
    )
    plain = pixels(engine)

    with pytest.raises(ModelLoadFailed, match="does not fit"):
        pixels(engine, lora="other.safetensors")

    np.testing.assert_array_equal(pixels(engine), plain)


def test_a_damaged_lora_is_refused(engine, folder):
    (folder / "bad.safetensors").write_bytes(b"\xff" * 40)

    with pytest.raises(ModelLoadFailed, match=r"bad\.safetensors"):
        pixels(engine, lora="bad.safetensors")


@pytest.mark.parametrize("name", ["look.pt", "look.bin", "../../secret.safetensors", "/etc/passwd"])
def test_a_lora_that_is_a_pickle_or_lies_elsewhere_is_refused(engine, name):
    with pytest.raises(ModelUnsafe):
        pixels(engine, lora=name)


def test_a_lora_that_is_not_there_is_named(engine):
    with pytest.raises(ModelMissing, match=r"gone\.safetensors"):
        pixels(engine, lora="gone.safetensors")


@pytest.mark.parametrize("layer", ["to_q", "to_k", "to_v", "to_out"])
def test_older_spellings_of_a_unet_find_their_layer(engine, folder, layer):
    down, up = halves()
    flat = "lora_unet_" + QUERY.removesuffix("to_q").replace(".", "_") + layer
    flat += "_0" if layer == "to_out" else ""
    save_file(
        {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}, folder / "u.safetensors"
    )
    pixels(engine)
    attention = engine._loaded.pipe.unet.get_submodule(QUERY.removesuffix(".to_q"))
    module = attention.to_out[0] if layer == "to_out" else getattr(attention, layer)
    before = module.weight.detach().clone()

    pixels(engine, lora="u.safetensors")

    torch.testing.assert_close(module.weight.detach() - before, up @ down, atol=1e-6, rtol=1e-5)

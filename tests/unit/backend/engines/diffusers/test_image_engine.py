from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from genai_fill_contract.engine import ColourDomain, CommercialUse, EngineKind
from genai_fill_contract.errors import (
    ConfigError,
    EngineError,
    GenerationFailed,
    InvalidOption,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
    OutOfMemory,
)
from genai_fill_server.engines.diffusers.refining import plan_tiles
from genai_fill_server.service.ports import FillCancelled
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import write_card
from tests.unit.backend.engines.diffusers.arrays import ArrayShot, noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

SD = "stable-diffusion"


@pytest.fixture(scope="module")
def engine(tiny):
    engine = engine_of(tiny(SD))
    yield engine
    engine.release()


def test_listing_models_does_not_import_torch(tiny):
    code = (
        "import sys; from genai_fill_server.engines.diffusers import create;"
        f"(e,) = create({{'models.dirs': ({str(tiny(SD))!r},)}});"
        "assert e.description.available, e.description;"
        "heavy = {'torch', 'diffusers', 'transformers', 'cv2', 'numba'} & set(sys.modules);"
        "assert not heavy, heavy"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_model_describes_itself(engine):
    description = engine.description

    assert description.id == "diffusers:stable-diffusion"
    assert description.kind is EngineKind.IMAGE
    assert description.domain is ColourDomain.DISPLAY
    assert description.needs_prompt
    assert description.native_size_px == 64
    assert description.commercial_use is CommercialUse.WITH_LICENCE
    assert "unknown" in description.licence


@pytest.mark.parametrize("size", [(64, 64), (67, 61), (40, 130), (200, 180), (9, 7), (1, 300)])
def test_any_crop_size_is_filled_at_its_own_size(engine, size):
    (frame,) = fill(engine, noisy_shot(*size), job_of(engine))

    assert frame.pixels.shape == (*size, 3)
    assert frame.pixels.dtype == np.float32
    assert np.isfinite(frame.pixels).all()


def test_the_prompt_the_seed_and_the_negative_prompt_change_the_picture(engine):
    shot = noisy_shot()
    base = fill(engine, shot, job_of(engine))[0].pixels

    for other in (
        job_of(engine, prompt="the sea"),
        job_of(engine, seeds=(8,)),
        job_of(engine, negative="brick"),
        job_of(engine, guidance=2.0),
        job_of(engine, steps=3),
        job_of(engine, strength=0.5),
        job_of(engine, sampler="euler_a"),
    ):
        assert not np.array_equal(fill(engine, shot, other)[0].pixels, base), other


def test_the_plate_outside_the_hole_reaches_the_model(engine):
    shot, other = noisy_shot(seed=1), noisy_shot(seed=2)

    a, b = (fill(engine, s, job_of(engine))[0].pixels for s in (shot, other))

    assert not np.array_equal(a[20:40, 20:40], b[20:40, 20:40])


def test_what_is_under_the_hole_does_not_show_through(engine):
    shot, other = noisy_shot(), noisy_shot()
    other._plates[1001][16:48, 16:48] = 0.9

    a, b = (fill(engine, s, job_of(engine))[0].pixels for s in (shot, other))

    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "sampler", ["model", "ddim", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "unipc"]
)
def test_every_sampler_gives_the_same_bits_twice_even_after_a_cancel(engine, sampler):
    shot, job = noisy_shot(), job_of(engine, steps=3, sampler=sampler)
    before = fill(engine, shot, job)[0].pixels
    with pytest.raises(FillCancelled):
        fill(engine, shot, job, CancelAfter(engine_steps=2))

    np.testing.assert_array_equal(fill(engine, shot, job)[0].pixels, before)


class CancelAfter(RecordingWatch):
    """Cancels when the pipeline has told of so many steps."""

    def __init__(self, engine_steps):
        super().__init__()
        self.left = engine_steps

    def progress(self, phase, done, total):
        if phase == "generating":
            self.left -= 1
            if self.left == 0:
                self.cancelled.set()
        super().progress(phase, done, total)


def test_cancel_within_a_step_stops_before_the_step_ends(engine):
    class CancelInTheFirstStep(RecordingWatch):
        checks = 0

        def check(self):
            self.checks += 1
            if self.checks == 12:  # text encoder blocks come first, then the UNet's
                self.cancelled.set()
            super().check()

    watch = CancelInTheFirstStep()
    with pytest.raises(FillCancelled):
        fill(engine, noisy_shot(), job_of(engine, prompt="never used before"), watch)

    assert not [f for f in watch.fractions if f[0] == "generating"]


def test_progress_rises_to_the_end_over_takes_frames_and_steps(engine):
    watch = RecordingWatch()

    fill(engine, noisy_shot(frame_count=2), job_of(engine, seeds=(1, 2)), watch)

    told = [share for phase, share in watch.fractions if phase == "generating"]
    assert told == sorted(told)
    assert len(told) == 2 * 2 * 2
    assert told[-1] == 1


def test_locked_noise_is_the_same_for_equal_frames_and_free_noise_is_not(engine):
    shot = noisy_shot()
    still = ArrayShot([shot.plate(1001)] * 2, [shot.matte(1001)] * 2)

    locked = fill(engine, still, job_of(engine))
    free = fill(engine, still, job_of(engine, noise="per_frame"))

    np.testing.assert_array_equal(locked[0].pixels, locked[1].pixels)
    assert not np.array_equal(free[0].pixels, free[1].pixels)


def test_noise_per_frame_does_not_depend_on_where_a_job_was_resumed(engine):
    shot = noisy_shot(frame_count=3)
    whole = fill(engine, shot, job_of(engine, noise="per_frame"))

    (rest,) = fill(engine, shot, job_of(engine, noise="per_frame", done=(frozenset({1001, 1002}),)))

    np.testing.assert_array_equal(rest.pixels, whole[2].pixels)


def test_takes_are_the_same_whether_asked_for_alone_or_together(engine):
    shot = noisy_shot()
    together = fill(engine, shot, job_of(engine, seeds=(3, 4)))

    (alone,) = fill(engine, shot, job_of(engine, seeds=(4,)))

    np.testing.assert_array_equal(together[1].pixels, alone.pixels)


def test_an_empty_matte_leaves_the_plate_and_costs_no_step(engine):
    shot = noisy_shot()
    empty = ArrayShot([shot.plate(1001)], [np.zeros((64, 64), np.float32)])
    watch = RecordingWatch()

    (frame,) = fill(engine, empty, job_of(engine), watch)

    np.testing.assert_array_equal(frame.pixels, shot.plate(1001))
    assert not [f for f in watch.fractions if f[0] == "generating"]


def test_values_beyond_zero_to_one_do_not_break_the_model(engine):
    shot = noisy_shot()
    shot._plates[1001][0, :4] = [[-2.0] * 3, [50.0] * 3, [np.inf] * 3, [np.nan] * 3]
    clean = noisy_shot()
    clean._plates[1001][0, :4] = [[0.0] * 3, [1.0] * 3, [1.0] * 3, [0.0] * 3]

    a, b = (fill(engine, s, job_of(engine))[0].pixels for s in (shot, clean))

    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "text", ["brick " * 60, "кирпич " * 40, "壁 " * 90, "🧱 " * 80, "\x00\u202e\u200d" * 80]
)
def test_a_prompt_too_long_for_the_encoder_is_reported_with_its_length(engine, text):
    watch = RecordingWatch()

    fill(engine, noisy_shot(), job_of(engine, prompt=text), watch)

    (line,) = [line for line in watch.lines if "tokens long" in line]
    assert "first 227" in line  # three windows of 75, a start and an end
    count, limit = watch.notes["prompt_tokens"]["prompt, CLIP"].split(" of ")
    assert int(count) > int(limit) == 227


def test_a_prompt_that_fits_is_counted_and_not_complained_of(engine):
    watch = RecordingWatch()

    fill(engine, noisy_shot(), job_of(engine, negative="noise"), watch)

    assert not watch.lines
    assert set(watch.notes["prompt_tokens"]) == {"prompt, CLIP", "negative prompt, CLIP"}


def test_the_prompt_is_encoded_once_for_all_takes_and_frames(engine, monkeypatch):
    engine.prepare(RecordingWatch())
    encoder = engine._loaded.pipe.text_encoder
    calls = []
    hook = encoder.register_forward_pre_hook(lambda *_: calls.append(1))

    fill(engine, noisy_shot(frame_count=2), job_of(engine, prompt="new words", seeds=(1, 2)))
    hook.remove()

    assert len(calls) == 2  # the prompt and its negative


def test_working_at_another_size_is_told(engine):
    watch = RecordingWatch()

    fill(engine, noisy_shot(200, 300), job_of(engine), watch)

    assert "300 × 200" in watch.lines[0]
    assert watch.notes["model_size_px"] != [300, 200]


def test_strength_that_leaves_no_step_is_an_error_that_says_how_many(engine):
    with pytest.raises(InvalidOption, match="leaves no step"):
        fill(engine, noisy_shot(), job_of(engine, steps=2, strength=0.1))


def test_an_exhausted_device_is_out_of_memory(engine, monkeypatch):
    import torch

    engine.prepare(RecordingWatch())

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(engine._loaded.pipe.unet, "forward", full)

    with pytest.raises(OutOfMemory, match="frame 1001") as caught:
        fill(engine, noisy_shot(), job_of(engine))

    assert caught.value.retryable


def test_a_failure_inside_the_model_names_the_frame_and_the_cause(engine, monkeypatch):
    engine.prepare(RecordingWatch())

    def broken(*_, **__):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(engine._loaded.pipe.unet, "forward", broken)

    with pytest.raises(GenerationFailed, match=r"frame 1001.*mat1 and mat2"):
        fill(engine, noisy_shot(), job_of(engine))


def test_a_model_that_gives_no_numbers_is_an_error_not_black(engine, monkeypatch):
    import torch

    engine.prepare(RecordingWatch())
    unet = engine._loaded.pipe.unet
    monkeypatch.setattr(
        unet, "forward", lambda x, *_, **__: (torch.full_like(x[:, :4], float("nan")),)
    )

    with pytest.raises(GenerationFailed, match="no numbers"):
        fill(engine, noisy_shot(), job_of(engine))


def test_release_gives_the_model_back(tiny):
    import gc
    import weakref

    engine = engine_of(tiny(SD))
    engine.prepare(RecordingWatch())
    unet = weakref.ref(engine._loaded.pipe.unet)

    engine.release()
    gc.collect()

    assert unet() is None


def test_weights_in_half_precision_on_disk_run_on_the_cpu(copied):
    import torch
    from safetensors.torch import load_file, save_file

    folder = copied(SD)
    for file in folder.rglob("*.safetensors"):
        save_file(
            {k: v.to(torch.float16) for k, v in load_file(file).items()}, file, {"format": "pt"}
        )

    (frame,) = fill(engine_of(folder), noisy_shot(), job_of(engine_of(folder)))

    assert np.isfinite(frame.pixels).all()


def test_the_vae_stays_in_float32_when_the_rest_does_not(tiny):
    import torch

    from genai_fill_server.engines.diffusers.loading import load_pipeline

    model = engine_of(tiny(SD))._model
    pipe = load_pipeline(model.family, model.folder, model.card, torch.bfloat16)

    assert pipe.vae.dtype == torch.float32
    assert pipe.unet.dtype == torch.bfloat16
    image = torch.rand(1, 3, 64, 64)
    latents = pipe.vae.encode(image.to(torch.bfloat16)).latent_dist.mean
    assert latents.dtype == torch.bfloat16
    assert pipe.vae.decode(latents, return_dict=False)[0].dtype == torch.float32
    result = pipe(
        "x", image=image, mask_image=torch.ones(1, 1, 64, 64), height=64, width=64,
        num_inference_steps=2, output_type="np",
    )  # fmt: skip
    # More levels than bfloat16 has.
    assert len(np.unique(result.images)) > 1000


@pytest.mark.parametrize("damage", ["cut", "header", "empty", "shape"])
def test_damaged_weights_do_not_load_and_the_folder_is_named(copied, damage):
    folder = copied(SD)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = file.read_bytes()
    if damage == "shape":
        import torch
        from safetensors.torch import load_file, save_file

        weights = load_file(file)
        weights["conv_in.weight"] = torch.zeros(3, 3)
        save_file(weights, file, {"format": "pt"})
    else:
        file.write_bytes(
            {"cut": data[: len(data) // 2], "header": b"\xff" * 64 + data[64:], "empty": b""}[
                damage
            ]
        )

    with pytest.raises(ModelLoadFailed) as caught:
        engine_of(folder).prepare(RecordingWatch())

    assert str(folder) in caught.value.message


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (SD, "text_encoder"),
        (SD, "unet"),
        (SD, "vae"),
        ("flux2-klein", "text_encoder"),
        ("wan-vace", "text_encoder"),
        ("wan-vace", "transformer"),
    ],
)
def test_a_weight_that_no_file_holds_is_never_made_up(copied, name, part):
    from safetensors.torch import load_file, save_file

    folder = copied(name)
    (file,) = (folder / part).glob("*.safetensors")
    weights = load_file(file)
    lost = sorted(weights)[len(weights) // 2]
    del weights[lost]
    save_file(weights, file, {"format": "pt"})

    with pytest.raises(ModelLoadFailed, match="lack 1") as caught:
        engine_of(folder).prepare(RecordingWatch())

    assert lost.split(".")[-2] in caught.value.message


def test_a_pickle_is_refused_before_anything_is_loaded(copied):
    folder = copied(SD)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    engine = engine_of(folder)

    assert not engine.description.available
    assert "pickle" in engine.description.unavailable_reason
    with pytest.raises(ModelUnsafe):
        engine.prepare(RecordingWatch())


def test_a_model_that_turned_bad_after_it_was_listed_is_refused_all_the_same(copied):
    folder = copied(SD)
    engine = engine_of(folder)
    (folder / "unet" / "evil.py").write_text("")

    with pytest.raises(ModelUnsafe, match=r"evil\.py"):
        engine.prepare(RecordingWatch())


def test_a_missing_file_is_named_with_what_to_do(copied):
    folder = copied(SD)
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    engine = engine_of(folder)

    assert "vae" in engine.description.unavailable_reason
    with pytest.raises(ModelMissing, match="vae"):
        fill(engine, noisy_shot(), None)


def test_an_unknown_family_is_listed_and_refused_by_name(copied):
    folder = copied(SD)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionInpaint", "Mystery"))
    engine = engine_of(folder)

    assert not engine.description.available
    assert "MysteryPipeline" in engine.description.unavailable_reason
    with pytest.raises(EngineError, match="MysteryPipeline"):
        engine.prepare(RecordingWatch())


def test_a_non_commercial_model_runs_only_where_it_is_allowed(copied):
    folder = copied(SD)
    write_card(folder, licence="NC", commercial_use="no", native_px=64)

    refused, allowed = engine_of(folder), engine_of(folder, models__allow_non_commercial=True)

    assert "commercial" in refused.description.unavailable_reason
    with pytest.raises(EngineError, match="commercial"):
        refused.prepare(RecordingWatch())
    assert allowed.description.available
    assert allowed.description.commercial_use is CommercialUse.NO


def test_a_broken_card_makes_one_model_unavailable(copied):
    folder = copied(SD)
    (folder / "genai_fill_model.toml").write_text("=")

    assert "genai_fill_model.toml" in engine_of(folder).description.unavailable_reason


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "meta"])
def test_a_device_that_is_not_there_is_a_config_error(tiny, device):
    with pytest.raises(ConfigError, match=r"models\.device"):
        engine_of(tiny(SD), models__device=device).prepare(RecordingWatch())


def test_the_longest_time_without_a_look_for_cancel_is_short(engine):
    watch = RecordingWatch()
    fill(engine, noisy_shot(128, 128), job_of(engine), watch)

    assert watch.longest_silence_s < 2  # 0.3 s on an idle machine


def test_cancel_from_another_thread_ends_a_long_fill(engine):
    watch = RecordingWatch()
    threading.Timer(0.3, watch.cancelled.set).start()

    with pytest.raises(FillCancelled):
        fill(engine, noisy_shot(), job_of(engine, steps=150, seeds=tuple(range(16))), watch)


def test_a_large_crop_is_gone_over_at_full_size_and_a_small_one_is_not(engine):
    large, small = RecordingWatch(), RecordingWatch()

    fill(engine, noisy_shot(200, 200), job_of(engine), large)
    fill(engine, noisy_shot(64, 64), job_of(engine), small)

    assert "gone over at full size" in large.lines[0]
    steps = len([f for f in large.fractions if f[0] == "generating"])
    tiles = plan_tiles(noisy_shot(200, 200).matte(1001) > 0, engine._sizing())
    assert len(tiles) > 1
    assert steps == 2 + len(tiles)  # the fill and a step for each tile
    assert large.fractions[-1] == ("generating", 1.0)
    assert len([f for f in small.fractions if f[0] == "generating"]) == 2


def test_going_over_gives_detail_that_enlarging_cannot(engine):
    shot = noisy_shot(200, 200)

    soft = fill(engine, shot, job_of(engine, detail=0.0))[0].pixels[60:140, 60:140]
    sharp = fill(engine, shot, job_of(engine, detail=0.3))[0].pixels[60:140, 60:140]

    assert np.abs(np.diff(sharp, axis=0)).mean() > np.abs(np.diff(soft, axis=0)).mean()


def test_going_over_leaves_the_models_own_picture_round_the_hole(engine):
    shot = noisy_shot(200, 200)

    soft = fill(engine, shot, job_of(engine, detail=0.0))[0].pixels
    sharp = fill(engine, shot, job_of(engine, detail=0.3))[0].pixels

    outside = shot.matte(1001) == 0
    np.testing.assert_array_equal(sharp[outside], soft[outside])


def test_going_over_repeats_bit_for_bit(engine):
    shot = noisy_shot(200, 200)

    np.testing.assert_array_equal(*(fill(engine, shot, job_of(engine))[0].pixels for _ in range(2)))


def test_the_recipe_of_every_job_names_model_device_and_libraries(engine):
    import torch

    first, second = RecordingWatch(), RecordingWatch()
    fill(engine, noisy_shot(), job_of(engine, steps=1), first)
    fill(engine, noisy_shot(), job_of(engine, steps=1), second)

    facts = second.notes["diffusers"]
    assert facts == first.notes["diffusers"]
    assert facts["libraries"]["torch"] == torch.__version__
    assert (facts["device"], facts["precision"]) == ("cpu", "float32")
    assert len(facts["model"]) == 16

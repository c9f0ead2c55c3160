from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest

from genai_fill_contract.engine import EngineKind
from genai_fill_contract.errors import GenerationFailed
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.window_chain import Patch
from genai_fill_server.service.ports import FillCancelled
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import ArrayShot, noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

WINDOWS = {"window_frames": 9, "overlap_frames": 5}


@pytest.fixture(scope="module")
def engine(tiny):
    engine = engine_of(tiny("wan-vace"))
    yield engine
    engine.release()


def test_a_video_model_describes_its_windows(engine):
    description = engine.description

    assert description.kind is EngineKind.VIDEO
    assert description.frame_multiple == 4
    assert description.window_frames == 81
    assert description.size_multiple_px == 16


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8, 9, 10, 12, 14])
def test_as_many_frames_come_back_as_went_in(engine, count):
    shot = noisy_shot(48, 64, count)

    frames = fill(engine, shot, job_of(engine, steps=1, **WINDOWS))

    assert [f.frame for f in frames] == list(shot.frames)
    assert all(f.pixels.shape == (48, 64, 3) for f in frames)


@pytest.mark.parametrize("size", [(50, 61), (100, 130), (30, 20)])
def test_any_crop_size_is_filled_at_its_own_size(engine, size):
    frames = fill(engine, noisy_shot(*size, 2), job_of(engine, steps=1))

    assert all(f.pixels.shape == (*size, 3) for f in frames)
    assert all(np.isfinite(f.pixels).all() for f in frames)


def test_the_model_gets_windows_of_four_n_plus_one_and_never_a_smaller_picture(engine, monkeypatch):
    engine.prepare(RecordingWatch())
    pipe = engine._loaded.pipe
    seen = []
    encode = pipe.prepare_video_latents

    def spy(video, mask, *args):
        seen.append((tuple(video.shape), float(video.min()), sorted(mask.unique().tolist())))
        return encode(video, mask, *args)

    monkeypatch.setattr(pipe, "prepare_video_latents", spy)

    fill(engine, noisy_shot(48, 64, 11), job_of(engine, steps=1, **WINDOWS))

    assert [shape[2] for shape, _, _ in seen] == [9, 9]
    assert all(shape[3:] == (48, 64) for shape, _, _ in seen)
    assert all(low >= -1 for _, low, _ in seen)
    assert all(values in ([0.0, 1.0], [0.0], [1.0]) for _, _, values in seen)


def test_a_later_window_carries_on_from_what_was_made(engine, monkeypatch):
    engine.prepare(RecordingWatch())
    pipe = engine._loaded.pipe
    seen = []
    encode = pipe.prepare_video_latents

    def spy(video, mask, *args):
        seen.append((video.numpy().copy(), mask.numpy().copy()))
        return encode(video, mask, *args)

    monkeypatch.setattr(pipe, "prepare_video_latents", spy)

    fill(engine, noisy_shot(48, 64, 13), job_of(engine, steps=1, **WINDOWS))

    (first, first_mask), (second, second_mask) = seen
    assert first_mask.any(axis=(0, 1, 3, 4)).all()
    assert not second_mask[:, :, :5].any()
    assert second_mask[:, :, 5:].any(axis=(0, 1, 3, 4)).all()
    # Grey where there is nothing yet, made pixels in the anchors.
    assert first[0, :, 0, 24, 32] == pytest.approx(0, abs=1e-6)
    assert np.abs(second[0, :, 0, 24, 32]).max() > 1e-3


def test_what_is_under_the_hole_does_not_show_through(engine):
    shot, other = noisy_shot(48, 64, 2), noisy_shot(48, 64, 2)
    for frame in other.frames:
        other._plates[frame][12:36, 16:48] = 0.9

    a, b = (fill(engine, s, job_of(engine, steps=1)) for s in (shot, other))

    np.testing.assert_array_equal(a[0].pixels, b[0].pixels)


def test_a_resumed_take_has_the_same_bits_with_and_without_a_checkpoint(engine, tmp_path):
    shot = noisy_shot(48, 64, 17)
    job = job_of(engine, steps=1, **WINDOWS)
    whole = {f.frame: f.pixels for f in fill(engine, shot, job)}
    done = (frozenset(range(1001, 1011)),)

    for scratch in ("", str(tmp_path)):
        resumed = dataclasses.replace(job, done=done, scratch_dir=scratch)
        if scratch:
            stop_after(engine, shot, dataclasses.replace(job, scratch_dir=scratch), frame=1010)
            assert list(tmp_path.iterdir())
        rest = fill(engine, shot, resumed)

        assert [f.frame for f in rest] == list(range(1011, 1018))
        for filled in rest:
            np.testing.assert_array_equal(filled.pixels, whole[filled.frame])
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_saves_the_windows_that_are_done(engine, tmp_path):
    shot = noisy_shot(48, 64, 17)
    job = job_of(engine, steps=1, **WINDOWS)
    job = dataclasses.replace(job, scratch_dir=str(tmp_path))
    stop_after(engine, shot, job, frame=1008)
    watch = RecordingWatch()

    fill(engine, shot, dataclasses.replace(job, done=(frozenset(range(1001, 1009)),)), watch)

    assert [w["frames"] for w in watch.notes["windows"]] == ["1009-1017"]


def stop_after(engine, shot, job, frame):
    for filled in engine.fill(shot, job, RecordingWatch()):
        if filled.frame == frame:
            break


def test_takes_do_not_depend_on_each_other(engine):
    shot = noisy_shot(48, 64, 3)
    both = fill(engine, shot, job_of(engine, seeds=(1, 2), steps=1))

    alone = fill(engine, shot, job_of(engine, seeds=(2,), steps=1))

    for a, b in zip(both[3:], alone, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_frames_without_matte_are_the_plate_bit_for_bit(engine):
    shot = noisy_shot(48, 64, 5)
    shot._mattes[1003] = np.zeros((48, 64), np.float32)

    frames = fill(engine, shot, job_of(engine, steps=1))

    np.testing.assert_array_equal(frames[2].pixels, shot.plate(1003))


def test_a_shot_without_any_matte_costs_no_step(engine):
    plates = [noisy_shot(48, 64).plate(1001)] * 3
    shot = ArrayShot(plates, [np.zeros((48, 64), np.float32)] * 3)
    watch = RecordingWatch()

    frames = fill(engine, shot, job_of(engine), watch)

    assert len(frames) == 3
    assert not [f for f in watch.fractions if f[0] == "generating"]


def test_padding_and_windows_are_told_to_the_artist(engine):
    short, long = RecordingWatch(), RecordingWatch()

    fill(engine, noisy_shot(48, 64, 3), job_of(engine, steps=1), short)
    fill(engine, noisy_shot(48, 64, 13), job_of(engine, steps=1, **WINDOWS), long)

    assert any("takes 5 frames for the 3" in line for line in short.lines)
    assert any("2 windows of 9 frames" in line for line in long.lines)


def test_drift_and_colour_match_of_every_window_are_noted(engine):
    watch = RecordingWatch()

    fill(engine, noisy_shot(48, 64, 13), job_of(engine, steps=1, **WINDOWS), watch)

    first, second = watch.notes["windows"]
    assert first["anchors"] == 0
    assert first["drift"] is None
    assert second["anchors"] == 5
    assert len(second["drift"]["mean"]) == 3
    assert second["drift"]["contrast"] > 0


def test_cancel_within_a_window_leaves_the_engine_usable(engine):
    class CancelSoon(RecordingWatch):
        checks = 0

        def check(self):
            self.checks += 1
            if self.checks == 40:
                self.cancelled.set()
            super().check()

    shot, job = noisy_shot(48, 64, 5), job_of(engine)
    before = fill(engine, shot, job)
    with pytest.raises(FillCancelled):
        fill(engine, shot, job, CancelSoon())

    for a, b in zip(before, fill(engine, shot, job), strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_progress_reaches_the_end(engine):
    watch = RecordingWatch()

    fill(engine, noisy_shot(48, 64, 13), job_of(engine, seeds=(1, 2), **WINDOWS), watch)

    told = [share for phase, share in watch.fractions if phase == "generating"]
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_model_that_loses_frames_is_an_error(engine, monkeypatch):
    engine.prepare(RecordingWatch())
    processor = engine._loaded.pipe.video_processor
    complete = processor.postprocess_video
    monkeypatch.setattr(processor, "postprocess_video", lambda *a, **k: complete(*a, **k)[:, :-1])

    with pytest.raises(GenerationFailed, match="4 frames"):
        fill(engine, noisy_shot(48, 64, 5), job_of(engine, steps=1))


def test_a_prompt_of_512_tokens_is_read_whole(engine):
    watch = RecordingWatch()
    shot = noisy_shot(48, 64, 1)
    long = "a " * 200
    a = fill(engine, shot, job_of(engine, prompt=long + "x", steps=1), watch)
    b = fill(engine, shot, job_of(engine, prompt=long + "y", steps=1))

    assert not [line for line in watch.lines if "tokens long" in line]
    assert not np.array_equal(a[0].pixels, b[0].pixels)


def patch_of(value, size=(48, 64), alpha=1.0):
    return (np.full((*size, 3), value, np.float32), np.full(size, alpha, np.float32))


def test_an_approved_frame_comes_back_as_it_is_and_leads_the_others(engine):
    shot = noisy_shot(48, 64, 5)
    led = shot.with_inputs({InputRole.PATCH: {1003: patch_of(0.8)}})

    plain = fill(engine, shot, job_of(engine))
    frames = fill(engine, led, job_of(engine))

    inside = shot.matte(1003) > 0
    np.testing.assert_allclose(frames[2].pixels[inside], 0.8, atol=1e-6)
    for a, b in ((frames[i], plain[i]) for i in (0, 1, 3, 4)):
        assert not np.array_equal(a.pixels, b.pixels)


def test_a_patch_without_alpha_is_none(engine):
    shot = noisy_shot(48, 64, 2)
    given = shot.with_inputs({InputRole.PATCH: {1001: patch_of(0.8, alpha=0.0)}})

    for a, b in zip(
        fill(engine, shot, job_of(engine)), fill(engine, given, job_of(engine)), strict=True
    ):
        np.testing.assert_array_equal(a.pixels, b.pixels)


class CountingWatch(RecordingWatch):
    """Counts the patches in memory at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def progress(self, phase, done, total) -> None:
        super().progress(phase, done, total)
        self.most = max(self.most, sum(type(each) is Patch for each in gc.get_objects()))


def most_patches_held(engine, count):
    """How many are in memory at once where every second frame of a shot is approved."""
    shot = noisy_shot(48, 64, count)
    given = shot.with_inputs({InputRole.PATCH: {f: patch_of(0.3) for f in list(shot.frames)[::2]}})
    watch = CountingWatch()
    frames = fill(engine, given, job_of(engine, steps=1, **WINDOWS), watch)
    assert [f.frame for f in frames] == list(shot.frames)
    return watch.most


def test_approved_frames_in_memory_are_those_of_a_window_however_long_the_shot(engine):
    assert most_patches_held(engine, 13) == most_patches_held(engine, 33) == 5


def test_when_every_frame_is_approved_nothing_is_generated(engine):
    shot = noisy_shot(48, 64, 3)
    given = shot.with_inputs({InputRole.PATCH: {f: patch_of(0.3) for f in shot.frames}})
    watch = RecordingWatch()

    frames = fill(engine, given, job_of(engine), watch)

    inside = shot.matte(1001) > 0
    assert all(np.allclose(f.pixels[inside], 0.3, atol=1e-6) for f in frames)
    assert not [f for f in watch.fractions if f[0] == "generating"]


def test_the_model_sees_a_reference_whole_and_centred_on_white(engine, monkeypatch):
    engine.prepare(RecordingWatch())
    pipe, seen = engine._loaded.pipe, []
    encode = pipe.prepare_video_latents

    def spy(video, mask, references, *args):
        seen.append(references[0][0].numpy().copy())
        return encode(video, mask, references, *args)

    monkeypatch.setattr(pipe, "prepare_video_latents", spy)
    tall = np.empty((60, 30, 3), np.float32)
    tall[:] = (0.25, 0.5, 1.0)
    shot = noisy_shot(64, 64, 1).with_inputs(
        {InputRole.REFERENCE: {1001: (tall, np.ones((60, 30), np.float32))}}
    )

    fill(engine, shot, job_of(engine, steps=1))

    (reference,) = seen
    assert reference.shape == (3, 64, 64)
    assert (reference[:, :, :16] == 1).all()
    assert (reference[:, :, 48:] == 1).all()
    np.testing.assert_allclose(reference[:, 32, 32], (-0.5, 0.0, 1.0), atol=0.02)


def test_the_first_window_of_a_new_take_encodes_no_plate_again(engine):
    engine.prepare(RecordingWatch())
    vae, encodings = engine._loaded.pipe.vae, engine._loaded.encodings
    shot, calls = noisy_shot(48, 64, 5, seed=9), []
    encodings.clear()
    hook = vae.encoder.register_forward_pre_hook(lambda *_: calls.append(1))

    fill(engine, shot, job_of(engine, steps=1, seeds=(1,)))
    first = len(calls)
    both = fill(engine, shot, job_of(engine, steps=1, seeds=(1, 2)))
    assert first > 0
    assert len(calls) == first

    encodings.clear()
    anew = fill(engine, shot, job_of(engine, steps=1, seeds=(2,)))
    hook.remove()

    assert len(calls) == 2 * first
    for kept, made in zip(both[5:], anew, strict=True):
        np.testing.assert_array_equal(kept.pixels, made.pixels)

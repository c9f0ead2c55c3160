"""Windows of frames gone over at full size, and what a video model is told of the hole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers import video_detail
from genai_fill_server.engines.diffusers.picture import shaped
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

SIZE = (90, 120)
WINDOWS = {"window_frames": 5, "overlap_frames": 2}


@pytest.fixture(scope="module")
def engine(tiny):
    engine = engine_of(tiny("wan-vace"))
    engine.prepare(RecordingWatch())
    yield engine
    engine.release()


class Spy:
    """What the pipeline is given, call by call."""

    def __init__(self, engine, monkeypatch):
        pipe, self.clips = engine._loaded.pipe, []
        encode, start = pipe.prepare_video_latents, pipe.prepare_latents
        self.latents, self.steps = [], []
        monkeypatch.setattr(pipe, "prepare_video_latents", self._seen(encode))

        def prepare(*args):
            self.latents.append(args[-1])
            self.steps.append([float(t) for t in pipe.scheduler.timesteps])
            return start(*args)

        monkeypatch.setattr(pipe, "prepare_latents", prepare)

    def _seen(self, encode):
        def seen(video, mask, references, *args):
            self.clips.append((video.numpy().copy(), mask.numpy().copy(), references))
            return encode(video, mask, references, *args)

        return seen


def test_a_large_crop_is_gone_over_in_tiles_of_all_frames(engine, monkeypatch):
    spy, watch = Spy(engine, monkeypatch), RecordingWatch()
    shot = noisy_shot(*SIZE, 5)

    fine = fill(engine, shot, job_of(engine, steps=4, detail=0.5), watch)
    calls = len(spy.clips)
    soft = fill(engine, shot, job_of(engine, steps=4, detail=0.0))

    assert calls > 2
    assert any("in tiles" in line for line in watch.lines)
    assert spy.latents[0] is None
    assert all(latents is not None for latents in spy.latents[1:calls])
    assert all(clip.shape[2] == 5 for clip, _, _ in spy.clips[:calls])
    assert [len(steps) for steps in spy.steps[:calls]] == [4] + [2] * (calls - 1)
    hole = shot.matte(1001) > 0
    for a, b in zip(fine, soft, strict=True):
        assert a.pixels.shape == (*SIZE, 3)
        assert (a.pixels[hole] != b.pixels[hole]).mean() > 0.9
        np.testing.assert_array_equal(a.pixels[~hole], b.pixels[~hole])


def test_a_late_start_goes_on_where_the_steps_that_are_left_out_would_be(engine, monkeypatch):
    spy = Spy(engine, monkeypatch)

    fill(engine, noisy_shot(*SIZE, 1), job_of(engine, steps=6, detail=0.5))

    assert spy.steps[1] == spy.steps[0][-3:]


def test_the_model_is_not_shown_what_it_is_to_replace_in_a_tile_either(engine):
    shot, other = noisy_shot(*SIZE, 3), noisy_shot(*SIZE, 3)
    for frame in other.frames:
        other._plates[frame][shot.matte(frame) > 0] = 0.9

    for a, b in zip(*(fill(engine, s, job_of(engine)) for s in (shot, other)), strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_a_resumed_take_at_full_size_has_the_same_bits(engine, tmp_path):
    shot = noisy_shot(*SIZE, 8)
    job = job_of(engine, steps=2, **WINDOWS)
    whole = {f.frame: f.pixels for f in fill(engine, shot, job)}
    kept = dataclasses.replace(job, scratch_dir=str(tmp_path))
    for filled in engine.fill(shot, kept, RecordingWatch()):
        if filled.frame == 1004:
            break
    done = (frozenset(range(1001, 1005)),)
    watch = RecordingWatch()

    for scratch in ("", str(tmp_path)):
        again = dataclasses.replace(job, done=done, scratch_dir=scratch)
        for filled in fill(engine, shot, again, watch):
            np.testing.assert_array_equal(filled.pixels, whole[filled.frame])

    assert not list(tmp_path.iterdir())
    assert len(watch.notes["windows"]) < 3, "the second time it went on from what was kept"


def test_a_later_window_keeps_what_was_gone_over_before(engine, monkeypatch):
    spy = Spy(engine, monkeypatch)

    fill(engine, noisy_shot(*SIZE, 8), job_of(engine, steps=2, **WINDOWS))

    later = [mask for _, mask, _ in spy.clips if not mask[:, :, 0].any()]
    assert len(later) > 2, "anchors of the base and of each tile have no hole"


def test_tiles_of_a_clip_leave_no_seam(engine, monkeypatch):
    shot = noisy_shot(150, 180, 1)
    job = job_of(engine, steps=2, detail=0.5)
    monkeypatch.setattr(engine, "_generated", lambda work, clip, asked: disagreeing(clip, asked))
    monkeypatch.setattr(video_detail, "match_to_kept", lambda *_: Untouched())

    (frame,) = fill(engine, shot, job)

    rows, columns = np.nonzero(shot.matte(1001))
    inside = frame.pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    step = max(np.abs(np.diff(inside, axis=axis)).max() for axis in (0, 1))
    # Neighbouring tiles differ by 0.2: without fading that would be the step.
    assert np.ptp(inside) > 0.15
    assert step < 0.04


class Untouched:
    """A colour match that is none."""

    def applied(self, pixels):
        return pixels


def disagreeing(clip, asked):
    """A model whose every call makes another flat grey."""
    frames = len(asked.window.frames)
    return np.full((frames, *clip.video.shape[1:]), 0.4 + 0.2 * (asked.seed % 2), np.float32)


def test_without_main_memory_for_it_detail_is_left_out_and_that_is_said(engine, monkeypatch):
    monkeypatch.setattr(video_detail, "MOST_BYTES", 1000)
    watch, shot = RecordingWatch(), noisy_shot(*SIZE, 2)

    made = fill(engine, shot, job_of(engine, detail=0.5), watch)
    soft = fill(engine, shot, job_of(engine, detail=0.0))

    assert any("Detail is left out" in line for line in watch.lines)
    assert "main memory" in watch.notes["detail"]
    assert any("resized back" in line for line in watch.lines)
    for a, b in zip(made, soft, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def patch_of(value, size=SIZE):
    return np.full((*size, 3), value, np.float32), np.ones(size, np.float32)


@pytest.mark.parametrize("detail", [0.0, 0.5])
def test_an_approved_frame_of_a_large_crop_comes_back_as_sharp_as_it_was(engine, detail):
    pixels = np.random.default_rng(3).random((*SIZE, 3), dtype=np.float32)
    shot = noisy_shot(*SIZE, 3)
    given = shot.with_inputs({InputRole.PATCH: {1002: (pixels, np.ones(SIZE, np.float32))}})

    frames = fill(engine, given, job_of(engine, detail=detail))

    inside = shot.matte(1002) > 0
    np.testing.assert_array_equal(frames[1].pixels[inside], pixels[inside])


def test_every_nth_approved_frame_is_kept_and_the_others_are_made_anew(engine):
    shot = noisy_shot(48, 64, 5)
    patches = {frame: patch_of(0.8, (48, 64)) for frame in shot.frames}
    given = shot.with_inputs({InputRole.PATCH: patches})
    watch = RecordingWatch()

    frames = fill(engine, given, job_of(engine, keep_every=2), watch)

    inside = shot.matte(1001) > 0
    kept = [bool(np.allclose(f.pixels[inside], 0.8, atol=1e-6)) for f in frames]
    assert kept == [True, False, True, False, True]
    assert watch.notes["kept_frames"] == [1001, 1003, 1005]
    assert any("1001" in line and "1005" in line for line in watch.lines)


def test_a_hull_or_a_box_is_what_the_model_is_told_to_fill(engine, monkeypatch):
    spy, shot = Spy(engine, monkeypatch), noisy_shot(48, 64, 1)
    matte = np.zeros((48, 64), np.float32)
    matte[10:14, 10:40] = 1
    matte[10:40, 10:14] = 1
    shot._mattes[1001] = matte

    for shape in ("matte", "hull", "box"):
        fill(engine, shot, job_of(engine, steps=1, hole_shape=shape))

    holes = [mask[0, 0, 0] > 0 for _, mask, _ in spy.clips]
    areas = [int(hole.sum()) for hole in holes]
    assert areas[0] == int((matte > 0).sum())
    assert areas[0] < areas[1] < areas[2] == 30 * 30
    assert all(hole[matte > 0].all() for hole in holes)


def test_no_hole_has_no_shape():
    empty = np.zeros((4, 4), bool)

    assert not shaped(empty, "hull").any()
    assert not shaped(empty, "box").any()


def test_several_frames_of_the_reference_are_shown_when_asked_for(engine, monkeypatch):
    spy, shot = Spy(engine, monkeypatch), noisy_shot(48, 64, 5)
    pictures = {
        frame: (np.full((20 + frame, 30, 3), frame / 10, np.float32), np.ones((20 + frame, 30)))
        for frame in (1, 2, 3)
    }
    given = shot.with_inputs({InputRole.REFERENCE: pictures})

    one = fill(engine, given, job_of(engine, steps=1))
    two = fill(engine, given, job_of(engine, steps=1, reference_frames=2))

    assert [len(references[0]) for _, _, references in spy.clips] == [1, 2]
    shown = [float(each[0, 24, 32]) for each in spy.clips[1][2][0]]
    np.testing.assert_allclose(shown, [-0.8, -0.6], atol=1e-5)
    assert one[0].pixels.shape == two[0].pixels.shape == (48, 64, 3)
    assert not np.array_equal(one[0].pixels, two[0].pixels)


def test_a_window_takes_no_more_references_than_it_has_room_for(engine, monkeypatch):
    spy, shot = Spy(engine, monkeypatch), noisy_shot(48, 64, 1)
    pictures = {frame: patch_of(0.5, (20, 30)) for frame in (1, 2, 3)}
    given = shot.with_inputs({InputRole.REFERENCE: pictures})

    fill(engine, given, job_of(engine, steps=1, reference_frames=3))

    assert [len(references[0]) for _, _, references in spy.clips] == [1]

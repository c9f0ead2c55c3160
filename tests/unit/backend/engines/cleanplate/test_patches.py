"""Painted and approved frames, carried through a shot whose motion is known."""

import itertools

import numpy as np
import pytest

from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import QuietWatch
from tests.fakes.known_motion import FIRST, KnownMotion, TwoPlanes, centroid_near, dots_at

PAINT = 1005


def fill(shot, done=(), watch=None, **options):
    (engine,) = create({"worker.threads": 1})
    watch = watch or QuietWatch()
    engine.prepare(watch)
    job = EngineJob(seeds=(7,), options=engine.description.resolve(options), done=done)
    return {made.frame: made for made in engine.fill(shot, job, watch)}


def dots_of(scene, frame=PAINT):
    """Four points inside the matte of ``frame``."""
    offsets = np.array([(-10, -8), (9, -9), (-8, 10), (10, 9)], np.float64)
    return scene.centre(frame) + offsets


def painted(scene, frame=PAINT, colour=(4.0, 0.05, 0.05)):
    """The background with dots on it, and an alpha over the matte."""
    shape = (scene.height, scene.width)
    return dots_at(shape, dots_of(scene, frame), colour, over=scene.background(frame)), scene.matte(
        frame
    )


def test_a_patch_is_kept_on_its_own_frame():
    scene = KnownMotion()
    rgb, alpha = painted(scene)
    made = fill(scene.shot().with_inputs({InputRole.PATCH: {PAINT: (rgb, alpha)}}))[PAINT]
    inside = alpha > 0
    np.testing.assert_allclose(made.pixels[inside], rgb[inside], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(made.pixels[~inside], scene.shot().plate(PAINT)[~inside])


def test_a_patch_is_carried_within_a_pixel_wherever_it_is_seen():
    scene = KnownMotion()
    shot = scene.shot().with_inputs({InputRole.PATCH: {PAINT: painted(scene)}})
    worst = 0.0
    for frame, made in fill(shot).items():
        truth = scene.moved(dots_of(scene), PAINT, frame)
        for point in truth:
            worst = max(worst, float(np.hypot(*(centroid_near(made.pixels, point) - point))))
    assert worst < 0.5


def test_a_patch_follows_the_exposure_of_the_shot():
    scene = KnownMotion(gain=1.06)
    shot = scene.shot().with_inputs({InputRole.PATCH: {PAINT: painted(scene)}})
    made = fill(shot)
    for frame in (FIRST, scene.frames[-1]):
        hole = scene.matte(frame) > 0
        dots = dots_at(hole.shape, scene.moved(dots_of(scene), PAINT, frame))[..., 0] > 0.004
        calm = hole & ~dots
        ratio = np.median(made[frame].pixels[calm] / scene.background(frame)[calm])
        assert abs(ratio - 1) < 0.04


def test_where_a_patch_does_not_hold_the_shot_gives_its_own_pixels():
    scene = KnownMotion(slide_px=(7.0, 0.0))
    rgb, alpha = painted(scene, FIRST)
    green = np.broadcast_to(np.array([0.0, 3.0, 0.0], np.float32), rgb.shape).copy()
    alpha[:, : int(scene.centre(FIRST)[0])] = 0  # the right half only
    shot = scene.shot().with_inputs({InputRole.PATCH: {FIRST: (green, alpha)}})
    made = fill(shot)[FIRST].pixels
    hole = scene.matte(FIRST) > 0
    np.testing.assert_allclose(made[alpha > 0], green[alpha > 0], rtol=1e-4, atol=1e-4)
    left = hole & (alpha == 0)
    error = np.abs(made[left] - scene.background(FIRST)[left])
    assert np.median(error) < 0.02


def test_the_nearer_of_two_patches_shows_and_they_dissolve_half_way():
    scene = KnownMotion(frames=21)
    first, last = FIRST, scene.frames[-1]
    size = (scene.height, scene.width, 3)

    def flat(value):
        return np.full(size, value, np.float32)

    shot = scene.shot().with_inputs(
        {
            InputRole.PATCH: {
                first: (flat(0.1), scene.matte(first)),
                last: (flat(1.0), scene.matte(last)),
            }
        }
    )
    made = fill(shot, match_lighting=False)
    centres = []
    for frame in scene.frames:
        x, y = np.rint(scene.centre(frame)).astype(int)
        centres.append(float(made[frame].pixels[y, x].mean()))
    assert centres[3] == pytest.approx(0.1, rel=0.02)
    assert centres[-4] == pytest.approx(1.0, rel=0.02)
    assert 0.15 < centres[10] < 0.9
    assert all(b >= a - 1e-4 for a, b in itertools.pairwise(centres))


def test_a_resumed_job_carries_the_same_bits():
    scene = KnownMotion(frames=8)
    given = {InputRole.PATCH: {PAINT: painted(scene)}}
    whole = fill(scene.shot().with_inputs(given))
    done = frozenset(range(FIRST, FIRST + 5))
    rest = fill(scene.shot().with_inputs(given), done=(done,))
    assert sorted(rest) == [1006, 1007, 1008]
    for frame, made in rest.items():
        np.testing.assert_array_equal(made.pixels, whole[frame].pixels)


def test_a_patch_goes_past_frames_that_are_missing():
    scene = KnownMotion()
    shot = scene.shot(missing=frozenset({1003})).with_inputs(
        {InputRole.PATCH: {PAINT: painted(scene)}}
    )
    (engine,) = create({"worker.threads": 1})
    from genai_fill_server.engines.cleanplate.description import CleanPlateOptions
    from genai_fill_server.engines.cleanplate.outfit import on_cpu
    from genai_fill_server.engines.cleanplate.run import ShotRun

    engine.prepare(QuietWatch())
    with ShotRun(shot, on_cpu(CleanPlateOptions()), (1,), QuietWatch(), 1) as run:
        ((_, pixels, _),) = run.frame(1001, [0])
    for point in scene.moved(dots_of(scene), PAINT, 1001):
        assert np.hypot(*(centroid_near(pixels, point) - point)) < 0.5


def test_a_patch_that_no_plate_frame_goes_with_is_told():
    scene = KnownMotion(frames=4)
    watch = QuietWatch()
    given = {InputRole.PATCH: {2000: painted(scene, FIRST)}}
    made = fill(scene.shot().with_inputs(given), watch=watch)
    plain = fill(scene.shot())
    assert any("patch" in line for line in watch.lines)
    for frame in made:
        np.testing.assert_array_equal(made[frame].pixels, plain[frame].pixels)


def test_the_origin_layer_says_which_patch_a_pixel_is_from():
    scene = KnownMotion(frames=6)
    shot = scene.shot().with_inputs({InputRole.PATCH: {PAINT: painted(scene)}})
    made = fill(shot, report_layers=True)[FIRST]
    x, y = np.rint(scene.centre(FIRST)).astype(int)
    assert made.layers["origin"][y, x] == PAINT - FIRST
    assert made.layers["invented"][y, x] == 0


@pytest.mark.parametrize("on_near", [True, False])
def test_a_patch_moves_with_the_plane_that_it_lies_on(on_near):
    scene = TwoPlanes(on_near)
    shot = scene.shot().with_inputs({InputRole.PATCH: {PAINT: painted(scene)}})
    for frame, made in fill(shot).items():
        for point in scene.moved(dots_of(scene), PAINT, frame):
            assert np.hypot(*(centroid_near(made.pixels, point, 8) - point)) < 0.5


class BothPlanes(TwoPlanes):
    """Two mattes: one moves with the near plane, one with the far."""

    def __init__(self):
        super().__init__(on_near=True)
        self._other._centre = np.array([self.width * 0.5, self.height * 0.2])

    def dots(self, frame):
        """Where the dots painted at `PAINT` belong, on either plane."""
        near = self.moved(dots_of(self), PAINT, frame)
        far = self._other.moved(dots_of(self._other), PAINT, frame)
        return np.concatenate([near, far])

    def matte(self, frame):
        return np.maximum(super().matte(frame), self._other.matte(frame))


def test_each_part_of_a_patch_moves_with_the_plane_that_this_part_lies_on():
    scene = BothPlanes()
    over = scene.background(PAINT)
    picture = dots_at((scene.height, scene.width), scene.dots(PAINT), over=over)
    shot = scene.shot().with_inputs({InputRole.PATCH: {PAINT: (picture, scene.matte(PAINT))}})
    for frame, made in fill(shot).items():
        for point in scene.dots(frame):
            assert np.hypot(*(centroid_near(made.pixels, point, 8) - point)) < 0.75


def test_the_recipe_tells_patched_pixels_from_real_ones():
    scene = KnownMotion(frames=6)
    watch = QuietWatch()
    fill(scene.shot().with_inputs({InputRole.PATCH: {PAINT: painted(scene)}}), watch=watch)
    facts = watch.notes["cleanplate"]
    assert facts["patched_percent"] > 95
    assert facts["real_percent"] < 5
    plain = QuietWatch()
    fill(scene.shot(), watch=plain)
    assert plain.notes["cleanplate"]["patched_percent"] == 0


def test_frames_of_a_painted_sequence_on_which_nothing_is_painted_do_not_count():
    scene = KnownMotion(frames=10)
    rgb, alpha = painted(scene, 1001)
    nothing = np.zeros_like(rgb), np.zeros_like(alpha)
    sequence = {1001: (rgb, alpha)} | dict.fromkeys(range(1002, 1011), nothing)
    made = fill(scene.shot().with_inputs({InputRole.PATCH: sequence}))
    alone = fill(scene.shot().with_inputs({InputRole.PATCH: {1001: (rgb, alpha)}}))
    for frame in scene.frames:
        np.testing.assert_array_equal(made[frame].pixels, alone[frame].pixels)

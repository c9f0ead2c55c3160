import os
import subprocess
import sys

import numpy as np
import pytest

from genai_fill_server.domain.grain import GrainProfile, measure_grain, synthesise_grain

SIZE = (320, 480)
EVERYWHERE = np.ones(SIZE, bool)


def film(seed, tap=0.0, slope=0.05, texture=0.0):
    """A smooth picture whose grain grows with brightness, and its grain's σ."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    clean = np.repeat((0.05 + 0.9 * x / SIZE[1])[..., None], 3, axis=2)
    if texture:
        clean[: SIZE[0] // 2] += texture * (((x + y) % 4 < 2)[: SIZE[0] // 2, :, None] - 0.5)
    noise = rng.standard_normal((3, SIZE[0] + 2, SIZE[1] + 2))
    rows = noise[:, 1:-1] + tap * (noise[:, :-2] + noise[:, 2:])
    noise = (rows[..., 1:-1] + tap * (rows[..., :-2] + rows[..., 2:])) / (1 + 2 * tap * tap)
    sigma = 0.005 + slope * clean
    return (clean + sigma * noise.transpose(1, 2, 0)).astype(np.float32), clean


@pytest.mark.parametrize("tap", [0.0, 0.25, 0.5])
def test_grain_is_measured_by_brightness_whatever_its_size(tap):
    image, clean = film(1, tap)
    profile = measure_grain(image, EVERYWHERE)
    measured = profile.sigma_at(clean.astype(np.float32))
    middle = (slice(None), slice(60, 420))
    ratio = measured[middle] / (0.005 + 0.05 * clean[middle])
    assert 0.75 < ratio.mean() < 1.25
    assert profile.tap[1] == pytest.approx(tap, abs=0.12)


def test_texture_is_not_taken_for_grain():
    image, _ = film(2, texture=0.2)
    profile = measure_grain(image, EVERYWHERE)
    textured = profile.sigma_at(np.full((1, 1, 3), 0.3, np.float32))[0, 0]
    assert (textured < 0.03).all()  # the grain is 0.02, the texture alone 0.1


def test_made_grain_has_the_measured_strength_and_size():
    image, clean = film(3, tap=0.3)
    profile = measure_grain(image, EVERYWHERE)
    smooth = clean.astype(np.float32)
    regrained = smooth + synthesise_grain(smooth, profile, GrainProfile(), seed=1, frame=1)
    again = measure_grain(regrained, EVERYWHERE)
    level = np.full((1, 1, 3), 0.5, np.float32)
    np.testing.assert_allclose(again.sigma_at(level), profile.sigma_at(level), rtol=0.2)
    assert again.tap[0] == pytest.approx(profile.tap[0], abs=0.1)


def test_a_fill_that_has_the_grain_already_gets_none():
    image, _ = film(4)
    profile = measure_grain(image, EVERYWHERE)
    assert (synthesise_grain(image, profile, profile, 1, 1) == 0).all()


def test_grain_lives_from_frame_to_frame_and_seed_to_seed_without_drift():
    image, _ = film(5)
    profile = measure_grain(image, EVERYWHERE)
    one = synthesise_grain(image, profile, GrainProfile(), 7, 1001)
    for other in (
        synthesise_grain(image, profile, GrainProfile(), 7, 1002),
        synthesise_grain(image, profile, GrainProfile(), 8, 1001),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.01
    again = synthesise_grain(image, profile, GrainProfile(), 7, 1001)
    np.testing.assert_array_equal(one, again)
    assert abs(one.mean()) < 3e-4


def test_negative_frames_and_broken_pixels_are_no_trouble():
    image, _ = film(6)
    profile = measure_grain(image, EVERYWHERE)
    image[10, 10] = np.nan
    grain = synthesise_grain(image, profile, GrainProfile(), 0, -5)
    assert np.isfinite(grain).all()


def test_too_little_to_measure_means_no_grain():
    image, _ = film(7)
    profile = measure_grain(image, np.zeros(SIZE, bool))
    assert profile.is_empty
    assert (synthesise_grain(image, profile, GrainProfile(), 1, 1) == 0).all()


PROGRAM = """
import hashlib, numpy as np
from genai_fill_server.domain.grain import GrainProfile, synthesise_grain
image = np.linspace(0, 2, 96 * 64 * 3, dtype=np.float32).reshape(96, 64, 3)
profile = GrainProfile(((0.1, 0.1, 0.1), (1, 1, 1)), ((0.01,) * 3, (0.05,) * 3), (0.2,) * 3)
grain = synthesise_grain(image, profile, GrainProfile(), 3, 1001)
print(hashlib.sha256(grain.tobytes()).hexdigest())
"""


def test_the_same_bits_at_any_thread_count():
    def run(threads):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        return subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True
        ).stdout

    assert run("1") == run("4") != b""

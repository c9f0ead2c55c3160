"""What is borrowed is never brighter or darker than what light can explain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from genai_fill_contract.plate import FrameRange
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.alignment import grid_of
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.encoding import Levels, decode, encode, without_broken
from genai_fill_server.engines.cleanplate.lighting import _gain_of, log_gain
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.engines.cleanplate.transfer import within_reason
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import disc, known_shot

WIDTH, HEIGHT, FRAMES = 96, 64, 5
NOISE = cv2.GaussianBlur(np.random.default_rng(3).standard_normal((60, 80, 3)), (0, 0), 2.0)
LIT = (0.2 * np.exp2(NOISE / NOISE.std())).astype(np.float32)
EVERYWHERE = np.ones(LIT.shape[:2], np.float32)
FLOOR = np.float32(1e-5)


def sliding(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return plates and mattes: strips of layers far apart in light slide over each other."""
    random = np.random.default_rng(seed)
    layers = []
    for times in (1.0, 100.0, 1.0):
        noise = random.uniform(0, 1, (HEIGHT, WIDTH + 200, 3)).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), float(random.uniform(0.6, 3)))
        noise = (noise - noise.mean()) / noise.std()
        layers.append((times * (0.2 * np.exp(0.4 * noise) - 0.15)).astype(np.float32))
    speeds = random.uniform(-8, 8, 3)
    columns = np.arange(WIDTH)
    plates = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.float32)
    mattes = np.zeros((FRAMES, HEIGHT, WIDTH), np.float32)
    for frame in range(FRAMES):
        for number, (layer, speed) in enumerate(zip(layers, speeds, strict=True)):
            at = np.rint(columns + 100 + speed * (frame - FRAMES / 2)).astype(np.int64)
            shown = (at // 40) % 3 == number
            plates[frame][:, shown] = layer[:, at[shown]]
        mattes[frame] = disc(20 + 12.0 * frame, 32, 22, WIDTH, HEIGHT)
    return np.where(mattes[..., None] > 0, np.float32(0.9), plates), mattes


CASES = [("none", 28), ("none", 47), ("none", 95), ("dense", 96), ("homography", 107)]


@pytest.mark.parametrize(("motion", "seed"), CASES)
def test_layers_that_slide_over_each_other_lend_no_light(motion, seed):
    plates, mattes = sliding(seed)
    shot = ArrayShot(plates, mattes, frames=FrameRange(1003, 1003))
    engine = create({"worker.threads": 2})[0]

    job = EngineJob((1,), options={"motion": motion})
    (frame,) = engine.fill(shot, job, QuietWatch())

    known, filled = plates[mattes <= 0], frame.pixels[mattes[2] > 0]
    assert filled.max() <= 1.5 * known.max()
    assert filled.min() >= 1.5 * known.min()


@pytest.mark.parametrize("stops", [-3.0, -1.0, 0.06, 1.0, 3.0])
@pytest.mark.parametrize("grain", [0.0, 0.02])
def test_a_change_of_exposure_is_followed_whole(stops, grain):
    noise = grain * np.random.default_rng(4).standard_normal(LIT.shape)
    wanted = (LIT + noise).astype(np.float32) * np.float32(2.0**stops)

    gain = _gain_of(wanted, LIT, EVERYWHERE, FLOOR, NumbaDevice())

    np.testing.assert_allclose(gain, stops, atol=0.1)


@pytest.mark.parametrize("times", [0.01, 100.0])
def test_other_content_is_not_taken_for_light(times):
    gain = _gain_of(LIT[::-1, ::-1] * np.float32(times), LIT, EVERYWHERE, FLOOR, NumbaDevice())

    assert np.abs(gain).max() < 0.75


def test_a_single_gain_does_not_brighten_the_brightest_nor_the_most_negative():
    encoded = encode(np.array([[-0.1], [0.2], [1.0], [4.0], [9.0]], np.float32).repeat(3, axis=1))
    gain = np.array([[3.0], [0.0], [0.0], [0.0], [0.0]], np.float32).repeat(3, axis=1)
    found = np.array([True, True, True, True, False])

    light = decode(within_reason(encoded, gain, found))[found, 0]

    np.testing.assert_allclose(light, [-0.1, 0.2, 1.0, 4.0], rtol=1e-5)


def test_a_flash_of_three_stops_is_followed_into_the_hole():
    shot = known_shot(frames=9, pan=(2.6, 0.4), grain=0.02)
    plates = shot.plates.copy()
    plates[4] *= 8.0
    engine = create({"worker.threads": 2})[0]
    flash = ArrayShot(plates, shot.mattes, frames=FrameRange(1005, 1005))

    (frame,) = engine.fill(flash, EngineJob((1,)), QuietWatch())

    hole = shot.mattes[4] > 0.99
    assert frame.pixels[hole].mean() == pytest.approx(8.0 * shot.truths[4][hole].mean(), rel=0.02)


@dataclass(frozen=True)
class Lit:
    """What the measurement of light asks of a frame's small version."""

    light: np.ndarray
    light_valid: np.ndarray


@dataclass(frozen=True)
class Tools:
    device: NumbaDevice
    options: CleanPlateOptions


@pytest.mark.parametrize("side", [100, 187, 260])
def test_light_is_told_round_small_and_large_holes_alike(side):
    random = np.random.default_rng(side)
    noise = cv2.GaussianBlur(random.standard_normal((200, 200, 3)), (0, 0), 2.0)
    scene = (0.2 * np.exp2(noise / noise.std())).astype(np.float32)
    stops = np.array([0.8, -0.5, 0.1], np.float32)
    region = Region(20, 30, 20 + side, 30 + side)
    place = grid_of(side, side) + np.array([20, 30], np.float32)
    both, valid = np.ones((side, side), np.float32), np.ones((400, 400), np.float32)
    hole = slice(side // 4, 3 * side // 4 + 1), slice(side // 4 + 1, 3 * side // 4)
    both[hole] = 0
    valid[30 : 30 + side, 20 : 20 + side] = both
    # Small versions have no light under a matte.
    valid = cv2.resize(valid, (200, 200), interpolation=cv2.INTER_AREA)
    scene = scene * (valid > 0)[..., None]

    gain = log_gain(
        Lit(scene * np.exp2(stops), valid),
        region,
        Lit(scene, valid),
        place,
        both,
        np.zeros((side, side), np.float32),
        Tools(NumbaDevice(), CleanPlateOptions()),
    )

    wanted = region.halved()
    assert gain.shape == (*scene[wanted].shape[:2], 3)
    inside = slice(side // 8, 3 * side // 8)
    assert np.abs(gain - stops)[inside, inside].max() < 0.004


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -2e30])
def test_what_no_light_is_counts_as_broken_and_the_brightest_light_does_not(value):
    plate = LIT.copy()
    plate[3, 4] = 1e29
    assert without_broken(plate)[1] is None

    plate[10, 12, 1] = value
    mended, broken = without_broken(plate)

    assert list(np.argwhere(broken)[0]) == [10, 12]
    assert broken.sum() == 1
    assert mended[10, 12, 1] == 0
    assert mended[3, 4, 0] == np.float32(1e29)


@pytest.mark.parametrize("lamp", [1e3, 65504.0, 1e30])
@pytest.mark.parametrize("dark_share", [0.0, 0.8])
def test_a_lamp_does_not_take_all_else_to_the_floor_of_what_motion_is_measured_on(lamp, dark_share):
    random = np.random.default_rng(3)
    light = random.uniform(0.05, 0.4, (60, 80)).astype(np.float32)
    light[: int(60 * dark_share)] = 0.0
    usable, lit = np.ones(light.shape, np.bool_), light > 0
    plain = Levels.of(light, usable).bytes_of(light)

    light[-4:, -4:] = lamp
    beside = Levels.of(light, usable).bytes_of(light)

    lit[-4:, -4:] = False
    assert float(np.std(beside[lit])) > 0.7 * float(np.std(plain[lit]))


@pytest.mark.parametrize(("wall", "light"), [(0.0, 1.0), (0.0, 2.0), (0.5, 1.0)])
def test_light_that_grows_across_a_wall_flattens_no_grain(wall, light):
    random, across = np.random.default_rng(5), np.linspace(-1, 1, 640)
    plates, mattes = [], []
    for index in range(5):
        stops = wall * across + (light * across if index == 2 else 0.0)
        grain = 1 + 0.02 * random.standard_normal((240, 640, 3))
        matte = disc(320 + 130.0 * (index - 2), 120, 50, 640, 240)
        clean = 0.5 * np.exp2(stops)[None, :, None] * grain
        plates.append(np.where(matte[..., None] > 0, 0.02, clean))
        mattes.append(matte)
    shot = ArrayShot(np.array(plates), np.array(mattes), frames=FrameRange(1003, 1003))
    job = EngineJob((1,), options={"motion": "none"})

    (made,) = create({"worker.threads": 2})[0].fill(shot, job, QuietWatch())

    hole = made.pixels[mattes[2] > 0]
    assert (hole == hole.max(axis=0)).any(axis=1).sum() <= 3


def test_a_lamp_keeps_to_the_usual_gain_where_light_grows():
    encoded = encode(np.full((1000, 3), 0.4, np.float32))
    encoded[-1] = encode(np.full(3, 40.0, np.float32))
    gain = np.zeros((1000, 3), np.float32)
    gain[-200:] = 0.35

    lit = decode(within_reason(encoded, gain, np.ones(1000, np.bool_)))

    assert lit[-1].max() == pytest.approx(40.0, rel=1e-4)
    assert lit[-2].max() == pytest.approx(0.4 * 2**0.35, rel=1e-4)

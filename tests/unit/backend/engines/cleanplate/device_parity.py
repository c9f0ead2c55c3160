"""What every device of the clean plate must do: give the CPU's results, and always the same.

One suite for torch on the CPU (beside this file) and on a real GPU (``tests/gpu``).
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions
from genai_fill_server.engines.cleanplate.device import Source
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.run import ShotRun
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import KnownShot, known_shot, picture, relief_shot, two_layers

CPU = NumbaDevice()

ROUNDING = 4e-6
"""By how much an operation may differ, of the greatest value that goes in."""

SHOT_ROUNDING, SHOT_SHARE = 0.01, 0.003
"""By how much a filled pixel may differ (of its value and 0.02), but for so many of them: where two
sources cost the same, rounding takes one for a whole patch of some 5 by 5 pixels, which are 0.0015
of the smallest shot here."""

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 70)
examples = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.differing_executors],
)


def pixels(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Return scene-linear light: mostly dark, some of it 1,000 and more, a part negative."""
    light = np.exp(2.5 * random.standard_normal(shape)) - 0.4
    return (light * (random.random(shape) < 0.9)).astype(np.float32)


def close(got, wanted, scale=None) -> None:
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    finite = np.abs(wanted[np.isfinite(wanted)])
    most = finite.max(initial=0.0) if scale is None else scale
    np.testing.assert_allclose(got, wanted, rtol=0, atol=ROUNDING * max(float(most), 1e-3))


@contextlib.contextmanager
def only_repeatable():
    """Let torch refuse whatever it knows to vary from call to call."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def one_by_one(jobs):
    return [job() for job in jobs]


class DeviceParity:
    """Tests of one device; subclasses give it as ``make_device``."""

    @classmethod
    def make_device(cls):
        raise NotImplementedError

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _made(cls):
        cls.device = cls.make_device()
        with only_repeatable():
            yield

    @examples
    @given(seeds, sides, sides, st.integers(1, 5), st.sampled_from([(), (1,), (2,), (3,)]))
    def test_reduced(self, seed, height, width, factor, channels):
        image = pixels(np.random.default_rng(seed), height, width, *channels)
        if len(channels) and channels[0] == 1:
            image = image[..., 0]

        close(self.device.reduced(image, factor), CPU.reduced(image, factor))

    def test_reduced_keeps_what_is_not_a_number_to_its_block(self):
        image = np.ones((16, 16, 3), np.float32)
        image[5, 6, 1], image[9, 9, 0] = np.nan, np.inf

        close(self.device.reduced(image, 4), CPU.reduced(image, 4))

    @examples
    @given(seeds, sides, sides, sides, sides)
    def test_warped(self, seed, height, width, out_height, out_width):
        random = np.random.default_rng(seed)
        image = random.integers(0, 256, (height, width)).astype(np.uint8)
        matrix = np.eye(3) + random.normal(0, 0.02, (3, 3))
        matrix[:2, 2] *= 100
        matrix[2, :2] *= 0.02

        got = self.device.warped(image, matrix, (out_width, out_height))
        wanted = CPU.warped(image, matrix, (out_width, out_height))

        assert got.dtype == np.uint8
        assert got.shape == wanted.shape == (out_height, out_width)
        off = np.abs(got.astype(int) - wanted)
        assert off.max(initial=0) <= 1
        assert (off > 0).mean() < 0.02

    @examples
    @given(seeds, sides, sides, st.sampled_from([1, 3]))
    def test_followed(self, seed, height, width, channels):
        random = np.random.default_rng(seed)
        image = pixels(random, height, width, channels)
        image = image[..., 0] if channels == 1 else image
        place = random.uniform(-4, max(height, width) + 4, (19, 23, 2)).astype(np.float32)

        close(self.device.followed(image, place), CPU.followed(image, place), np.abs(image).max())

    @examples
    @given(seeds, sides, sides)
    def test_followed_bytes_are_whole_numbers(self, seed, height, width):
        random = np.random.default_rng(seed)
        image = random.integers(0, 256, (height, width)).astype(np.uint8)
        place = random.uniform(-4, 74, (19, 23, 2)).astype(np.float32)

        got, wanted = self.device.followed(image, place), CPU.followed(image, place)

        np.testing.assert_array_equal(got, np.rint(got))
        assert np.abs(got - wanted).max() <= 1

    def test_followed_motion_is_at_least_as_exact(self):
        # OpenCV reads pictures of two channels at 1/32 of a pixel.
        rows, columns = np.mgrid[0:40, 0:50].astype(np.float32)
        motion = np.dstack([0.03 * columns, -0.02 * rows])
        place = np.random.default_rng(1).uniform(0, 39, (500, 1, 2)).astype(np.float32)

        got = self.device.followed(motion, place)

        close(got, (place * np.array([0.03, -0.02])).astype(np.float32))
        assert np.abs(got - CPU.followed(motion, place)).max() < 0.03 / 32

    @examples
    @given(seeds, sides, sides, st.floats(0, 1), st.booleans())
    def test_pull_push(self, seed, height, width, share, flat):
        random = np.random.default_rng(seed)
        values = pixels(random, height, width, 3)
        weight = (random.random((height, width)) < share).astype(np.float32)
        weight *= random.choice([0.25, 1.0], weight.shape).astype(np.float32)
        values = values[..., 0] if flat else values

        got, wanted = self.device.pull_push(values, weight), CPU.pull_push(values, weight)

        close(got, wanted, np.abs(values).max())

    @examples
    @given(seeds, sides, sides, st.floats(0, 1), st.sampled_from([4, 6]))
    def test_membrane(self, seed, height, width, share, smoothing_px):
        random = np.random.default_rng(seed)
        values = random.normal(0, 2, (height, width, 3)).astype(np.float32)
        weight = (random.random((height, width)) < share).astype(np.float32)

        got = self.device.membrane(values, weight, smoothing_px)

        close(got, CPU.membrane(values, weight, smoothing_px), 10.0)

    @examples
    @given(seeds, sides, sides, st.integers(1, 7), st.booleans())
    def test_apart(self, seed, height, width, count, several):
        random = np.random.default_rng(seed)
        levels = random.uniform(0, 255, (count, height, width)).astype(np.float32)
        usable = random.random(levels.shape) < 0.7

        got, wanted = (d.apart(levels, usable, several) for d in (self.device, CPU))

        close(got, wanted, 10.0)

    @examples
    @given(seeds, sides, sides, st.lists(st.integers(0, 2), min_size=1, max_size=7))
    def test_weighed(self, seed, height, width, planes):
        random = np.random.default_rng(seed)
        shape = len(planes), height, width
        price = np.where(random.random(shape) < 0.8, random.random(shape), 1e3)
        price = price.astype(np.float32)

        got, wanted = self.device.weighed(price, planes), CPU.weighed(price, planes)

        # Where two cost the same to the last bit but one, rounding decides.
        assert (np.abs(got - wanted).max(axis=0) > ROUNDING).mean() <= 0.002

    @examples
    @given(seeds, sides, sides)
    def test_sampled(self, seed, height, width):
        random = np.random.default_rng(seed)
        image = pixels(random, height, width, 3)
        blocked = (random.random((height, width)) < 0.1).astype(np.uint8)
        place = random.uniform(-3, 73, (700, 2)).astype(np.float32)
        place[::50] = np.rint(place[::50])
        place[7], place[8, 0], place[9, 1] = np.nan, np.inf, -np.inf

        got, found = self.device.sampled(image, blocked, place)
        wanted, exist = CPU.sampled(image, blocked, place)

        np.testing.assert_array_equal(found, exist)
        close(got, wanted, np.abs(image).max())

    @examples
    @given(seeds, st.integers(1, 5), st.integers(1, 3))
    def test_gather(self, seed, count, factor):
        random = np.random.default_rng(seed)
        sources, weights, places = hole_of(random, count, factor)

        got = self.device.gather(sources, weights, places, factor, one_by_one)
        wanted = CPU.gather(sources, weights, places, factor, one_by_one)

        np.testing.assert_array_equal(got.mass > 0, wanted.mass > 0)
        np.testing.assert_array_equal(got.origin, wanted.origin)
        close(got.mass, wanted.mass)
        # The highest light is a factor of the encoded one's rounding.
        np.testing.assert_allclose(got.encoded, wanted.encoded, rtol=1e-4, atol=1e-4)

    def test_of_two_sources_that_count_the_same_the_first_is_the_origin(self):
        sources, weights, places = hole_of(np.random.default_rng(5), 2, 2)
        weights[:] = 0.5

        got, wanted = (
            d.gather(sources, weights, places, 2, one_by_one) for d in (self.device, CPU)
        )

        both = wanted.mass == 1.0
        assert (got.origin[both] == sources[0].offset).mean() > 0.9
        np.testing.assert_array_equal(got.origin, wanted.origin)

    def test_a_hole_without_any_source_that_reaches_it(self):
        source = Source(
            1,
            np.full((4, 4, 2), 1e9, np.float32),
            lambda: np.zeros((2, 2, 3), np.float32),
            16,
            16,
            lambda window: pytest.fail("nothing of it is touched"),
        )
        places = np.ones(3, np.float32), np.ones(3, np.float32)

        got = self.device.gather([source], np.ones((1, 4, 4), np.float32), places, 4, one_by_one)

        assert (got.mass == 0).all()

    @pytest.mark.parametrize("name", ["two layers", "exposure", "relief", "broken", "highlights"])
    def test_a_shot_is_filled_alike(self, name):
        shot = SHOTS[name]()
        wanted, invented = filled(shot, CPU)
        got, _ = filled(shot, self.device)

        real = (shot.mattes > 0) & ~invented
        assert real.sum() > 2000
        assert np.isfinite(got[real]).all()
        off = np.abs(got[real] - wanted[real]).max(axis=-1)
        off /= np.abs(wanted[real]).max(axis=-1) + 0.02
        assert (off > SHOT_ROUNDING).mean() <= SHOT_SHARE
        outside = shot.mattes <= 0
        np.testing.assert_array_equal(got[outside], shot.plates[outside])

    def test_the_same_bits_on_any_number_of_threads_and_for_a_frame_alone(self):
        shot = two_layers(frames=4)

        one, three = (filled(shot, self.device, threads)[0] for threads in (1, 3))
        alone = filled(shot, self.device, frames=[1003])[0]

        np.testing.assert_array_equal(one, three)
        np.testing.assert_array_equal(alone[0], one[2])

    def test_several_threads_at_once_get_the_same_bits(self):
        random = np.random.default_rng(3)
        values = pixels(random, 200, 300, 3)
        weight = (random.random((200, 300)) < 0.1).astype(np.float32)
        alone = self.device.pull_push(values, weight)

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(self.device.pull_push, values, weight) for _ in range(8)]

        for future in futures:
            np.testing.assert_array_equal(future.result(), alone)


def hole_of(random: np.random.Generator, count: int, factor: int):
    """Return sources, weights and places of a hole such as a shot gives them."""
    height, width = 24, 30
    plate = height * factor + 3, width * factor + 5
    sources = []
    for number in range(count):
        image = pixels(random, *plate, 3).clip(-50, 50)
        blocked = (random.random(plate) < 0.05).astype(np.uint8)

        def read(window: Window, image=image, blocked=blocked):
            at = slice(window.y0, window.y1), slice(window.x0, window.x1)
            return image[at], blocked[at]

        shift = np.full((height, width, 2), random.uniform(-6, 6), np.float32)
        gain = random.normal(0.3, 0.2, (height // 2, width // 2, 3)).astype(np.float32)
        sources.append(Source(number + 1, shift, lambda gain=gain: gain, plate[1], plate[0], read))
    labels = random.integers(0, count, (height, width))
    weights = (labels == np.arange(count)[:, None, None]).astype(np.float32)
    x, y = random.uniform(4, 20, (2, 400)).astype(np.float32)
    return sources, weights, (x, y)


def filled(shot: KnownShot, device, threads: int = 2, frames=None):
    """Return the filled frames and where the CPU or ``device`` had to invent."""
    options = CleanPlateOptions(report_layers=True)
    whole, kit = ArrayShot(shot.plates, shot.mattes), Kit(options, device, DisFlow(options.detail))
    with ShotRun(whole, kit, (1,), QuietWatch(), threads) as run:
        made = [next(run.frame(frame, (0,))) for frame in frames or whole.frames]
    pictures = np.array([picture for _, picture, _ in made])
    return pictures, np.array([layers["invented"] > 0 for _, _, layers in made])


def broken_shot() -> KnownShot:
    """Return a shot with negative light, and pixels that are not numbers outside the matte."""
    shot = known_shot(pan=(2.0, 0.0), grain=0.01)
    plates = shot.plates - 0.05
    random = np.random.default_rng(2)
    bad = (random.random(plates.shape[:3]) < 0.001) & (shot.mattes <= 0)
    plates[bad] = np.nan
    plates[:, 3, 5] = np.inf
    return KnownShot(plates, shot.truths - 0.05, shot.mattes)


def highlights_shot() -> KnownShot:
    """Return a shot with lamps of 30."""
    scene = picture()
    scene[100:260:20, 160:400:24] = 30.0
    return known_shot(scene=scene, pan=(2.6, 0.4))


SHOTS = {
    "two layers": two_layers,
    "exposure": lambda: known_shot(stops_a_frame=0.06, zoom=0.01, pan=(1.0, 0.5)),
    "relief": relief_shot,
    "broken": broken_shot,
    "highlights": highlights_shot,
}

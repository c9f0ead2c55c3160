"""What no frame shows, on one frame: structure goes on, calm light stays calm, nothing else."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from genai_fill_server.engines.cleanplate.edge_ends import ends_of
from genai_fill_server.engines.cleanplate.edge_links import links_between, strips
from genai_fill_server.engines.cleanplate.encoding import decode, encode
from genai_fill_server.engines.cleanplate.evening import evened
from genai_fill_server.engines.cleanplate.exemplar import synthesise
from genai_fill_server.engines.cleanplate.guides import guides_for
from genai_fill_server.engines.cleanplate.regions import areas, thin_plate
from tests.fakes.array_shot import QuietWatch

HEIGHT, WIDTH = 180, 240


def grained(light: np.ndarray, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    noise = random.standard_normal((*light.shape[:2], 3), np.float32)
    return (light * (1 + 0.02 * noise)).astype(np.float32)


def coordinates() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return rows, columns


def sky() -> np.ndarray:
    rows, columns = coordinates()
    share = (rows / HEIGHT)[..., None]
    blue, haze = np.array([0.12, 0.25, 0.62]), np.array([0.75, 0.78, 0.82])
    glow = 0.25 * np.exp(-((columns - 190) ** 2 + (rows - 30) ** 2) / 16000)
    return (blue * (1 - share) + haze * share) * (1 + glow[..., None])


def railing() -> np.ndarray:
    """Round bars that lean, so that no patch can be copied straight down."""
    rows, columns = coordinates()
    across = (columns + 0.25 * rows) % 22
    bars = np.clip(3 - np.abs(across - 11), 0, 1)[..., None]
    shade = 0.04 + 0.05 * np.clip(np.cos(2 * np.pi * across / 5), 0, 1)
    return sky() * (1 - bars) + shade[..., None] * bars


def bricks() -> np.ndarray:
    rows, columns = coordinates()
    row = np.floor(rows / 17)
    x, y = (columns + (row % 2) * 22) % 44, rows % 17
    near = np.minimum(np.minimum(x, 44 - x), np.minimum(y, 17 - y))
    joint = np.clip(2.2 - near, 0, 1)[..., None]
    random = np.random.default_rng(7)
    tone = random.uniform(0.8, 1.25, (40, 40))
    number = np.floor((columns + (row % 2) * 22) / 44).astype(int)
    brick = np.array([0.30, 0.12, 0.08]) * tone[row.astype(int), number][..., None]
    return brick * (1 - joint) + np.array([0.42, 0.40, 0.36]) * joint


def disc_edge() -> np.ndarray:
    rows, columns = coordinates()
    inside = np.clip(95.5 - np.hypot(columns - 60, rows - 150), 0, 1)[..., None]
    return np.array([0.6, 0.05, 0.03]) * inside + np.array([0.35, 0.2, 0.1]) * (1 - inside)


def ragged_hole(x: float, y: float) -> np.ndarray:
    rows, columns = coordinates()
    across, down = (columns - x) / 40, (rows - y) / 44
    angle = np.arctan2(down, across)
    edge = 1 + 0.12 * np.sin(3 * angle + 1) + 0.07 * np.sin(5 * angle)
    return np.hypot(across, down) < edge


def hole_at(x: float, y: float, radius: float = 26.0) -> np.ndarray:
    rows, columns = coordinates()
    return np.hypot((rows - y) / 1.1, columns - x) < radius


def filled(plate: np.ndarray, hole: np.ndarray, seed: int = 1) -> np.ndarray:
    covered = np.where(hole[..., None], np.float32(0.9), plate)
    return decode(synthesise(encode(covered), hole, hole, seed, 3, QuietWatch()))


def error_db(found: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> float:
    """PSNR in display code, inside the hole."""
    gap = np.clip(found, 0, 1) ** (1 / 2.2) - np.clip(truth, 0, 1) ** (1 / 2.2)
    return float(-10 * np.log10(np.mean(gap[hole] ** 2)))


def detail(found: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> float:
    """High-frequency energy in the hole against the truth's."""

    def fine(picture: np.ndarray) -> float:
        grey = encode(picture).mean(axis=2)
        return float(np.std((grey - cv2.GaussianBlur(grey, (0, 0), 1.2))[hole]))

    return fine(found) / fine(truth)


@pytest.mark.parametrize(
    ("picture", "hole", "least_db"),
    [
        (railing, ragged_hole(120, 92), 34.0),
        (disc_edge, hole_at(120, 92), 30.0),
        (sky, hole_at(120, 92), 38.8),
        (bricks, hole_at(120, 92), 28.0),
    ],
    ids=["railing", "curved edge", "sky", "bricks"],
)
def test_structure_goes_on_through_a_hole_and_keeps_its_grain(picture, hole, least_db):
    truth = grained(picture())

    found = filled(truth, hole)

    assert error_db(found, truth, hole) > least_db
    assert 0.8 < detail(found, truth, hole) < 1.2
    np.testing.assert_array_equal(found[~hole], decode(encode(truth))[~hole])


def test_patches_alone_break_a_border_that_a_guess_at_structure_carries_on():
    truth, hole = grained(disc_edge()), hole_at(120, 92)
    covered = encode(np.where(hole[..., None], np.float32(0.9), truth))

    alone = decode(synthesise(covered, hole, hole, 1, 3, QuietWatch(), guided=False))

    assert error_db(alone, truth, hole) < error_db(filled(truth, hole), truth, hole) - 4


def test_light_of_a_sky_has_no_blotches():
    truth, hole = sky().astype(np.float32), hole_at(120, 92)

    found = filled(grained(truth), hole)

    light = cv2.GaussianBlur(np.log2(found.astype(np.float32) / truth), (0, 0), 4)
    core = cv2.erode(hole.astype(np.uint8), np.ones((7, 7))) > 0
    assert np.abs(light[core]).max() < 0.05


def test_a_thin_matte_over_texture_stays_quick():
    truth = grained(bricks())
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.polylines(matte, [np.array([[8, 20], [120, 90], [232, 60]])], False, 1, 5)
    watch = QuietWatch()

    found = decode(synthesise(encode(truth), matte > 0, matte > 0, 1, 3, watch))

    assert error_db(found, truth, matte > 0) > 20
    assert len(guides_for(encode(truth), matte > 0)) == 1


@pytest.mark.parametrize("picture", [railing, disc_edge, bricks], ids=lambda p: p.__name__)
@pytest.mark.parametrize("seed", [1, 8])
def test_nothing_is_brighter_or_darker_than_what_is_known(picture, seed):
    truth, hole = grained(picture()) - np.float32(0.1), hole_at(120, 92)
    truth[10:20, 10:20] = 30.0

    found = filled(truth, hole, seed)

    low, high = truth[~hole].min(axis=0), truth[~hole].max(axis=0)
    slack = 1e-5 * np.maximum(np.abs(low), np.abs(high))
    assert (found[hole] >= low - slack).all()
    assert (found[hole] <= high + slack).all()
    assert (found[hole] < 0).any() or picture is not railing


def test_the_seed_alone_decides():
    truth, hole = grained(bricks()), hole_at(120, 92)

    one, again, other = (filled(truth, hole, seed) for seed in (3, 3, 4))

    np.testing.assert_array_equal(one, again)
    assert (one != other)[hole].mean() > 0.05


def linked(picture: np.ndarray, hole: np.ndarray):
    image = np.where(hole[..., None], np.float32(1), encode(picture.astype(np.float32)))
    return links_between(ends_of(image, hole), 250.0, 1.45)


def test_the_bars_of_a_railing_are_joined_with_themselves():
    hole = hole_at(120, 92)

    links = linked(grained(railing()), hole)

    assert len(links) >= 4
    for link in links:
        lean = [end.place[0] + 0.25 * end.place[1] for end in (link.first, link.second)]
        assert abs(lean[0] - lean[1]) < 2.5


def test_a_curved_border_is_joined_along_its_curve():
    hole = hole_at(126, 92)
    truth = disc_edge().astype(np.float32)

    links = linked(truth, hole)
    picture, where = strips((HEIGHT, WIDTH), hole, links)

    assert len(links) == 1
    assert where.any()
    assert not where[~hole].any()
    gap = np.abs(picture - encode(truth)).max(axis=2)[where]
    assert np.median(gap) < 0.15


def test_grain_alone_has_no_edges():
    hole = hole_at(120, 92)

    assert linked(grained(np.full((HEIGHT, WIDTH, 3), 0.2)), hole) == []


def test_areas_carry_a_border_on_and_stay_sharp():
    hole = hole_at(126, 92)
    truth = encode(disc_edge().astype(np.float32))

    found = areas(np.where(hole[..., None], np.float32(1), truth), hole)

    wrong = np.abs(found - truth).max(axis=2) > 0.3
    assert wrong[hole].mean() < 0.12
    np.testing.assert_array_equal(found[~hole], truth[~hole])


def test_areas_of_holes_far_apart_cost_what_the_holes_cost_not_the_frame_between():
    random = np.random.default_rng(4)
    frame = random.uniform(0, 1, (360, 640, 3)).astype(np.float32)
    hole = np.zeros(frame.shape[:2], np.bool_)
    hole[20:44, 20:44] = hole[310:334, 600:624] = True

    tracemalloc.start()
    try:
        found = areas(frame, hole)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Solved over the whole frame, the classes' shares alone were five planes of 8 bytes, ten times.
    assert peak < 10 * frame.nbytes
    assert (found[hole] != frame[hole]).any(axis=1).all()
    np.testing.assert_array_equal(found[~hole], frame[~hole])


def test_areas_of_a_hole_know_of_another_that_reaches_into_the_same_box():
    hole = np.zeros((120, 160), np.bool_)
    hole[10:110, 10:22] = hole[98:110, 10:150] = True  # an L, and a square in its box
    hole[40:60, 70:90] = True
    truth = np.full((*hole.shape, 3), 0.3, np.float32)

    found = areas(np.where(hole[..., None], np.float32(9), truth), hole)

    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_a_thin_plate_goes_on_with_slope_and_curvature():
    rows, columns = coordinates()
    surface = ((rows - 90) ** 2 + 0.5 * rows * columns) / 8000
    hole = hole_at(120, 92, 14)

    found = thin_plate(np.where(hole, 0.0, surface)[..., None], hole)[..., 0]

    assert np.abs(found - surface)[hole].max() < 0.02


def test_busy_places_keep_their_light():
    picture, hole = encode(grained(bricks())), hole_at(120, 92)

    np.testing.assert_allclose(evened(picture, hole), picture, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 40), (40, 2), (1, 1), (9, 9), (60, 14)])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_any_size_and_any_hole_come_back_finite(shape, share):
    random = np.random.default_rng(3)
    picture = random.uniform(-2, 6, (*shape, 3)).astype(np.float32)
    hole = np.zeros(shape, np.bool_)
    hole[:, : max(1, round(share * shape[1]))] = True

    found = synthesise(picture, hole, hole, 2, 2, QuietWatch())

    assert found.shape == picture.shape
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[~hole], picture[~hole])


def test_holes_at_the_frame_edge_and_several_at_once_are_filled():
    truth = grained(railing())
    hole = hole_at(6, 60) | hole_at(235, 120, 30) | hole_at(110, 178, 24)

    found = filled(truth, hole)

    assert np.isfinite(found).all()
    assert error_db(found, truth, hole) > 14

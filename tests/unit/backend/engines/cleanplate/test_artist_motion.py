"""Motion vectors and STMaps that the artist gives."""

import cv2
import numpy as np
import pytest

from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.alignment import Target
from genai_fill_server.engines.cleanplate.artist_motion import ArtistMotion
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.proxies import Proxies
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_motion import FIRST, KnownMotion, centroid_near, dots_at

FORWARD, BACKWARD = InputRole.MOTION_FORWARD, InputRole.MOTION_BACKWARD


def grid(scene):
    x, y = np.meshgrid(np.arange(scene.width), np.arange(scene.height))
    return np.stack([x, y], axis=-1).astype(np.float64)


def vectors(scene, frame, other):
    """What the port gives: pixels right and down from ``frame`` to ``other``."""
    here = grid(scene)
    there = scene.moved(here.reshape(-1, 2), frame, other).reshape(here.shape)
    rgb = np.zeros((scene.height, scene.width, 3), np.float32)
    rgb[..., :2] = there - here
    return rgb, np.ones(rgb.shape[:2], np.float32)


def forward(scene):
    return {f: vectors(scene, f, f + 1) for f in scene.frames}


def backward(scene):
    return {f: vectors(scene, f, f - 1) for f in scene.frames}


def stmap(scene, frame):
    """Where each pixel lies on the first frame, 0 to 1 from the bottom left."""
    here = grid(scene)
    there = scene.moved(here.reshape(-1, 2), frame, FIRST).reshape(here.shape)
    rgb = np.zeros((scene.height, scene.width, 3), np.float32)
    rgb[..., 0] = (there[..., 0] + 0.5) / scene.width
    rgb[..., 1] = 1 - (there[..., 1] + 0.5) / scene.height
    # Geometry covers all but a corner; there the map is black.
    rgb[:20, :30] = 0
    return rgb, np.ones(rgb.shape[:2], np.float32)


GIVEN = {
    "forward": lambda scene: {FORWARD: forward(scene)},
    "backward": lambda scene: {BACKWARD: backward(scene)},
    "both": lambda scene: {FORWARD: forward(scene), BACKWARD: backward(scene)},
    "stmap": lambda scene: {InputRole.STMAP: {f: stmap(scene, f) for f in scene.frames}},
}


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize(("first", "second"), [(1001, 1006), (1008, 1002), (1004, 1005)])
def test_places_are_those_of_the_true_motion(kind, first, second):
    scene = KnownMotion(frames=9)
    shot = scene.shot().with_inputs(GIVEN[kind](scene))
    proxies = Proxies(shot, QuietWatch(), NumbaDevice(), 16)
    region = Region(80, 40, 160, 120)
    target = Target.of(proxies.get(first), region)
    place = ArtistMotion(shot, proxies).place(target, second)
    truth = scene.moved(grid(scene)[40:120, 80:160].reshape(-1, 2), first, second)
    assert np.abs(place.reshape(-1, 2) - truth).max() < 0.05


def test_where_alpha_is_nought_motion_is_completed_from_round_it():
    scene = KnownMotion(frames=4)
    given = {}
    for frame in scene.frames:
        rgb, alpha = vectors(scene, frame, frame + 1)
        hole = scene.matte(frame) > 0
        rgb[hole], alpha[hole] = (40.0, -40.0, 0.0), 0.0  # the object's own motion
        given[frame] = (rgb, alpha)
    shot = scene.shot().with_inputs({FORWARD: given})
    proxies = Proxies(shot, QuietWatch(), NumbaDevice(), 16)
    target = Target.of(proxies.get(1001), Region(90, 50, 150, 110))
    place = ArtistMotion(shot, proxies).place(target, 1003)
    truth = scene.moved(grid(scene)[50:110, 90:150].reshape(-1, 2), 1001, 1003)
    assert np.abs(place.reshape(-1, 2) - truth).max() < 0.6


def stmap_shot(scene, known):
    """The scene with STMaps that are known where ``known`` (h, w) is, and black elsewhere."""
    given = {}
    for frame in scene.frames:
        rgb, alpha = stmap(scene, frame)
        given[frame] = (rgb * known[..., None], alpha * known)
    return scene.shot().with_inputs({InputRole.STMAP: given})


def all_but(rows, columns):
    known = np.ones((160, 240), np.float32)
    known[rows, columns] = 0.0
    return known


@pytest.mark.parametrize(
    ("known", "within_px"),
    [
        (all_but(slice(50, 110), slice(90, 150)), 0.1),
        (all_but(slice(0, 160), slice(0, 120)), 0.3),
        (1 - all_but(slice(30, 130), slice(60, 200)), 0.1),
        (1 - all_but(slice(100, 140), slice(100, 220)), 1.0),
    ],
    ids=["a hole", "the left half", "a card round it", "a card below it"],
)
def test_where_an_stmap_is_silent_it_is_completed_from_round_it(known, within_px):
    scene = KnownMotion(frames=4)
    shot = stmap_shot(scene, known)
    proxies = Proxies(shot, QuietWatch(), NumbaDevice(), 16)
    target = Target.of(proxies.get(1001), Region(90, 50, 150, 110))
    place = ArtistMotion(shot, proxies).place(target, 1004)
    truth = scene.moved(grid(scene)[50:110, 90:150].reshape(-1, 2), 1001, 1004)
    assert np.abs(place.reshape(-1, 2) - truth).max() < within_px


@pytest.mark.parametrize("count", [0, 1, 5, 20, 40])
@pytest.mark.parametrize("scattered", [True, False])
def test_an_stmap_that_tells_too_little_is_left_to_the_estimate(count, scattered):
    scene = KnownMotion(frames=4)
    known = np.zeros((160, 240), np.float32)
    at = np.linspace(31 * 240, known.size - 1, count) if scattered else 40 * 240 + np.arange(count)
    known.ravel()[at.astype(int)] = 1.0
    shot = stmap_shot(scene, known)
    proxies = Proxies(shot, QuietWatch(), NumbaDevice(), 16)
    artist = ArtistMotion(shot, proxies)
    assert artist.place(Target.of(proxies.get(1001), Region(90, 50, 150, 110)), 1003) is None
    (engine,) = create({"worker.threads": 1})
    job = EngineJob(seeds=(1,), options=engine.description.resolve({}))
    for made in engine.fill(shot, job, QuietWatch()):
        assert np.isfinite(made.pixels).all()


def test_an_stmap_known_along_a_line_alone_tells_no_plane():
    scene = KnownMotion(frames=3)
    known = np.zeros((160, 240), np.float32)
    known[60] = 1.0
    shot = stmap_shot(scene, known)
    proxies = Proxies(shot, QuietWatch(), NumbaDevice(), 16)
    target = Target.of(proxies.get(1001), Region(90, 50, 150, 110))
    assert ArtistMotion(shot, proxies).place(target, 1003) is None


def test_motion_that_leads_nowhere_is_left_to_the_estimate():
    scene = KnownMotion(frames=6)
    given = forward(scene)
    del given[1003]
    shot = scene.shot().with_inputs({FORWARD: given})
    proxies = Proxies(shot, QuietWatch(), NumbaDevice(), 16)
    artist = ArtistMotion(shot, proxies)
    target = Target.of(proxies.get(1001), Region(80, 40, 160, 120))
    assert artist.place(target, 1003) is not None
    assert artist.place(target, 1005) is None


def featureless(scene):
    """The scene's mattes over a plate on which no motion can be measured."""
    plates = np.full((len(scene.frames), scene.height, scene.width, 3), 0.3, np.float32)
    mattes = np.stack([scene.matte(frame) for frame in scene.frames])
    return ArrayShot(plates, mattes, first=FIRST)


@pytest.mark.parametrize("kind", GIVEN)
def test_a_patch_is_carried_over_a_blank_plate_by_the_artists_motion(kind):
    scene = KnownMotion(frames=8)
    shape = (scene.height, scene.width)
    point = scene.centre(1003) + np.array([5, -6])
    patch = dots_at(shape, [point], over=np.full((*shape, 3), 0.3, np.float32))
    given = {InputRole.PATCH: {1003: (patch, scene.matte(1003))}, **GIVEN[kind](scene)}
    (engine,) = create({"worker.threads": 1})
    engine.prepare(QuietWatch())
    job = EngineJob(seeds=(1,), options=engine.description.resolve({}))
    worst = 0.0
    for made in engine.fill(featureless(scene).with_inputs(given), job, QuietWatch()):
        truth = scene.moved([point], 1003, made.frame)[0]
        worst = max(worst, float(np.hypot(*(centroid_near(made.pixels, truth) - truth))))
    assert worst < 0.3


def test_pixels_are_borrowed_along_the_artists_motion():
    scene = KnownMotion(frames=10, slide_px=(9.0, 0.0))
    shot = scene.shot().with_inputs(GIVEN["both"](scene))
    (engine,) = create({"worker.threads": 1})
    engine.prepare(QuietWatch())
    job = EngineJob(seeds=(1,), options=engine.description.resolve({}))
    for made in engine.fill(shot, job, QuietWatch()):
        hole = cv2.erode(scene.matte(made.frame), np.ones((3, 3))) > 0
        error = np.abs(made.pixels[hole] - scene.background(made.frame)[hole])
        assert np.median(error) < 0.02

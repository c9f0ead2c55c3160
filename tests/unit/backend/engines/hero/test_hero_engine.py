"""Hero frames on shots whose motion is known."""

import numpy as np
import pytest

from genai_fill_contract.engine import (
    ColourDomain,
    CommercialUse,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.errors import GenerationFailed, InvalidOption
from genai_fill_contract.plate import InputRole, Window
from genai_fill_server.engines.hero.engine import HeroEngine
from genai_fill_server.engines.hero.shots import Hero, HeroShot, OneFrame
from genai_fill_server.service.ports import EngineJob, FillCancelled
from genai_fill_server.service.ports import Shot as ShotPort
from tests.fakes.array_shot import QuietWatch
from tests.fakes.engines import FakeEngine, ForgetfulEngine, describe
from tests.fakes.known_motion import FIRST, KnownMotion, centroid_near, dots_at

OFFSETS = np.array([(-10, -8), (9, -9), (-8, 10), (10, 9)], np.float64)


class DotPainter(FakeEngine):
    """An image engine that paints red dots at the matte's middle, and keeps what it was shown."""

    def __init__(self, domain=ColourDomain.SCENE_LINEAR, **changes):
        super().__init__(describe(id="dots", domain=domain, **changes), self.dots)
        self.shown = []

    def dots(self, shot, frame, window, seed):
        matte = shot.matte(frame)
        plate = shot.plate(frame)
        self.shown.append((frame, plate.copy(), matte.copy()))
        y, x = np.nonzero(matte > 0)
        middle = np.array([x.mean(), y.mean()])
        grey = np.full(plate.shape, 0.3, np.float32)
        return dots_at(matte.shape, middle + OFFSETS, (0.95, 0.02, 0.02), over=grey)


class FlatPainter(DotPainter):
    """Paints one grey, darker each time it is asked."""

    def dots(self, shot, frame, window, seed):
        super().dots(shot, frame, window, seed)
        return np.float32([0.2, 0.2, 0.2]) * len(self.shown)


def fill(painter, shot, *, seeds=(7,), done=(), scratch="", watch=None, **options):
    engine = HeroEngine(painter, threads=2)
    watch = watch or QuietWatch()
    engine.prepare(watch)
    job = EngineJob(
        seeds=seeds,
        prompt="dots",
        options=engine.description.resolve(options),
        done=done,
        scratch_dir=str(scratch),
    )
    return list(engine.fill(shot, job, watch))


def worst_distance(scene, made, hero):
    worst = 0.0
    for filled in made:
        dots = scene.moved(scene.centre(hero) + OFFSETS, hero, filled.frame)
        for point in dots:
            found = centroid_near(filled.pixels, point)
            worst = max(worst, float(np.hypot(*(found - point))))
    return worst


@pytest.mark.parametrize("domain", ColourDomain)
@pytest.mark.parametrize("hero", [-1, 1001, 1010])
def test_what_is_generated_stays_on_its_place_within_a_pixel(domain, hero):
    scene = KnownMotion(frames=14, grain=0.004)
    painter = DotPainter(domain)
    made = fill(painter, scene.shot(), hero_frame=hero)
    assert [filled.frame for filled in made] == list(scene.frames)
    key = painter.shown[0][0]
    assert key == (1007 if hero == -1 else hero)
    assert len(painter.shown) == 1
    # The painter puts its dots round the middle of the matte's own pixels.
    assert worst_distance(scene, made, key) < 0.6


def test_the_plate_round_the_matte_is_untouched():
    scene = KnownMotion(frames=5)
    shot = scene.shot()
    for filled in fill(DotPainter(ColourDomain.DISPLAY), shot):
        outside = scene.matte(filled.frame) == 0
        plate = shot.plate(filled.frame)
        np.testing.assert_array_equal(filled.pixels[outside], plate[outside])


def test_exposure_drift_is_followed():
    scene = KnownMotion(frames=13, gain=1.08)
    painter = FlatPainter()
    made = fill(painter, scene.shot())
    key = painter.shown[0][0]
    level = {}
    for filled in made:
        x, y = np.rint(scene.centre(filled.frame)).astype(int)
        level[filled.frame] = filled.pixels[y - 4 : y + 5, x - 4 : x + 5].mean()
    assert level[key] == pytest.approx(0.2, rel=0.02)
    for frame in scene.frames:
        assert level[frame] / level[key] == pytest.approx(1.08 ** (frame - key), rel=0.05)


def test_the_frame_with_most_to_fill_is_the_hero():
    scene = KnownMotion(frames=9)
    mattes = {frame: scene.matte(frame) for frame in scene.frames}
    shot = scene.shot()
    larger = np.zeros_like(mattes[1003])
    larger[50:120, 80:160] = 1
    shot._mattes[1003 - FIRST] = larger
    painter = DotPainter()
    fill(painter, shot)
    assert painter.shown[0][0] == 1003


def test_what_the_hero_cannot_reach_is_generated_with_the_rest_in_the_picture():
    # The matte slides over the plane: the first hero covers part of what the last needs.
    scene = KnownMotion(frames=9, slide_px=(4.0, 0.0), step=(0.5, 0.0), turn_deg=0, zoom=1.0)
    painter = FlatPainter()
    made = fill(painter, scene.shot(), hero_frame=FIRST, hero_real_pixels=False, hero_frames=2)
    first, second = painter.shown
    frame, plate, left = second
    assert first[0] == FIRST
    assert frame == scene.frames[-1]
    hole = scene.matte(frame) > 0
    assert 0 < (left > 0).sum() < hole.sum()
    # Carried content is in the picture that the model was shown, in place of what it hides.
    carried = hole & (left == 0)
    assert carried.any()
    assert np.abs(plate[carried] - 0.2).max() < 0.03
    last = made[-1].pixels
    assert np.median(last[carried]) == pytest.approx(0.2, abs=0.03)
    new = left >= 1
    assert np.median(last[new]) == pytest.approx(0.4, abs=0.05)


def test_real_pixels_come_before_a_second_hero():
    scene = KnownMotion(frames=9, slide_px=(9.0, 0.0))
    painter = DotPainter()
    made = fill(painter, scene.shot(), hero_frame=FIRST)
    assert len(painter.shown) == 1
    last = scene.frames[-1]
    away = scene.moved([scene.centre(FIRST)], FIRST, last)[0]
    y, x = np.mgrid[: scene.height, : scene.width]
    far = (scene.matte(last) > 0) & (np.hypot(x - away[0], y - away[1]) > 26)
    assert far.any()
    error = np.abs(made[-1].pixels[far] - scene.background(last)[far])
    assert np.median(error) < 0.02


def test_approved_frames_are_the_heroes_and_nothing_is_generated():
    scene = KnownMotion(frames=7)
    shape = (scene.height, scene.width)
    hero = dots_at(
        shape, scene.centre(1004) + OFFSETS, (4.0, 0.05, 0.05), over=scene.background(1004)
    )
    given = {InputRole.PATCH: {1004: (hero, scene.matte(1004))}}
    painter = DotPainter()
    made = fill(painter, scene.shot().with_inputs(given))
    assert painter.shown == []
    assert painter.prepared == 0
    assert worst_distance(scene, made, 1004) < 0.6
    inside = scene.matte(1004) > 0
    np.testing.assert_allclose(made[3].pixels[inside], hero[inside], rtol=1e-3, atol=1e-4)


def test_takes_differ_by_their_seeds_alone():
    scene = KnownMotion(frames=4)

    class Seeded(DotPainter):
        def dots(self, shot, frame, window, seed):
            self.shown.append(seed)
            return np.float32([0.1, 0.1, 0.1]) * seed

    made = fill(Seeded(), scene.shot(), seeds=(2, 5))
    assert [(f.take_index, f.frame) for f in made] == [
        (take, frame) for take in (0, 1) for frame in scene.frames
    ]
    x, y = np.rint(scene.centre(FIRST)).astype(int)
    assert made[0].pixels[y, x, 0] == pytest.approx(0.2, rel=0.1)
    assert made[4].pixels[y, x, 0] == pytest.approx(0.5, rel=0.1)


def test_what_is_seen_of_a_hero_is_seen_of_its_take():
    class Showing(DotPainter):
        def frame(self, shot, take_index, seed, frame, watch):
            watch.preview(take_index, frame, np.zeros((2, 2, 3), np.float32))
            return super().frame(shot, take_index, seed, frame, watch)

    watch = QuietWatch()
    fill(Showing(), KnownMotion(frames=3).shot(), seeds=(2, 5), watch=watch, hero_frames=1)
    assert [take for take, _, _ in watch.previews] == [0, 1]


def test_a_resumed_job_finds_its_heroes_and_gives_the_same_bits(tmp_path):
    scene = KnownMotion(frames=8, slide_px=(4.0, 0.0))
    options = {"hero_real_pixels": False, "hero_frames": 2}
    whole = {f.frame: f.pixels for f in fill(DotPainter(), scene.shot(), **options)}
    fill(DotPainter(), scene.shot(), scratch=tmp_path, **options)
    again = DotPainter()
    done = (frozenset(range(1001, 1005)),)
    rest = fill(again, scene.shot(), scratch=tmp_path, done=done, **options)
    assert again.shown == []
    assert [f.frame for f in rest] == [1005, 1006, 1007, 1008]
    for filled in rest:
        np.testing.assert_array_equal(filled.pixels, whole[filled.frame])
    without = fill(DotPainter(), scene.shot(), done=done, **options)
    for filled in without:
        np.testing.assert_array_equal(filled.pixels, whole[filled.frame])


def test_a_damaged_kept_hero_is_made_again(tmp_path):
    scene = KnownMotion(frames=3)
    fill(DotPainter(), scene.shot(), scratch=tmp_path)
    (kept,) = tmp_path.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    painter = DotPainter()
    fill(painter, scene.shot(), scratch=tmp_path)
    assert len(painter.shown) == 1


def test_a_job_that_is_done_generates_nothing():
    scene = KnownMotion(frames=3)
    painter = DotPainter()
    assert fill(painter, scene.shot(), done=(frozenset(scene.frames),)) == []
    assert painter.shown == []


def test_cancel_passes_through_the_image_engine():
    scene = KnownMotion(frames=3)
    watch = QuietWatch()

    class Cancelled(DotPainter):
        def dots(self, shot, frame, window, seed):
            raise FillCancelled

    painter = Cancelled()
    with pytest.raises(FillCancelled):
        fill(painter, scene.shot(), watch=watch)
    assert painter.closed == 1


@pytest.mark.parametrize(("frame", "words"), [(2000, "not in the frames"), (1003, "empty")])
def test_a_hero_frame_that_cannot_be_is_told(frame, words):
    scene = KnownMotion(frames=5)
    shot = scene.shot()
    shot._mattes[1003 - FIRST] = 0
    with pytest.raises(InvalidOption, match=words):
        fill(DotPainter(), shot, hero_frame=frame)


def test_an_image_engine_that_makes_nothing_is_told():
    scene = KnownMotion(frames=3)
    with pytest.raises(GenerationFailed, match="no hero frame 1002"):
        fill(ForgetfulEngine(0), scene.shot())


def test_pixels_that_are_not_numbers_are_left_to_the_clean_plate():
    scene = KnownMotion(frames=5, slide_px=(6.0, 0.0))

    class Broken(DotPainter):
        def dots(self, shot, frame, window, seed):
            painted = super().dots(shot, frame, window, seed)
            painted[:80] = np.nan
            return painted

    for filled in fill(Broken(), scene.shot()):
        assert np.isfinite(filled.pixels).all()


def test_progress_is_told_in_words_and_never_goes_back():
    scene = KnownMotion(frames=4)
    told = []

    class Watch(QuietWatch):
        def progress(self, phase, done, total):
            super().progress(phase, done, total)
            told.append((phase, done / total))

    watch = Watch()
    fill(DotPainter(), scene.shot(), watch=watch, seeds=(1, 2))
    words = [phase for phase, _ in told]
    assert "Generating the hero frame 1003" in words or "Generating the hero frame 1002" in words
    assert "Carrying frame 2 of 4" in words
    shares = [share for phase, share in told if phase.startswith(("Generating", "Carrying"))]
    assert shares == sorted(shares)
    assert any("hero frames generated" in line for line in watch.lines)
    assert watch.notes["hero_frames_take_1"]["generated"] in ([1002], [1003])


def test_the_description_is_the_image_engines_and_its_own():
    option = EngineOption("steps", "Steps", OptionType.INT, 4, "How many.", minimum=1)
    painter = DotPainter(
        ColourDomain.DISPLAY,
        options=(option,),
        needs_prompt=True,
        model="a/model",
        licence="Apache-2.0",
        commercial_use=CommercialUse.WITH_LICENCE,
        available=False,
        unavailable_reason="Not here.",
        inputs=(InputRole.REFERENCE,),
        size_multiple_px=16,
    )
    description = HeroEngine(painter).description
    assert description.id == "hero:dots"
    assert description.label == "Fake · hero frames"
    assert description.kind is EngineKind.SHOT
    assert description.domain is ColourDomain.SCENE_LINEAR
    assert description.model == "a/model"
    assert description.commercial_use is CommercialUse.WITH_LICENCE
    assert not description.available
    assert description.unavailable_reason == "Not here."
    assert description.needs_prompt
    assert description.size_multiple_px == 16
    assert {InputRole.PATCH, InputRole.REFERENCE, InputRole.STMAP} <= set(description.inputs)
    assert {"steps", "hero_frame", "hero_frames"} <= set(description.resolve({}))


def test_an_option_that_would_do_nothing_is_not_offered():
    """Heroes are made for one take at a time, whatever the image engine can do."""
    together = EngineOption("takes_at_once", "Takes at once", OptionType.INT, 0, "How many.")
    steps = EngineOption("steps", "Steps", OptionType.INT, 4, "How many.", minimum=1)
    description = HeroEngine(DotPainter(options=(together, steps))).description
    assert "takes_at_once" not in description.resolve({})
    assert "steps" in description.resolve({})


def test_the_image_engine_gets_its_own_options_and_the_prompt():
    option = EngineOption("steps", "Steps", OptionType.INT, 4, "How many.", minimum=1)
    painter = DotPainter(options=(option,))
    fill(painter, KnownMotion(frames=2).shot(), steps=9)
    (job,) = painter.jobs
    assert job.options == {"steps": 9}
    assert job.prompt == "dots"
    assert job.seeds == (7,)


def test_an_empty_patch_is_no_hero():
    scene = KnownMotion(frames=5)
    empty = scene.background(1003), np.zeros((scene.height, scene.width), np.float32)
    painter = DotPainter()
    fill(painter, scene.shot().with_inputs({InputRole.PATCH: {1003: empty}}))
    assert [frame for frame, _, _ in painter.shown] == [1003]


def test_a_fade_is_the_same_wherever_it_lies_in_memory():
    from genai_fill_server.engines.hero.making import faded

    rng = np.random.default_rng(5)
    left = rng.random((97, 131)) > 0.995
    hole = np.ones_like(left)
    first = faded(left, hole)
    assert first[left].min() == 1
    assert 0 < first[~left].max() < 1
    kept = []
    for spare in range(1, 60):
        kept.append(np.empty(spare * 977, np.uint8))  # move what is allocated next
        np.testing.assert_array_equal(faded(left.copy(), hole), first)


def test_the_views_are_shots_as_engines_know_them():
    scene = KnownMotion(frames=3)
    shot = scene.shot()
    hole = scene.matte(1002)
    rgb = np.full((*hole.shape, 3), 0.7, np.float32)
    heroes = HeroShot(shot, {1002: Hero(1002, shot.plate_window, rgb, hole)})
    one = OneFrame(shot, 1002, rgb, hole > 0, 1 - hole)
    assert isinstance(heroes, ShotPort)
    assert isinstance(one, ShotPort)
    assert heroes.input_frames(InputRole.PATCH) == (1002,)
    part = Window(100, 60, 130, 90)
    np.testing.assert_array_equal(
        heroes.input(InputRole.PATCH, 1002, part)[1], hole[60:90, 100:130]
    )
    assert list(one.frames) == [1002]
    inside = hole[60:90, 100:130] > 0
    shown = one.plate(1002, part)
    assert (shown[inside] == 0.7).all()
    np.testing.assert_array_equal(shown[~inside], shot.plate(1002, part)[~inside])


def test_origin_layers_say_which_hero_a_pixel_is_from():
    scene = KnownMotion(frames=6)
    made = fill(DotPainter(), scene.shot(), hero_frame=1003, report_layers=True)
    assert all(not filled.layers for filled in fill(DotPainter(), scene.shot(), hero_frame=1003))
    for filled in made:
        x, y = np.rint(scene.centre(filled.frame)).astype(int)
        assert filled.layers["origin"][y, x] == 1003 - filled.frame

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract import codec
from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.errors import (
    DiskFull,
    EmptyMatte,
    GenerationFailed,
    InvalidRequest,
    MissingFrames,
    OutOfMemory,
    OutputExists,
    OutputNotWritable,
    UnreadableImage,
)
from genai_fill_contract.fill import CropMode, CropPolicy, FillRequest, MatteShaping
from genai_fill_contract.plate import ColourSettings, FrameRange, MatteRef, PlateRef, path_at
from genai_fill_server.imaging.exr_write import ExrTakeStore
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.frame_line import IN_FLIGHT
from genai_fill_server.service.ports import EngineFrame, FillCancelled, FillInterrupted
from genai_fill_server.service.run_fill import run_fill
from tests.fakes.engines import (
    FailingEngine,
    FakeEngine,
    ForgetfulEngine,
    SlowEngine,
    WatchRecorder,
    describe,
)
from tests.fakes.plates import disc, grainy, write_exr
from tests.fakes.shots import SIZE, Shot, crop_of


def awkward_plate(frame):
    """A plate with everything that arithmetic would change or spread."""
    plate = grainy(*SIZE, seed=frame)
    plate[10:30, ::7] = -0.5
    plate[31:40, ::5] = 65504.0
    plate[90:100, ::3] = np.inf
    plate[101:105, ::2] = -np.inf
    plate[50:70, 60:64] = np.nan
    plate[0, 0] = 6e-8
    return plate


@pytest.mark.parametrize("kind", ["half", "float"])
def test_pixels_outside_the_matte_are_untouched_bit_for_bit(tmp_path, kind):
    shot = Shot(tmp_path, kind=kind, plate=awkward_plate).run(crop=CropPolicy(CropMode.FULL))
    bits = np.uint16 if kind == "half" else np.uint32
    for frame in shot.frames:
        take, spec = shot.take_frame(frame, kind=kind)
        assert str(spec.format) == kind
        plate = crop_of(shot.plate(frame, kind), spec)
        outside = take[..., 3] == 0
        assert outside.any()
        assert not outside.all()
        np.testing.assert_array_equal(
            np.ascontiguousarray(take[outside][:, :3]).view(bits),
            np.ascontiguousarray(plate[outside]).view(bits),
        )


def test_inside_the_matte_is_exactly_the_fill(tmp_path):
    shot = Shot(tmp_path).run()
    for frame in shot.frames:
        take, spec = shot.take_frame(frame)
        drawn = crop_of(disc(*SIZE, (60, 100 + frame % 10), 15), spec) == 1
        assert (take[drawn][:, 3] == 1).all()
        np.testing.assert_array_equal(
            take[drawn][:, :3], np.broadcast_to([0.25, 0.5, 0.75], (drawn.sum(), 3))
        )


def test_alpha_ends_exactly_where_grow_and_blend_end(tmp_path):
    shot = Shot(tmp_path).run()
    take, spec = shot.take_frame(1001)
    y, x = np.mgrid[: spec.height, : spec.width]
    y, x = y + spec.y - 60, x + spec.x - 101
    away = np.sqrt(y * y + x * x)
    assert (take[..., 3][away > 15 + 2 + 6 + 1] == 0).all()
    assert (take[..., 3][away <= 15 + 1] == 1).all()


def test_the_data_window_is_the_crop_and_the_rest_is_the_plates(tmp_path):
    header = {
        "display": (0, 0, 203, 121),
        "PixelAspectRatio": 2.0,
        "smpte__TimeCode": ("timecode", (0x12345678, 0)),
        "FramesPerSecond": ("rational", (24000, 1001)),
        "nuke__camera": "A-Kamera ü",
    }
    shot = Shot(tmp_path, **header).run()
    spec = shot.take_frame(1002)[1]
    assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == (0, 0, 203, 121)
    assert spec.width < 80
    assert spec.height < 80
    assert spec.get_float_attribute("PixelAspectRatio") == 2.0
    assert spec.getattribute("smpte:TimeCode") == (0x12345678, 0)
    assert spec.getattribute("FramesPerSecond") == (24000, 1001)
    assert spec.getattribute("nuke:camera") == "A-Kamera ü"
    assert spec.getattribute("genaifill:seed") == "7"
    assert spec.getattribute("compression") == "zip"
    assert list(spec.channelnames) == ["R", "G", "B", "A"]
    window = shot.watch.crops[0]
    assert (window.x0, window.width) == (spec.x, spec.width)


def test_overscan_and_a_display_window_away_from_the_corner_survive(tmp_path):
    # The data window begins 10 px left of and above a display window that begins at (5, 7).
    header = {"data": (-5, -3), "display": (5, 7, 180, 100)}
    shot = Shot(tmp_path, **header)
    for frame in shot.frames:
        matte = np.zeros((100, 180), np.float32)
        matte[:6, :6] = 1
        shot.write_matte(frame, matte, display=(0, 0, 180, 100))
    shot.run(crop=CropPolicy(context_px=30))
    take, spec = shot.take_frame(1001)
    assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == (5, 7, 180, 100)
    assert (spec.x, spec.y) == (-5, -3)  # context reaches into the overscan, not beyond it
    plate = shot.plate(1001)[: spec.height, : spec.width]
    outside = take[..., 3] == 0
    np.testing.assert_array_equal(take[outside][:, :3], plate[outside])
    assert (take[10:16, 10:16, 3] == 1).all()
    assert (take[10 + 6 + 9 :, :, 3] == 0).all()


def test_a_display_engine_gives_back_hdr_pixels(tmp_path):
    plate = grainy(*SIZE) * np.float32(30)
    engine = FakeEngine(
        describe(domain=ColourDomain.DISPLAY),
        paint=lambda shot, frame, window, seed: shot.plate(frame),
    )
    shot = Shot(tmp_path, kind="float", plate=lambda frame: plate).run(engine)
    take, spec = shot.take_frame(1001)
    inside = take[..., 3] == 1
    expected = crop_of(plate, spec)[inside]
    # The engine painted what it saw: there and back again through colour and shoulder.
    np.testing.assert_allclose(take[inside][:, :3], expected, rtol=2e-4)
    assert expected.max() > 10


def test_a_seam_is_matched_also_when_the_feather_is_much_wider_than_the_blend(tmp_path):
    def off(shot, frame, window, seed):
        return shot.plate(frame, window) * np.float32(1.3)

    class OffEverywhere(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            window = shot.window(frame)
            return EngineFrame(take_index, frame, window, off(shot, frame, window, seed))

    size = (360, 400)
    shot = Shot(tmp_path, frames=(1001, 1001), kind="float", size=size)
    shot.write_matte(1001, disc(*size, (180, 200), 15))
    engine = OffEverywhere(describe(matches_seams=False))
    shot.run(engine, shaping=MatteShaping(0, 80, 4), crop=CropPolicy(CropMode.FULL))
    take, spec = shot.take_frame(1001)
    inside = take[..., 3] == 1
    plate = crop_of(shot.plate(1001), spec)
    assert np.median(take[inside][:, :3] / plate[inside]) == pytest.approx(1, abs=0.03)


def test_an_engine_in_the_display_domain_sees_zero_to_one(tmp_path):
    seen = []

    def paint(shot, frame, window, seed):
        seen.append(shot.plate(frame))
        return (0.5, 0.5, 0.5)

    engine = FakeEngine(describe(domain=ColourDomain.DISPLAY), paint)
    Shot(tmp_path, plate=awkward_plate).run(engine)
    assert len(seen) == 3
    for image in seen:
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1


def test_numbers_that_are_not_are_never_written_and_are_told(tmp_path):
    def paint(shot, frame, window, seed):
        pixels = np.full((window.height, window.width, 3), 0.5, np.float32)
        pixels[window.height // 2, window.width // 2] = [0.5, np.nan, np.inf]
        return pixels

    shot = Shot(tmp_path).run(FakeEngine(paint=paint))
    assert np.isfinite(shot.take_frame(1001)[0]).all()
    assert shot.recipe()["unusable_fill_pixels"] == {"1001": 1, "1002": 1, "1003": 1}
    assert any("not numbers" in line for line in shot.watch.lines)


def test_a_fill_beyond_half_is_written_as_float(tmp_path):
    shot = Shot(tmp_path).run(FakeEngine(paint=(1e6, 2.0, 0.5)))
    take, spec = shot.take_frame(1001)
    assert str(spec.format) == "float"
    assert take[..., 0].max() == 1e6


def test_extra_layers_are_written_exactly(tmp_path):
    class LayerEngine(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            made = super().frame(shot, take_index, seed, frame, watch)
            origin = np.full(made.pixels.shape, 2049.0, np.float32)
            layers = {"origin": origin, "trust": origin[..., 0]}
            return EngineFrame(take_index, frame, made.window, made.pixels, layers)

    shot = Shot(tmp_path).run(LayerEngine())
    take, spec = shot.take_frame(1001)
    names = list(spec.channelnames)
    assert names[:4] == ["R", "G", "B", "A"]
    # 2049 does not exist in half float.
    assert (take[..., names.index("origin.G")] == 2049).all()
    assert (take[..., names.index("trust.Y")] == 2049).all()


def test_takes_get_their_own_versions_seeds_and_recipes(tmp_path):
    paint = lambda shot, frame, window, seed: (seed / 10, 0, 0)  # noqa: E731
    shot = Shot(tmp_path).run(FakeEngine(paint=paint), takes=None, seed=3)
    request = shot.request(takes=2)
    takes = allocate_takes(request, "job-2")
    assert [take.version for take in takes] == [2, 3]
    run_fill(request, FakeEngine(paint=paint), takes, local_frame_ports(), WatchRecorder())
    shot.takes = takes
    assert shot.take_frame(1001, 0)[0][..., 0].max() == pytest.approx(0.7, abs=1e-3)
    assert shot.take_frame(1001, 1)[0][..., 0].max() == pytest.approx(0.8, abs=1e-3)
    assert [shot.recipe(i)["take"]["seed"] for i in (0, 1)] == [7, 8]


def test_a_frame_without_matte_passes_the_plate_through(tmp_path):
    shot = Shot(tmp_path)
    shot.write_matte(1002, np.zeros(SIZE, np.float32))
    shot.run()
    take, spec = shot.take_frame(1002)
    assert (take[..., 3] == 0).all()
    np.testing.assert_array_equal(take[..., :3], crop_of(shot.plate(1002), spec))
    assert shot.engine.made == [(0, 1001), (0, 1003)]
    assert shot.recipe()["passed_through"] == [1002]


def test_a_matte_that_is_empty_everywhere_is_refused(tmp_path):
    shot = Shot(tmp_path)
    for frame in shot.frames:
        shot.write_matte(frame, np.zeros(SIZE, np.float32))
    with pytest.raises(EmptyMatte, match="1001-1003"):
        shot.run()
    with pytest.raises(EmptyMatte, match="shrunk"):
        Shot(tmp_path / "b").run(shaping=MatteShaping(grow_px=-40, feather_px=0, blend_px=0))


def test_an_inverted_still_matte_fills_everything_but_what_is_drawn(tmp_path):
    shot = Shot(tmp_path)
    still = tmp_path / "still.exr"
    write_exr(still, disc(*SIZE, (60, 100), 40)[..., None], "A")
    matte = MatteRef(str(still), FrameRange(1, 1), invert=True)
    shot.run(matte=matte, shaping=MatteShaping(0, 0, 0))
    for frame in shot.frames:
        take, spec = shot.take_frame(frame)
        assert (spec.width, spec.height) == (SIZE[1], SIZE[0])
        np.testing.assert_array_equal(take[..., 3], 1 - disc(*SIZE, (60, 100), 40))


def test_a_finished_job_resumes_without_the_engine(tmp_path):
    shot = Shot(tmp_path).run()
    before = [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("out/*/*.exr"))]
    again = FakeEngine()
    shot.run(again, takes=shot.takes)
    assert again.prepared == 0
    assert shot.watch.frames == [(0, 1001), (0, 1002), (0, 1003)]
    assert [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("out/*/*.exr"))] == before


def test_one_frame_that_fails_loses_nothing_and_the_job_resumes_there(tmp_path):
    shot = Shot(tmp_path)
    engine = FailingEngine(at=1003, error=RuntimeError("matrix is singular"))
    with pytest.raises(GenerationFailed, match=r"after frame 1002.*singular"):
        shot.run(engine)
    assert shot.watch.frames == [(0, 1001), (0, 1002)]
    recipe = shot.recipe()
    assert recipe["state"] == "failed: generation_failed"
    assert recipe["take"]["frames_done"] == [1001, 1002]
    engine = FakeEngine()
    shot.run(engine, takes=shot.takes)
    assert engine.jobs[0].done == (frozenset({1001, 1002}),)
    assert engine.made == [(0, 1003)]
    assert shot.recipe()["state"] == "done"
    assert shot.leftovers() == []


def test_resuming_gives_the_same_bits_as_running_through(tmp_path):
    # Seam and grain are ours here: neither may depend on where the job was resumed.
    description = describe(matches_seams=False, matches_grain=False, domain=ColourDomain.DISPLAY)
    whole = Shot(tmp_path / "a").run(FakeEngine(description))
    parts = Shot(tmp_path / "b")
    with pytest.raises(GenerationFailed):
        parts.run(FailingEngine(1002, ValueError("no"), description=description))
    parts.run(FakeEngine(description), takes=parts.takes)
    for frame in whole.frames:
        np.testing.assert_array_equal(whole.take_frame(frame)[0], parts.take_frame(frame)[0])


class Scribbler(FakeEngine):
    """Leaves a note for its next life, and dies at ``dies_at`` as a killed process does."""

    def __init__(self, dies_at=None, error=SystemExit):
        super().__init__()
        self.dies_at = dies_at
        self.error = error
        self.found = []

    def fill(self, shot, job, watch):
        folder = Path(job.scratch_dir)
        self.found = sorted(path.name for path in folder.iterdir())
        (folder / f"window{len(self.found)}").write_text("latents")
        yield from super().fill(shot, job, watch)

    def frame(self, shot, take_index, seed, frame, watch):
        if frame == self.dies_at:
            raise self.error
        return super().frame(shot, take_index, seed, frame, watch)


def test_what_an_engine_scribbles_is_there_when_it_resumes_and_gone_at_the_end(tmp_path):
    shot = Shot(tmp_path)
    with pytest.raises(SystemExit):
        shot.run(Scribbler(dies_at=1002))
    assert shot.leftovers() == [".genaifill_scratch"]
    second = Scribbler()
    shot.run(second, takes=shot.takes)
    assert second.found == ["window0"]
    assert shot.leftovers() == []


def test_a_job_whose_server_is_gone_keeps_its_scratch_and_is_not_called_cancelled(tmp_path):
    shot = Shot(tmp_path)
    with pytest.raises(FillInterrupted):
        shot.run(Scribbler(dies_at=1002, error=FillInterrupted))
    assert shot.recipe()["state"] == "interrupted"
    second = Scribbler()
    shot.run(second, takes=shot.takes)
    assert second.found == ["window0"]


@pytest.mark.parametrize("error", [FillCancelled, ValueError])
def test_a_job_that_has_ended_leaves_no_scratch(tmp_path, error):
    shot = Shot(tmp_path)
    with pytest.raises((FillCancelled, GenerationFailed)):
        shot.run(Scribbler(dies_at=1002, error=error))
    assert shot.leftovers() == []


def test_an_engine_out_of_memory_is_told_as_such(tmp_path):
    with pytest.raises(OutOfMemory):
        Shot(tmp_path).run(FailingEngine(1001, MemoryError()))


def test_cancelling_keeps_finished_frames_and_closes_the_engine(tmp_path):
    shot = Shot(tmp_path, frames=(1001, 1010))
    with pytest.raises(FillCancelled):
        shot.run(watch=WatchRecorder(cancel_after=1))
    # What was made when the first frame was finished is finished, too; no more is made.
    done = [frame for _, frame in shot.watch.frames]
    assert done == list(range(1001, 1001 + len(done)))
    assert 1 <= len(done) <= 2 + IN_FLIGHT
    assert shot.recipe()["take"]["frames_done"] == done
    assert shot.engine.closed == 1
    assert shot.recipe()["state"] == "cancelled"
    assert shot.leftovers() == []


def test_an_engine_that_never_looks_round_is_stopped_at_its_next_frame(tmp_path):
    class Deaf(FakeEngine):
        def fill(self, shot, job, watch):
            for frame in shot.frames:
                made = self.frame(shot, 0, job.seeds[0], frame, watch)
                self.made.append(frame)
                yield made

    shot = Shot(tmp_path, frames=(1001, 1012))
    engine = Deaf()
    with pytest.raises(FillCancelled):
        shot.run(engine, watch=WatchRecorder(cancel_after=2))
    assert len(engine.made) <= 3 + IN_FLIGHT


def test_a_slow_engine_is_cancelled_within_its_frame(tmp_path):
    class Impatient(WatchRecorder):
        def report(self, progress):
            super().report(progress)
            if progress.phase == "Sampling":
                self.cancelled = True

    shot = Shot(tmp_path)
    with pytest.raises(FillCancelled):
        shot.run(SlowEngine(seconds=60), watch=Impatient())
    assert shot.watch.frames == []


def test_an_engine_that_forgets_frames_is_not_called_done(tmp_path):
    with pytest.raises(GenerationFailed, match=r"1002-1003"):
        Shot(tmp_path).run(ForgetfulEngine(1))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: EngineFrame(5, m.frame, m.window, m.pixels),
        lambda m: EngineFrame(0, 9, m.window, m.pixels),
        lambda m: EngineFrame(0, m.frame, m.window, m.pixels.astype(np.float64)),
        lambda m: EngineFrame(0, m.frame, m.window, m.pixels[1:]),
        lambda m: EngineFrame(0, m.frame, m.window.shifted(30, 0), m.pixels),
        lambda m: EngineFrame(0, m.frame, m.window, m.pixels, {"x": m.pixels[1:]}),
    ],
)
def test_frames_of_the_wrong_form_are_refused(tmp_path, spoil):
    class Spoilt(FakeEngine):
        def frame(self, *args):
            return spoil(super().frame(*args))

    with pytest.raises(GenerationFailed):
        Shot(tmp_path).run(Spoilt())


def test_an_engine_may_give_more_or_less_than_the_crop(tmp_path):
    class Tight(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            window = shot.window(frame).grown(-4)
            pixels = np.full((window.height, window.width, 3), 0.5, np.float32)
            return EngineFrame(take_index, frame, window, pixels)

    shot = Shot(tmp_path).run(Tight())
    take, spec = shot.take_frame(1001)
    plate = crop_of(shot.plate(1001), spec)
    outside = take[..., 3] == 0
    np.testing.assert_array_equal(take[outside][:, :3], plate[outside])


def test_missing_frames_are_named_in_ranges_before_any_work(tmp_path):
    shot = Shot(tmp_path, frames=(1001, 1010))
    for frame in (1003, 1004, 1005, 1010):
        (tmp_path / f"in/plate.{frame}.exr").unlink()
    with pytest.raises(MissingFrames, match=r"1003-1005, 1010"):
        shot.run()
    assert shot.engine.prepared == 0


def test_a_truncated_plate_is_named(tmp_path):
    shot = Shot(tmp_path)
    path = tmp_path / "in/plate.1003.exr"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableImage, match=r"1003.*plate\.1003\.exr"):
        shot.run()
    assert (0, 1003) not in shot.watch.frames
    assert shot.leftovers() == []


def test_a_read_only_folder_is_told_before_the_engine_starts(tmp_path):
    class Refusing(ExrTakeStore):
        """What a folder without write permission does; the tests may run as root."""

        def check_place(self, path, needed_bytes):
            super().check_place(path.replace("fill_v001", "gone_v001"), needed_bytes)

    ports = local_frame_ports()
    shot = Shot(tmp_path)

    with pytest.raises(OutputNotWritable):
        shot.run(ports=replace(ports, takes=Refusing()))
    assert shot.engine.prepared == 0


def test_a_disk_that_fills_up_keeps_what_is_done_and_leaves_no_scraps(tmp_path):
    class Filling(ExrTakeStore):
        """A disk that has room for one frame."""

        def __init__(self):
            self.written = 0

        def write_frame(self, path, frame):
            if self.written == 1:
                raise DiskFull("The disk is full.", hint="Free some space.")
            self.written += 1
            super().write_frame(path, frame)

    shot = Shot(tmp_path)
    with pytest.raises(DiskFull):
        shot.run(ports=replace(local_frame_ports(), takes=Filling()))
    assert shot.watch.frames == [(0, 1001)]
    assert shot.recipe()["state"] == "failed: disk_full"
    assert shot.leftovers() == []


def test_a_matte_that_changed_before_a_job_resumes_is_said_and_nothing_is_overwritten(tmp_path):
    shot = Shot(tmp_path)
    with pytest.raises(GenerationFailed):
        shot.run(FailingEngine(at=1003, error=RuntimeError("no")))
    before = Path(path_at(shot.takes[0].path_pattern, 1001)).read_bytes()
    for frame in shot.frames:
        shot.write_matte(frame, disc(*SIZE, (60, 90), 30))
    with pytest.raises(InvalidRequest, match="matte has changed") as caught:
        shot.run(takes=shot.takes)
    assert "Generate again" in caught.value.hint
    assert Path(path_at(shot.takes[0].path_pattern, 1001)).read_bytes() == before


def test_somebody_elses_file_is_never_overwritten(tmp_path):
    shot = Shot(tmp_path)
    takes = allocate_takes(shot.request(), "job-1")
    stranger = path_at(takes[0].path_pattern, 1002)
    write_exr(stranger, grainy(*SIZE), "RGB")
    with pytest.raises(OutputExists, match="1002"):
        shot.run(takes=takes)


def test_the_recipe_makes_the_take_again(tmp_path):
    shot = Shot(tmp_path).run(prompt="a red door")
    recipe = shot.recipe()
    request = codec.decode(FillRequest, recipe["request"])
    assert request == shot.request(prompt="a red door")
    assert recipe["digital_source_type"].endswith("/compositeCapture")
    assert recipe["library_versions"].keys() >= {"numpy", "OpenImageIO", "OpenColorIO"}
    assert recipe["crops"].keys() == {"1001", "1002", "1003"}
    assert recipe["colour"]["working_colorspace"] == "ACEScg"


def test_a_trained_model_is_declared_in_every_header(tmp_path):
    shot = Shot(tmp_path).run(FakeEngine(describe(model="acme/inpaint-1")))
    spec = shot.take_frame(1001)[1]
    source = spec.getattribute("Iptc4xmpExt:DigitalSourceType")
    assert source.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert spec.getattribute("genaifill:model") == "acme/inpaint-1"


def test_progress_never_goes_back_and_ends_at_one(tmp_path):
    shot = Shot(tmp_path).run(SlowEngine(seconds=0.1))
    fractions = [report.fraction for report in shot.watch.reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert shot.watch.reports[-1].phase == "Done"


def test_a_plate_in_another_colorspace_comes_out_in_the_working_space(tmp_path):
    shot = Shot(tmp_path, kind="float")
    plate = PlateRef(
        f"{tmp_path}/in/plate.%04d.exr", shot.frames, colorspace="Linear Rec.709 (sRGB)"
    )
    shot.run(plate=plate, colour=ColourSettings(working_space="ACES2065-1"))
    take, spec = shot.take_frame(1001)
    source = crop_of(shot.plate(1001), spec)
    outside = take[..., 3] == 0
    # Neutral brightness is kept, the numbers are not.
    assert not np.allclose(take[outside][:, :3], source[outside], rtol=1e-3)
    matrix = np.array(  # Rec.709 (D65) to AP0 (ACES white), Bradford
        [
            [0.4396328, 0.3829886, 0.1773786],
            [0.0897764, 0.8134394, 0.0967842],
            [0.0175412, 0.1115466, 0.8709122],
        ]
    )
    np.testing.assert_allclose(take[outside][:, :3], source[outside] @ matrix.T, atol=2e-4)

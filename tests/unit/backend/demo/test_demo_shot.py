"""The demo's shot has a known answer, and its measures say what they claim."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage", reason="the demo's photographs come with scikit-image")

from genai_fill_contract.plate import path_at
from genai_fill_contract.take import Take
from genai_fill_server.demo.contact_sheet import contact_sheet
from genai_fill_server.demo.measure import DemoFrames, display_coded, psnr_db
from genai_fill_server.demo.run import run_demo, shown_frames
from genai_fill_server.demo.scene import LaunchPad, SceneSize
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.frame_ports import FrameHeader, TakeFrame

SMALL = SceneSize(192, 108, 3)


@pytest.fixture(scope="module")
def scene() -> LaunchPad:
    return LaunchPad(SMALL)


def test_plate_and_truth_differ_under_the_matte_alone(scene):
    made = scene.frame(1)

    same = (made.plate == made.truth).all(axis=2)
    assert same[made.matte == 0.0].all()
    assert not same[made.matte > 0.5].any()


def test_the_scene_has_highlights_grain_and_a_matte_worth_filling(scene):
    made = scene.frame(0)

    assert made.truth.max() > 5.0
    assert 0.02 < (made.matte > 0.0).mean() < 0.12
    assert not np.array_equal(scene.frame(1).truth, made.truth)


def test_the_scene_is_the_same_every_time(scene):
    again = LaunchPad(SMALL).frame(2)

    np.testing.assert_array_equal(scene.frame(2).plate, again.plate)


def test_psnr_is_that_of_display_coded_errors():
    assert psnr_db(np.full(10, 0.1, np.float32)) == pytest.approx(20.0, abs=1e-4)
    assert psnr_db(np.zeros(3, np.float32)) == float("inf")
    assert display_coded(np.array([-1.0, 0.0, 0.18, 1.0, 9.0], np.float32)) == pytest.approx(
        [0.0, 0.0, 0.4614, 1.0, 1.0], abs=1e-3
    )


def _copying(source: str):
    """Return a submit that answers with the plate or the truth itself as the take."""

    def submit(request):
        ports = local_frame_ports()
        reference = request.plate
        pattern = reference.path_pattern.replace("plate", source)
        reader = ports.plates.open_plate(type(reference)(pattern, reference.frame_range))
        matte = ports.plates.open_matte(request.matte)
        out = f"{request.output.directory}/take.%04d.exr"
        for frame in request.frame_range:
            window = reader.header(frame).display
            header = FrameHeader(display=window, data_window=window, pixel_type="half")
            rgb = reader.read(frame, window)
            alpha = matte.read(frame, window)
            ports.takes.write_frame(path_at(out, frame), TakeFrame(window, rgb, alpha, header))
        return [Take("job", 0, 1, request.seed, out, "", request.frame_range)]

    return submit


def test_the_truth_itself_measures_as_perfect(tmp_path):
    phases = []

    result = run_demo(
        tmp_path, _copying("truth"), SMALL, lambda phase, share: phases.append((phase, share))
    )

    assert result.quality.psnr_db == float("inf")
    assert result.quality.outside_px == 0
    assert result.quality.peak == result.quality.true_peak
    assert 5.0 < result.telea_psnr_db < 60.0
    assert result.contact_sheet.read_bytes().startswith(b"\x89PNG")
    assert phases[-1] == ("measure", 1.0)


def test_the_unfilled_plate_measures_worse_than_telea(tmp_path):
    result = run_demo(tmp_path, _copying("plate"), SMALL)

    assert result.quality.psnr_db < result.telea_psnr_db
    frames = DemoFrames(result.shot)
    sheet = contact_sheet(frames, result.take.path_pattern, shown_frames(result.shot), width=96)
    assert sheet.startswith(b"\x89PNG")

"""The main job through every layer: node, panel, backend process, frames, graph, script."""

import json
from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract.plate import path_at

PROMPT = 'a wall; [exec touch pwned] $HOME {x} "quoted" \\ end'


@pytest.fixture(scope="module")
def shot_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("chain")


@pytest.fixture(scope="module")
def shot(shot_folder):
    from genai_fill_server.demo.scene import SceneSize
    from genai_fill_server.demo.shot import write_demo_shot

    return write_demo_shot(shot_folder, SceneSize(480, 270, 12))


@pytest.fixture(scope="module")
def chain(shot_folder, shot):
    from examples.panel_picture import qt_application

    qt_application()  # Qt first: see panel_picture.without_numpy.
    from examples.whole_chain import run_chain

    return run_chain(
        shot_folder,
        shot.plate.path_pattern,
        shot.matte.path_pattern,
        (shot.frames.first, shot.frames.last),
        PROMPT,
        picture=shot_folder / "panel.png",
    )


def bits(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image).view(np.uint32)


def test_every_frame_of_the_range_came_back(chain):
    for frame in chain.frames:
        assert Path(path_at(chain.take_pattern, frame)).is_file()


def test_inside_the_matte_the_output_is_no_longer_the_plate(chain):
    for frame in chain.frames:
        inside = chain.blend[frame] >= 1
        assert inside.any()
        changed = (chain.output[frame] != chain.plate[frame]).any(axis=2)
        assert changed[inside].mean() > 0.9


def test_outside_the_matte_the_output_is_the_plate_bit_for_bit(chain):
    for frame in chain.frames:
        outside = chain.blend[frame] <= 0
        assert 0.5 < outside.mean() < 1
        np.testing.assert_array_equal(
            bits(chain.output[frame][outside]), bits(chain.plate[frame][outside])
        )


def test_the_saved_script_renders_the_same_without_the_plug_in(chain):
    for frame in chain.frames:
        np.testing.assert_array_equal(bits(chain.reopened[frame]), bits(chain.output[frame]))


def test_the_prompt_is_data_from_the_panel_to_the_recipe(chain, shot_folder):
    (recipe_path,) = Path(chain.take_pattern).parent.glob("*.json")
    recipe = json.loads(recipe_path.read_text(encoding="utf-8"))

    assert recipe["request"]["prompt"] == PROMPT
    assert chain.tcl_violations == ()
    assert not (shot_folder / "pwned").exists()


def test_nothing_went_wrong_on_the_way(chain):
    assert chain.errors == ()


def test_nuke_was_never_blocked(chain):
    # Generous for a busy machine; a fill that waited on the main thread would take seconds.
    assert chain.longest_stall_s < 1.0


def test_the_panel_was_seen_at_work(chain):
    assert chain.panel_picture is not None
    assert chain.panel_picture.stat().st_size > 10_000


def test_clean_plate_is_8_db_better_than_telea(chain, shot):
    from genai_fill_server.demo.measure import DemoFrames, measure_peer, measure_take
    from genai_fill_server.demo.run import telea

    frames = DemoFrames(shot)
    quality = measure_take(frames, chain.take_pattern)

    assert quality.psnr_db >= measure_peer(frames, telea) + 8.0
    assert quality.outside_px == 0
    assert quality.peak > 1.0  # highlights came through

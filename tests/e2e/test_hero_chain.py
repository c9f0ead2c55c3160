"""Approve a frame, paint another, and have both carried through the shot by a real backend."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from genai_fill_contract.plate import path_at

HERO, PAINTED = 1008, 1003
PAINT = (3.5, -0.25, 2.0)
TIMEOUT_S = 180.0


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    from genai_fill_server.demo.scene import SceneSize
    from genai_fill_server.demo.shot import write_demo_shot

    folder = tmp_path_factory.mktemp("heroes")
    shot = write_demo_shot(folder, SceneSize(320, 180, 10))
    return play(folder, shot)


def play(folder: Path, shot) -> SimpleNamespace:
    from examples.panel_picture import qt_application

    app = qt_application()  # Qt first: see panel_picture.without_numpy.
    from examples.whole_chain import (
        ROOT,
        Comp,
        approve_newest_take,
        chain_environment,
        generate_take,
    )
    from tests.fakes.nuke_standin import boot

    home = folder / "home"
    home.mkdir()
    frames = (shot.frames.first, shot.frames.last)
    with (
        chain_environment(folder),
        boot(nuke_path=[ROOT], gui=True, home=home, process_events=app.processEvents) as session,
    ):
        comp = Comp(session, shot.plate.path_pattern, shot.matte.path_pattern, frames)
        session.save(folder / "comp.nk")
        panel = comp.open_panel()
        node, nuke = comp.node, session.nuke
        nuke.frame(HERO)
        node["range_mode"].setValue("frame")
        first = generate_take(session, panel, node, TIMEOUT_S)
        approve_newest_take(panel)
        assert [hero.frame for hero in panel._actions.state.heroes] == [HERO]
        node.setInput(4, painted(nuke, folder, shot))
        node.setInput(5, comp.plate)  # control, which the clean plate does not use
        node["range_mode"].setValue("input")
        panel._actions.set_option("report_layers", True)
        second = generate_take(session, panel, node, TIMEOUT_S)
        rows = panel._actions.state.takes
        outputs = {
            frame: picture(session, node, frame) for frame in range(frames[0], frames[1] + 1)
        }
        node["view_mode"].setValue("report")
        report = picture(session, node, HERO + 1)
        errors = list(session.errors)
        panel.close()
        panel.deleteLater()
        session.pump(0.05)
    return SimpleNamespace(
        first=first, second=second, rows=rows, out=outputs, report=report, errors=errors,
        spool=list(folder.rglob("spool")),
    )  # fmt: skip


def picture(session, node, frame):
    return session.evaluate(node, frame).rgba_top_down()


def painted(nuke, folder: Path, shot):
    """A Read of one painted frame: colour and alpha 1 where the matte is."""
    from tests.unit.plugin.nuke_scene import read_exr, read_node, write_exr

    matte, _ = read_exr(path_at(shot.matte.path_pattern, PAINTED))
    pixels = np.zeros((*matte.shape[:2], 4), np.float32)
    pixels[..., :3] = PAINT
    pixels[..., 3] = 1.0
    path = folder / f"paint.{PAINTED}.exr"
    write_exr(path, pixels, ["R", "G", "B", "A"])
    return read_node(nuke, folder / "paint.%04d.exr", PAINTED, PAINTED)


def test_hero_and_paint_went_to_the_backend_as_patches_and_control_did_not(story):
    assert story.first["request"].get("inputs", []) == []
    inputs = story.second["request"]["inputs"]
    assert {given["role"] for given in inputs} == {"patch"}
    assert sorted(given["frame_range"]["first"] for given in inputs) == [PAINTED, HERO]


def test_the_painted_frame_is_what_was_painted(story):
    out = story.out[PAINTED][..., :3]
    near = np.abs(out - np.float32(PAINT)).max(axis=2) < 0.05
    assert near.sum() > 200


def test_the_report_shows_in_the_node(story):
    assert story.second["engine_options"]["report_layers"] is True
    assert np.isfinite(story.report).all()
    assert story.report[..., 1].max() > 0


def test_the_take_says_how_much_of_it_is_real(story):
    assert "real" in story.rows[0].summary


def test_nothing_went_wrong_and_nothing_lies_about(story):
    assert story.errors == []
    assert story.spool == []

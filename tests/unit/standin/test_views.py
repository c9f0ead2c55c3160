"""Scripts with several views: what is asked for, OneView, JoinViews, saving."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.standin.exr_files import noise, raw_read, write_exr

EYES = {"left": noise(seed=1), "right": noise(seed=2)}


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        session.set_views("left", "right")
        for view, pixels in EYES.items():
            write_exr(tmp_path / f"plate_{view}.0001.exr", pixels)
        yield session


def stereo_read(session, tmp_path):
    return raw_read(session.nuke, tmp_path / "plate_%V.%04d.exr")


def shows(session, node, view):
    """Whose eye's pixels come out of a node when ``view`` is looked at."""
    out = session.evaluate(node, 1, view).rgba_top_down()
    return next((eye for eye, pixels in EYES.items() if np.array_equal(out, pixels)), "")


def test_a_script_has_one_view_until_it_is_given_others(tmp_path):
    with boot(home=tmp_path) as session:
        assert session.nuke.views() == ["main"]
        assert session.nuke.root()["hero_view"].value() == "main"
        session.set_views("left", "right")
        assert session.nuke.views() == ["left", "right"]
        assert session.nuke.root()["hero_view"].value() == "left"
        session.nuke.scriptClear()
        assert session.nuke.views() == ["main"]


def test_a_read_looks_for_the_view_in_its_file_name(session, tmp_path):
    read = stereo_read(session, tmp_path)
    assert [shows(session, read, view) for view in EYES] == ["left", "right"]
    assert shows(session, read, None) == "left"


def test_one_view_gives_its_view_whichever_is_looked_at(session, tmp_path):
    nuke = session.nuke
    one = nuke.nodes.OneView(inputs=[stereo_read(session, tmp_path)])
    assert one["view"].values() == ["\a", "left", "right"]
    assert [shows(session, one, view) for view in EYES] == ["left", "left"]
    one["view"].setValue("right")
    assert [shows(session, one, view) for view in EYES] == ["right", "right"]
    one["disable"].setValue(True)
    assert [shows(session, one, view) for view in EYES] == ["left", "right"]


def test_join_views_has_an_input_a_view(session, tmp_path):
    nuke = session.nuke
    read = stereo_read(session, tmp_path)
    eyes = [nuke.nodes.OneView(inputs=[read], view=view) for view in EYES]
    joined = nuke.nodes.JoinViews(inputs=eyes)
    assert joined.maxInputs() == 2
    assert [shows(session, joined, view) for view in EYES] == ["left", "right"]
    swapped = nuke.nodes.JoinViews(inputs=eyes[::-1])
    assert [shows(session, swapped, view) for view in EYES] == ["right", "left"]


def test_a_render_takes_the_views_it_is_told(session, tmp_path):
    nuke = session.nuke
    write = nuke.nodes.Write(
        inputs=[stereo_read(session, tmp_path)],
        file=str(tmp_path / "out_%V.%04d.exr"),
        file_type="exr",
        raw=True,
    )
    write["datatype"].setValue("32 bit float")
    write["channels"].setValue("rgba")
    nuke.execute(write, 1, 1, 1, ["right"])
    assert [path.name for path in tmp_path.glob("out_*")] == ["out_right.0001.exr"]
    nuke.execute(write, 1, 1)
    again = raw_read(nuke, tmp_path / "out_%V.%04d.exr")
    assert [shows(session, again, view) for view in EYES] == ["left", "right"]
    with pytest.raises(RuntimeError, match="no view 'middle'"):
        nuke.execute(write, 1, 1, 1, ["middle"])
    write["file"].setValue(str(tmp_path / "both.%04d.exr"))
    with pytest.raises(NotImplementedError):
        nuke.execute(write, 1, 1)


def test_views_are_saved_with_the_script(session, tmp_path):
    nuke = session.nuke
    nuke.nodes.OneView(inputs=[stereo_read(session, tmp_path)], view="right")
    session.save(tmp_path / "stereo.nk")
    nuke.scriptClear()
    session.open(tmp_path / "stereo.nk")
    assert nuke.views() == ["left", "right"]
    assert nuke.root()["hero_view"].value() == "left"
    assert shows(session, nuke.toNode("OneView1"), "left") == "right"

"""Nuke renders one thing at a time: a fill waits for the artist's own render."""

import threading

import pytest

from genai_fill.app import spool_plates
from genai_fill.app.ports import HostBusy
from genai_fill.app.watch import FillStopped
from genai_fill_contract.errors import NukeFailed
from tests.unit.plugin.nuke_scene import comp
from tests.unit.plugin.rig import Rig


def busy_for(rig, times, asked=None):
    """Let the host be busy for the first ``times`` tries, or always for None."""
    tries = []

    def on_spool(what, frame):
        tries.append((what, frame))
        if asked is not None:
            asked.set()
        if times is None or len(tries) <= times:
            raise HostBusy

    rig.host.on_spool = on_spool
    return tries


def submit_on_a_thread(rig, watch):
    outcome = []

    def work():
        try:
            outcome.append(rig.submit("u1", watch))
        except (FillStopped, NukeFailed) as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


@pytest.fixture
def rig(monkeypatch):
    monkeypatch.setattr(spool_plates, "BUSY_WAIT_S", 0.01)
    rig = Rig()
    rig.host.add()
    return rig


def test_a_fill_waits_for_another_render_and_then_writes_every_frame(rig):
    tries = busy_for(rig, 3)
    thread, outcome = submit_on_a_thread(rig, rig.watch())
    thread.join(10)

    frames = [(what, frame) for frame in range(1001, 1005) for what in ("plate", "matte")]
    assert tries == [frames[0]] * 3 + frames
    assert [stage.phase for stage in rig.stages].count("Waiting for another render in Nuke") == 3
    assert outcome[0].id == rig.host.node("u1").job_id


def test_cancel_ends_the_wait_for_another_render(rig):
    asked, watch = threading.Event(), rig.watch()
    busy_for(rig, None, asked)
    thread, outcome = submit_on_a_thread(rig, watch)
    assert asked.wait(10)
    watch.cancel()
    thread.join(10)

    assert not thread.is_alive()
    assert isinstance(outcome[0], FillStopped)
    assert not rig.backend.requests


def test_a_fill_from_within_a_render_says_so_and_does_not_wait_for_itself(rig):
    busy_for(rig, None)
    with pytest.raises(NukeFailed, match="rendering something else"):
        rig.submit("u1", rig.watch())


def test_a_plate_is_not_rendered_and_nothing_touched_during_another_render(tmp_path):
    with comp(tmp_path) as (session, node):
        # The session imports the plug-in anew, so the class is another one than above.
        from genai_fill.app.ports import HostBusy as Busy
        from genai_fill.nuke_host.host import NukeHost

        host, uuid = NukeHost(), node["fill_uuid"].value()
        session.nuke.root()["proxy"].setValue(True)
        session.world.executing = True
        with pytest.raises(Busy):
            host.spool_plate(uuid, f"{tmp_path}/plate.%04d.exr", 1001)
        assert session.nuke.root()["proxy"].value() is True
        assert node.node("SpoolPlate")["file"].value() == ""
        session.world.executing = False
        host.spool_plate(uuid, f"{tmp_path}/plate.%04d.exr", 1001)
        assert (tmp_path / "plate.1001.exr").is_file()

import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.plugin.nuke_scene import REPOSITORY, Wired, comp, filled


def uuids(session):
    return [n["fill_uuid"].value() for n in session.nuke.allNodes("Group")]


def fill(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    assert app.session.state.error is None


def test_every_new_node_has_an_identity_of_its_own(tmp_path):
    with comp(tmp_path) as (session, _):
        session.select()
        session.nuke.createNode("GenAIFill")
        found = uuids(session)
        assert len(set(found)) == 2
        assert all(len(uuid) == 32 for uuid in found)


def test_a_copy_is_another_node_that_keeps_the_takes_but_not_the_job(tmp_path):
    with comp(tmp_path) as (session, node):
        fill(session, Wired())
        node["job_id"].setValue("running")
        copy = session.copy_paste(node)
        assert copy["fill_uuid"].value() != node["fill_uuid"].value()
        assert copy["job_id"].value() == ""
        assert node["job_id"].value() == "running"
        assert copy["take"].value() == "v001"
        assert copy["take_list"].value() == node["take_list"].value()


def test_a_reopened_script_keeps_identity_takes_and_picture(tmp_path):
    with comp(tmp_path) as (session, node):
        fill(session, Wired())
        uuid = node["fill_uuid"].value()
        session.save(tmp_path / "comp.nk")
        session.open(tmp_path / "comp.nk")
        again = session.nuke.toNode("GenAIFill1")
        assert again["fill_uuid"].value() == uuid
        assert again["take"].value() == "v001"
        assert list(again["take"].values()) == ["none", "v001"]
        assert filled(session.evaluate(again, 1003).rgba_top_down())


def test_undoing_a_deletion_brings_the_same_node_back(tmp_path):
    with comp(tmp_path) as (session, node):
        uuid = node["fill_uuid"].value()
        session.nuke.delete(node)
        session.undo()
        assert uuids(session) == [uuid]


def test_a_new_node_starts_with_the_engine_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAI_FILL_ENGINE_DEFAULT", "diffusers:flux")
    with comp(tmp_path) as (_, node):
        assert node["engine"].value() == "diffusers:flux"
        assert node["engine_choice"].value() == "diffusers:flux"


def test_wrong_settings_do_not_stop_a_node_from_being_made(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAI_FILL_ENGINE_DEFUALT", "x")
    with comp(tmp_path) as (_, node):
        assert node["engine"].value() == "cleanplate"


def test_choosing_a_take_on_the_node_shows_it(tmp_path):
    with comp(tmp_path) as (session, node):
        fill(session, Wired())
        session.set_knob_as_user(node, "take", "none")
        assert not filled(session.evaluate(node, 1003).rgba_top_down())
        session.set_knob_as_user(node, "take", "v001")
        assert filled(session.evaluate(node, 1003).rgba_top_down())


def test_choosing_an_engine_on_the_node_starts_with_its_defaults(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        app.session.follow_selection()
        app.session.set_option("detail", 5)
        app.session.refresh_engines()
        assert session.pump(20, until=lambda: app.session.state.engines != ())
        session.set_knob_as_user(node, "engine_choice", "painter")
        assert node["engine"].value() == "painter"
        assert node["engine_options"].value() == ""


def test_an_engine_that_the_backend_has_not_stays_on_the_node(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        uuid = node["fill_uuid"].value()
        app.host.edit(uuid, {"engine_id": "studio:own"})
        app.session.follow_selection()
        app.session.refresh_engines()
        assert session.pump(20, until=lambda: app.session.state.engines != ())
        assert node["engine"].value() == node["engine_choice"].value() == "studio:own"


def test_the_custom_range_can_be_typed_only_when_it_counts(tmp_path):
    with comp(tmp_path) as (session, node):
        session.open_control_panel(node)
        assert not node["first"].enabled()
        session.set_knob_as_user(node, "range_mode", "custom")
        assert node["first"].enabled()
        assert node["last"].enabled()


def test_opening_a_script_follows_the_jobs_it_waited_for(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill import bootstrap

        app = Wired()
        from genai_fill.app.watch import FillWatch

        watch = FillWatch(lambda stage: None, lambda line: None)
        app.run._submit(node["fill_uuid"].value(), watch)
        session.save(tmp_path / "comp.nk")
        session.nuke.scriptClear()
        bootstrap._built[:] = [bootstrap._Application(app.host, app.run, app.session, app.cancel)]
        session.open(tmp_path / "comp.nk")
        again = session.nuke.toNode("GenAIFill1")
        assert session.pump(20, until=lambda: again["job_id"].value() == "")
        assert again["take_list"].value().count("1004") >= 1
        assert again["take"].value() == "none"


def test_a_script_without_jobs_builds_nothing_when_it_is_opened(tmp_path):
    with comp(tmp_path) as (session, _):
        from genai_fill import bootstrap

        session.save(tmp_path / "comp.nk")
        session.open(tmp_path / "comp.nk")
        assert bootstrap._built == []


@pytest.mark.parametrize("environment", [{}, {"OCIO": "/show/config.ocio"}])
def test_colour_settings_come_from_the_script_and_ocio_stands_over_it(tmp_path, environment):
    with boot(nuke_path=[REPOSITORY], home=tmp_path) as session:
        from genai_fill.nuke_host.colour import NUKE_LINEAR, colour_settings

        root = session.nuke.root()
        assert root["colorManagement"].value() == "Nuke"
        plain = colour_settings(environment)
        if environment:
            assert plain.ocio_config == "/show/config.ocio"
            return
        assert (plain.ocio_config, plain.working_space) == ("", NUKE_LINEAR)
        root["colorManagement"].setValue("OCIO")
        root["OCIO_config"].setValue("custom")
        root["customOCIOConfigPath"].setValue("/show/custom.ocio")
        assert colour_settings(environment).ocio_config == "/show/custom.ocio"

import sys
import types

import pytest

from tests.unit.plugin.http_front import backend_over_http
from tests.unit.plugin.nuke_scene import comp, filled, writing_backend


@pytest.fixture
def state_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAI_FILL_BACKEND_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GENAI_FILL_BACKEND_AUTOSTART", "no")
    return tmp_path / "state"


def serving_to(state_dir):
    return backend_over_http(state_dir, writing_backend)


def test_a_script_without_a_gui_generates_and_waits(tmp_path, state_dir):
    with comp(tmp_path, gui=False, through="NoOp") as (session, node), serving_to(state_dir):
        from genai_fill import bootstrap

        job = bootstrap.generate(node)
        assert job.state == "done"
        assert node["take"].value() == "v001"
        assert filled(session.evaluate(node, 1004).rgba_top_down())


def test_without_a_gui_what_went_wrong_is_raised(tmp_path, state_dir):
    with comp(tmp_path, gui=False) as (_, node):
        from genai_fill import bootstrap
        from genai_fill_contract.errors import BackendUnreachable

        with pytest.raises(BackendUnreachable, match="No backend is running"):
            bootstrap.generate(node, wait=True)
        assert "genai-fill serve" in node["status"].value()


def test_without_a_gui_a_failed_job_is_raised(tmp_path, state_dir):
    with comp(tmp_path, gui=False) as (_, node), serving_to(state_dir) as backend:
        from genai_fill import bootstrap
        from genai_fill_contract.errors import EmptyMatte, ErrorReport

        backend.fails_with = ErrorReport.of(EmptyMatte("It is empty.", hint="Paint it."))
        with pytest.raises(EmptyMatte):
            bootstrap.generate(node)


def test_the_nodes_buttons_generate_and_cancel(tmp_path, state_dir):
    with comp(tmp_path) as (session, node), serving_to(state_dir) as backend:
        from genai_fill import bootstrap

        stop = []
        backend.on_event = lambda event: stop.append(1) if event.kind == "frame" else None
        session.press(node, "generate")
        assert session.pump(20, until=lambda: node["status"].value().startswith("Done"))
        assert filled(session.evaluate(node, 1001).rgba_top_down())
        session.press(node, "cancel")
        assert bootstrap.panel_actions().state.error is None
        assert backend.cancelled == []


def test_cancel_reaches_the_backend(tmp_path, state_dir):
    import threading

    with comp(tmp_path) as (session, node), serving_to(state_dir) as backend:
        gate = threading.Event()
        backend.on_event = lambda event: gate.wait(10) if event.id == 4 else None
        session.press(node, "generate")
        assert session.pump(20, until=lambda: node["job_id"].value() != "")
        session.press(node, "cancel")
        assert session.pump(20, until=lambda: backend.cancelled == ["job1"])
        gate.set()
        assert session.pump(20, until=lambda: node["status"].value() == "Cancelled.")
        assert node["job_id"].value() == ""


def test_without_a_gui_cancel_tells_the_backend_and_follows_nothing(tmp_path, state_dir):
    import threading

    with comp(tmp_path, gui=False) as (_, node), serving_to(state_dir) as backend:
        from genai_fill import bootstrap
        from genai_fill.app.watch import FillWatch

        watch = FillWatch(lambda stage: None, lambda line: None)
        host, run = bootstrap._application().host, bootstrap._application().run
        run._submit(host.identify(node), watch)
        assert node["job_id"].value() == "job1"
        bootstrap.cancel(node)
        assert backend.cancelled == ["job1"]
        assert node["status"].value() in ("Cancelling", "Cancelled.")
        threads = [thread.name for thread in threading.enumerate()]
        assert not [name for name in threads if name.startswith("genai-fill")]


def test_without_a_gui_a_cancel_that_reaches_nobody_is_raised(tmp_path, state_dir):
    with comp(tmp_path, gui=False) as (_, node):
        from genai_fill import bootstrap
        from genai_fill_contract.errors import BackendUnreachable

        node["job_id"].setValue("job1")
        with pytest.raises(BackendUnreachable):
            bootstrap.cancel(node)
        assert "genai-fill serve" in node["status"].value()
        assert node["job_id"].value() == "job1"


def test_without_a_gui_cancelling_nothing_is_nothing(tmp_path, state_dir):
    with comp(tmp_path, gui=False) as (session, node):
        session.press(node, "cancel")
        assert node["status"].value() == " "


def test_without_a_gui_no_job_is_followed_on_a_thread(tmp_path, state_dir):
    with comp(tmp_path, gui=False) as (_, node), serving_to(state_dir):
        import threading

        from genai_fill import bootstrap

        node["job_id"].setValue("job1")
        application = bootstrap._application()
        application.session.focus(application.host.identify(node))
        application.session.resume_all()
        threads = [thread.name for thread in threading.enumerate()]
        assert not [name for name in threads if name.startswith("genai-fill")]
        assert node["job_id"].value() == "job1"


@pytest.mark.parametrize("way", ["run", "post"])
def test_without_a_gui_nuke_is_not_touched_from_another_thread(tmp_path, way):
    import threading

    with comp(tmp_path, gui=False) as (_, node):
        from genai_fill.nuke_host.main_thread import MainThread

        main, raised = MainThread(), []

        def touch():
            try:
                getattr(main, way)(lambda: node["status"].setValue("touched"))
            except RuntimeError as error:
                raised.append(error)

        thread = threading.Thread(target=touch)
        thread.start()
        thread.join()
        assert "main thread only" in str(raised[0])
        assert type(raised[0]) is RuntimeError
        assert node["status"].value() == " "
        getattr(main, way)(lambda: node["status"].setValue("touched"))
        assert node["status"].value() == "touched"


def test_the_panel_opens_for_the_node_whose_button_was_pressed(tmp_path, state_dir):
    with comp(tmp_path) as (session, node):
        from genai_fill import bootstrap

        class Panel:
            def __init__(self, actions):
                self.actions = actions

        module = types.ModuleType("genai_fill.ui.panel")
        module.FillPanel = Panel
        sys.modules["genai_fill.ui.panel"] = module
        session.press(node, "open_panel")
        assert bootstrap.panel_actions().state.node_name == "GenAIFill1"
        widget = bootstrap.make_panel_widget()
        assert widget.actions is bootstrap.panel_actions()
        bootstrap.open_panel()
        assert session.errors == []


@pytest.mark.parametrize("comes", [True, False])
def test_a_panel_that_is_open_is_brought_to_the_front_or_opened_anew(tmp_path, state_dir, comes):
    with comp(tmp_path) as (session, node):
        from genai_fill.nuke_host.menu import PANEL_ID

        asked = []
        module = types.ModuleType("genai_fill.ui.in_front")
        module.bring_to_front = lambda: asked.append(comes) or comes
        sys.modules["genai_fill.ui.in_front"] = module
        session.press(node, "open_panel")
        first = session.world.panels[PANEL_ID]
        assert asked == []
        session.press(node, "open_panel")
        assert asked == [comes]
        assert (session.world.panels[PANEL_ID] is first) == comes


def test_pressing_generate_without_a_backend_says_so_on_the_node(tmp_path, state_dir):
    with comp(tmp_path) as (session, node):
        session.press(node, "generate")
        assert session.pump(20, until=lambda: "No backend is running" in node["status"].value())
        assert "backend" in node["label"].value()


def test_the_wired_backend_process_starts_a_real_program(tmp_path, state_dir, monkeypatch):
    """The command is started with the state folder, and its failure reaches the node."""
    program = tmp_path / "fails.py"
    program.write_text("import sys; sys.exit('no licence server')")
    monkeypatch.setenv("GENAI_FILL_BACKEND_AUTOSTART", "yes")
    monkeypatch.setenv("GENAI_FILL_BACKEND_COMMAND", f"{sys.executable} {program}")
    with comp(tmp_path) as (session, node):
        session.press(node, "generate")
        assert session.pump(30, until=lambda: "no licence server" in node["status"].value())

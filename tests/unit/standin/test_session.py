"""Start-up, menus, buttons, callbacks, panels, threads: Nuke as an artist's program."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from tests.fakes.nuke_standin import ContextLeak, OffMainThread, boot


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        yield session


@pytest.fixture
def nuke(session):
    return session.nuke


# -- buttons and context ------------------------------------------------------------------------


def group_with_button(nuke, code):
    group = nuke.nodes.Group(name="Fill1")
    with group:
        nuke.nodes.NoOp(name="Inner")
    group.addKnob(nuke.PyScript_Knob("go", "Go", code))
    group.addKnob(nuke.String_Knob("out"))
    return group


def test_a_button_runs_inside_its_group(session, nuke):
    group = group_with_button(
        nuke,
        "nuke.thisNode()['out'].setValue(' '.join(["
        "nuke.thisNode().name(), nuke.thisKnob().name(), nuke.thisGroup().name(), "
        "str(nuke.toNode('Inner') is not None), str(nuke.toNode('Fill1'))]))\n"
        "nuke.createNode('Dot')",
    )
    session.press(group, "go")
    assert group["out"].value() == "Fill1 go Fill1 True None"
    assert nuke.allNodes("Dot") == []
    assert group.node("Dot1") is not None
    assert nuke.thisGroup() == nuke.root()
    session.undo()
    assert (group["out"].value(), group.node("Dot1")) == ("", None)


def test_an_open_group_after_a_button_is_a_leak(session, nuke):
    group = group_with_button(nuke, "nuke.root().begin()")
    with pytest.raises(ContextLeak):
        session.press(group, "go")
    assert nuke.thisGroup() == nuke.root()
    assert nuke.thisKnob() is None


def test_errors_of_a_button_reach_the_caller_and_restore_the_context(session, nuke):
    group = group_with_button(nuke, "raise KeyError('x')")
    with pytest.raises(KeyError):
        session.press(group, "go")
    assert nuke.thisGroup() == nuke.root()


def test_a_disabled_button_cannot_be_pressed(session, nuke):
    group = group_with_button(nuke, "pass")
    group["go"].setEnabled(False)
    with pytest.raises(AssertionError, match="disabled"):
        session.press(group, "go")


# -- callbacks ----------------------------------------------------------------------------------


def test_knob_changed_needs_an_open_panel_or_the_always_flag(session, nuke):
    node, seen = nuke.createNode("NoOp", inpanel=False), []
    for name in ("a", "b"):
        node.addKnob(nuke.String_Knob(name))
    nuke.addKnobChanged(lambda: seen.append(nuke.thisKnob().name()), nodeClass="NoOp")
    node["a"].setValue("1")
    assert seen == []
    node["b"].setFlag(nuke.KNOB_CHANGED_ALWAYS)
    node["b"].setValue("1")
    assert seen == ["b"]
    session.set_knob_as_user(node, "a", "2")
    assert seen == ["b", "showPanel", "a"]
    node.setInput(0, nuke.nodes.Constant())
    assert seen[-1] == "inputChange"
    session.close_control_panel(node)
    node["a"].setValue("3")
    assert seen[-1] == "inputChange"


def test_knob_changed_does_not_recurse_and_hears_real_changes_only(session, nuke):
    node, seen = nuke.createNode("NoOp"), []
    node.addKnob(nuke.String_Knob("a"))
    node.addKnob(nuke.String_Knob("b"))

    def changed():
        seen.append(nuke.thisKnob().name())
        nuke.thisNode()["b"].setValue(str(len(seen)))

    nuke.addKnobChanged(changed, node=node)
    node["a"].setValue("x")
    node["a"].setValue("x")
    assert seen == ["a"]


def test_callbacks_run_own_code_then_the_class_then_all(nuke):
    seen = []
    nuke.addOnCreate(lambda: seen.append("all"))
    nuke.addOnCreate(lambda: seen.append("class"), nodeClass="NoOp")
    nuke.addOnCreate(lambda: seen.append("other"), nodeClass="Dot")
    nuke.addOnUserCreate(lambda: seen.append("user"))
    nuke.nodes.NoOp()
    assert seen == ["class", "all"]
    seen.clear()
    nuke.createNode("NoOp")
    assert seen == ["user", "class", "all"]


def test_callbacks_can_be_removed_and_take_arguments(nuke):
    seen = []

    def call(what, more=""):
        seen.append(what + more)

    nuke.addOnCreate(call, args=("x",), kwargs={"more": "y"})
    nuke.nodes.NoOp()
    nuke.removeOnCreate(call, args=("x",), kwargs={"more": "y"})
    nuke.nodes.NoOp()
    assert seen == ["xy"]


CREATE = (
    "Group {{\n name {name}\n onCreate \"nuke.tprint('outer', nuke.thisNode().name(), "
    'nuke.thisGroup().name())"\n}}\n NoOp {{\n  name In\n  onCreate '
    "\"nuke.tprint('inner', nuke.thisNode().fullName())\"\n }}\nend_group\n"
)


def test_on_create_runs_at_load_paste_and_undo_of_delete_inner_nodes_first(session, nuke, tmp_path):
    (tmp_path / "a.nk").write_text(CREATE.format(name="G"))
    session.open(tmp_path / "a.nk")
    assert session.printed == ["inner G.In", "outer G G"]
    session.printed.clear()
    session.copy_paste(nuke.toNode("G"))
    assert session.printed == ["inner G1.In", "outer G1 G1"]
    session.printed.clear()
    nuke.delete(nuke.toNode("G1"))
    session.undo()
    assert session.printed == ["inner G1.In", "outer G1 G1"]


def test_script_callbacks(session, nuke, tmp_path):
    seen = []
    for kind in ("Load", "Save", "Close"):
        getattr(nuke, f"addOnScript{kind}")(lambda kind=kind: seen.append(kind))
    nuke.addOnDestroy(lambda: seen.append(f"gone {nuke.thisNode().name()}"))
    node = nuke.createNode("NoOp")
    session.save(tmp_path / "a.nk")
    session.open(tmp_path / "a.nk")
    assert seen == ["Save", "Close", "gone NoOp1", f"gone {tmp_path.as_posix()}/a.nk", "Load"]
    seen.clear()
    nuke.delete(nuke.toNode("NoOp1"))
    assert seen == ["gone NoOp1"]
    assert node is not None


def test_update_ui_runs_when_idle(session, nuke):
    seen = []
    nuke.addUpdateUI(lambda: seen.append(nuke.thisNode().name()), nodeClass="NoOp")
    nuke.nodes.NoOp()
    session.idle()
    assert seen == ["NoOp1"]


# -- dialogs and panels -------------------------------------------------------------------------


def test_dialogs_are_recorded_and_answered(session, nuke):
    nuke.message("hello")
    session.answer(True, False)
    assert nuke.ask("sure?") is True
    assert nuke.askWithCancel("really?") is False
    nuke.warning("careful")
    assert session.messages == [
        ("message", "hello"),
        ("ask", "sure?"),
        ("askWithCancel", "really?"),
        ("warning", "careful"),
    ]
    with pytest.raises(AssertionError, match="no answer"):
        nuke.ask("again?")


def test_a_registered_widget_is_made_when_its_pane_opens(session, nuke, tmp_path, monkeypatch):
    (tmp_path / "standin_widget.py").write_text(
        "made = []\nclass Panel:\n    def __init__(self):\n        made.append(self)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import nukescripts
    from nukescripts import panels

    widget = "__import__('standin_widget', fromlist=['Panel']).Panel"
    assert panels.registerWidgetAsPanel(widget, "GenAI Fill", "my.panel") is None
    assert nukescripts.panels is panels
    assert "standin_widget" not in sys.modules
    assert nuke.getPaneFor("my.panel") is None
    opened = session.open_panel("my.panel")
    assert type(opened).__name__ == "Panel"
    assert session.open_panel("my.panel") is not opened
    assert nuke.getPaneFor("my.panel") is not None
    assert nuke.getPaneFor("Properties.1") is not None
    session.invoke_menu("Pane", "GenAI Fill")
    panel = panels.registerWidgetAsPanel(widget, "Other", "other.panel", True)
    panel.addToPane(nuke.getPaneFor("Properties.1"))
    assert nuke.getPaneFor("other.panel") is not None
    with pytest.raises(TypeError, match="as text"):
        panels.registerWidgetAsPanel(object, "X", "x")
    del sys.modules["standin_widget"]


def test_a_custom_knob_makes_its_object_lazily(nuke):
    node = nuke.nodes.NoOp()
    node.addKnob(nuke.PyCustom_Knob("ui", "", "__import__('nowhere_module').Widget()"))
    with pytest.raises(ModuleNotFoundError):
        node["ui"].getObject()


# -- threads ------------------------------------------------------------------------------------


def in_thread(function):
    """Run and return (thread, box): box holds the result or the error."""
    box = {}

    def run():
        try:
            box["result"] = function()
        except Exception as error:  # noqa: BLE001 - handed to the test
            box["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, box


@pytest.mark.parametrize("what", ["function", "node", "knob", "constructor", "create", "undo"])
def test_nuke_is_for_the_main_thread_only(session, nuke, what):
    node = nuke.nodes.NoOp()
    knob = node["label"]
    calls = {
        "function": nuke.allNodes,
        "node": node.name,
        "knob": lambda: knob.setValue("x"),
        "constructor": nuke.nodes.NoOp,
        "create": lambda: nuke.createNode("NoOp"),
        "undo": lambda: nuke.Undo.begin("x"),
    }
    thread, box = in_thread(calls[what])
    thread.join(5)
    assert isinstance(box["error"], OffMainThread)


def test_a_worker_gets_its_result_from_the_main_thread(session, nuke):
    main = threading.get_ident()

    def work():
        thread_of = nuke.executeInMainThreadWithResult(threading.get_ident)
        return thread_of == main, nuke.executeInMainThreadWithResult(
            lambda a, b=0: a + b, 3, {"b": 4}
        )

    thread, box = in_thread(work)
    assert session.pump(5, until=lambda: not thread.is_alive())
    assert box["result"] == (True, 7)


def test_an_error_on_the_main_thread_gives_the_worker_none_and_is_kept(session, nuke):
    thread, box = in_thread(lambda: nuke.executeInMainThreadWithResult(nuke.toNode, (3,)))
    assert session.pump(5, until=lambda: not thread.is_alive())
    assert box["result"] is None
    assert "TypeError" in session.errors[0]


def test_calls_without_result_are_served_in_order(session, nuke):
    seen = []

    def work():
        for number in range(3):
            nuke.executeInMainThread(seen.append, number)

    thread, _ = in_thread(work)
    thread.join(5)
    assert seen == []
    session.pump()
    assert seen == [0, 1, 2]


def test_waiting_for_the_main_thread_on_the_main_thread_raises(nuke):
    with pytest.raises(RuntimeError, match="hang"):
        nuke.executeInMainThreadWithResult(lambda: None)


def test_nobody_serves_in_terminal_mode(tmp_path):
    with boot(gui=False, home=tmp_path) as session:
        thread, box = in_thread(lambda: session.nuke.executeInMainThreadWithResult(lambda: None))
        thread.join(5)
        assert "nobody serves" in str(box["error"])


def test_workers_are_let_go_when_nuke_ends(tmp_path):
    with boot(home=tmp_path) as session:
        nuke = session.nuke
        thread, box = in_thread(lambda: nuke.executeInMainThreadWithResult(lambda: None))
        time.sleep(0.05)
    thread.join(5)
    assert not thread.is_alive()
    assert "shutting down" in str(box["error"])


def test_pump_says_whether_what_was_awaited_came(session):
    started = time.monotonic()
    assert session.pump(0.05, until=lambda: False) is False
    assert time.monotonic() - started < 2
    assert session.pump(0) is True


def test_pump_runs_the_event_hook(tmp_path):
    calls = []
    with boot(home=tmp_path, process_events=lambda: calls.append(1)) as session:
        session.pump(0)
    assert calls == [1]


def test_progress_tasks_work_from_a_thread_and_are_recorded(session, nuke):
    def work():
        task = nuke.ProgressTask("Filling")
        task.setMessage("frame 1")
        task.setProgress(10)
        return task.isCancelled()

    thread, box = in_thread(work)
    thread.join(5)
    assert box["result"] is False
    assert len(session.world.progress_tasks) == 1


# -- what must not be left behind or done ---


@pytest.mark.parametrize("code", ["nuke.Undo.disable()", "nuke.Undo.begin('x')"])
def test_undo_left_disabled_or_open_is_a_leak(session, nuke, code):
    group = group_with_button(nuke, code)
    with pytest.raises(ContextLeak, match="undo"):
        session.press(group, "go")


def test_rendering_from_a_callback_is_refused(session, nuke, tmp_path):
    write = nuke.nodes.Write(inputs=[nuke.nodes.Constant()], file=str(tmp_path / "o.exr"), raw=True)
    nuke.addOnCreate(lambda: nuke.execute(write, 1, 1), nodeClass="Dot")
    with pytest.raises(RuntimeError, match="already executing"):
        nuke.nodes.Dot()
    group = group_with_button(nuke, "nuke.execute('root.Write1', 1, 1)")
    session.press(group, "go")
    assert (tmp_path / "o.exr").is_file()

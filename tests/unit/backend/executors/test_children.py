"""The server's side of a child process, against small real processes."""

from __future__ import annotations

import sys
import textwrap

import pytest

from genai_fill_contract.errors import GenAIFillError, MissingFrames, WorkerDied
from genai_fill_contract.plate import ColourSettings
from genai_fill_contract.settings import Settings
from genai_fill_server.executors import child_process
from genai_fill_server.executors.child_process import ChildCommand, ChildGone, ChildProcess
from genai_fill_server.executors.engine_catalogue import RememberedEngines
from genai_fill_server.executors.protocol import Describe, Start
from genai_fill_server.executors.side_process import SideProcess
from genai_fill_server.service.job_ports import ThumbnailRequest
from tests.fakes.job_stores import PAINT, WORDY

START = Start(Settings(), "cpu", ())
READY = 'import sys, json, time; print(json.dumps({"type": "Ready", "pid": 1}), flush=True)\n'


@pytest.fixture
def command(tmp_path):
    """Make the command of a child that runs a few lines of Python after it is ready."""

    def make(code: str, *, ready: bool = True) -> ChildCommand:
        whole = (READY if ready else "") + textwrap.dedent(code)
        return ChildCommand([sys.executable, "-c", whole], {}, tmp_path / "child.log")

    return make


def wait_for_the_end(child):
    while child.receive(10) is None:
        pass


def send_forever(child):
    for _ in range(10_000):
        child.send(Describe(1))


def test_a_child_that_cannot_be_started_is_gone(tmp_path):
    with pytest.raises(ChildGone, match="cannot be started"):
        ChildProcess(ChildCommand(["/nowhere/python"], {}, tmp_path / "log"), START)


def test_a_folder_of_logs_that_was_tidied_away_is_made_anew(command):
    given = command("time.sleep(60)")
    log = given.log_path.parent / "logs" / "child.log"
    child = ChildProcess(ChildCommand(given.arguments, {}, log), START)
    child.end(grace_s=0.1)
    assert log.is_file()


def test_a_child_whose_log_cannot_be_opened_is_gone(command, tmp_path):
    (tmp_path / "logs").write_text("a file, and no folder")
    given = command("")
    with pytest.raises(ChildGone, match=r"its log .*child\.log cannot be opened"):
        ChildProcess(ChildCommand(given.arguments, {}, tmp_path / "logs" / "child.log"), START)


@pytest.mark.parametrize("code", ["", "raise SystemExit(7)", "print('hello')"])
def test_a_child_that_does_not_get_ready_is_gone(command, code):
    with pytest.raises(ChildGone):
        ChildProcess(command(code, ready=False), START)


def test_the_end_of_a_child_is_told_after_its_last_message_with_how_and_where_to_look(command):
    answer = '{"type": "Logged", "job_id": "j", "message": "last words"}'
    child = ChildProcess(command(f"sys.stdin.readline(); print('{answer}'); sys.exit(9)"), START)
    assert child.receive(10).message == "last words"
    with pytest.raises(ChildGone, match=r"exit code 9 \(log: .*child.log\)"):
        wait_for_the_end(child)
    assert not child.is_alive
    child.end()


def test_a_child_that_breaks_the_protocol_is_ended(command):
    child = ChildProcess(command("print('oops', flush=True); time.sleep(60)"), START)
    with pytest.raises(ChildGone):
        wait_for_the_end(child)
    child.end()


def test_a_child_that_does_not_leave_is_killed(command):
    child = ChildProcess(command("time.sleep(60)"), START)
    child.end(grace_s=0.1)
    assert not child.is_alive


def test_a_poke_wakes_who_waits(command):
    child = ChildProcess(command("sys.stdin.read()"), START)
    child.poke()
    assert child.receive(30) is None
    child.end()


def test_nothing_can_be_sent_to_a_child_that_is_gone(command):
    child = ChildProcess(command("sys.exit(0)"), START)
    child._process.wait(10)
    with pytest.raises(ChildGone):
        send_forever(child)
    child.end()


def test_a_log_that_grew_is_put_aside(command, tmp_path, monkeypatch):
    monkeypatch.setattr(child_process, "_MAX_LOG_BYTES", 100)
    (tmp_path / "child.log").write_text("old " * 100)
    ChildProcess(command("print('new', file=sys.stderr)"), START).end()
    assert (tmp_path / "child.log.1").read_text().startswith("old")
    assert (tmp_path / "child.log").read_text() == "new\n"


class FakeChild:
    """Answers questions like a child; dies when told."""

    pid = 1

    def __init__(self, answers) -> None:
        self.answers = answers
        self.is_alive = True
        self.ended = False

    def send(self, message) -> None:
        self.asked = message

    def receive(self, timeout_s):
        answer = self.answers.pop(0)
        if answer == "die":
            self.is_alive = False
            raise ChildGone("it died")
        return answer(self.asked) if answer else None

    def end(self, grace_s=0.0) -> None:
        self.ended = True


def engines_answer(question):
    from genai_fill_server.executors.protocol import Engines

    return Engines(question.request_id, (PAINT,))


def refusal(question):
    from genai_fill_contract.errors import ErrorReport
    from genai_fill_server.executors.protocol import Refused

    return Refused(
        question.request_id, ErrorReport.of(MissingFrames("Not there.", hint="Render it."))
    )


def stale(question):
    from genai_fill_server.executors.protocol import Engines

    return Engines(question.request_id - 1, (WORDY,))


def test_a_dead_side_process_fails_one_question_and_not_the_next():
    children = [FakeChild(["die"]), FakeChild([engines_answer])]
    side = SideProcess(lambda: children.pop(0))
    first = children[0]
    with pytest.raises(WorkerDied, match="it died"):
        side.describe()
    assert first.ended
    assert side.describe() == (PAINT,)
    side.stop()


def test_a_refusal_is_raised_and_an_answer_to_an_earlier_question_is_not_taken():
    child = FakeChild([refusal, stale, engines_answer])
    side = SideProcess(lambda: child)
    with pytest.raises(MissingFrames, match="Not there"):
        side.png(ThumbnailRequest("/x", 1, 320, ColourSettings()))
    assert side.describe() == (PAINT,)
    side.stop()
    assert child.ended


def test_an_idle_side_process_ends_and_a_silent_one_is_given_up():
    child = FakeChild([engines_answer])
    side = SideProcess(lambda: child, idle_timeout_s=0.05)
    side.describe()
    from tests.fakes.backend_process import wait_until

    wait_until(lambda: child.ended)
    silent = FakeChild([None] * 10**6)
    with pytest.raises(WorkerDied, match="did not answer"):
        SideProcess(lambda: silent, answer_timeout_s=0.05).describe()
    assert silent.ended


class Memory:
    def __init__(self) -> None:
        self.kept = {}

    def load(self, fingerprint):
        return self.kept.get(fingerprint)

    def save(self, fingerprint, engines) -> None:
        self.kept = {fingerprint: engines}


class World:
    """What the catalogue can see."""

    def __init__(self) -> None:
        self.fingerprint = "one"
        self.engines = (PAINT,)
        self.asked = 0
        self.now_s = 0.0

    def ask(self):
        self.asked += 1
        if isinstance(self.engines, GenAIFillError):
            raise self.engines
        return self.engines

    def catalogue(self, memory) -> RememberedEngines:
        return RememberedEngines(
            self.ask, lambda found: found, lambda: self.fingerprint, memory, lambda: self.now_s
        )


def test_engines_are_asked_once_and_remembered_over_a_restart():
    world, memory = World(), Memory()
    catalogue = world.catalogue(memory)
    assert catalogue.engines() == catalogue.engines() == (PAINT,)
    assert world.catalogue(memory).engines() == (PAINT,)
    assert world.asked == 1


def test_engines_are_asked_again_when_something_changed():
    world, memory = World(), Memory()
    catalogue = world.catalogue(memory)
    catalogue.engines()
    world.engines, world.fingerprint = (PAINT, WORDY), "two"
    assert catalogue.engines() == (PAINT,)
    world.now_s += 60
    assert catalogue.engines() == (PAINT, WORDY)
    assert world.catalogue(memory).engines() == (PAINT, WORDY)
    assert world.asked == 2


def test_engines_are_asked_at_once_when_a_change_is_told():
    world = World()
    catalogue = world.catalogue(Memory())
    catalogue.engines()
    world.engines = (PAINT, WORDY)
    catalogue.ask_again()
    assert catalogue.engines() == catalogue.engines() == (PAINT, WORDY)
    assert world.asked == 2


def test_an_answer_that_was_under_way_when_the_change_came_does_not_count():
    world = World()
    catalogue = world.catalogue(Memory())
    ask, told = world.ask, []

    def ask_while_it_changes():
        answer = ask()
        if not told:
            told.append(True)
            world.engines = (PAINT, WORDY)
            catalogue.ask_again()
        return answer

    catalogue._ask = ask_while_it_changes
    assert catalogue.engines() == (PAINT,)
    assert catalogue.engines() == (PAINT, WORDY)


def test_a_failed_question_is_told_and_asked_again():
    world = World()
    world.engines = WorkerDied("It died.", hint="Look.")
    catalogue = world.catalogue(Memory())
    with pytest.raises(WorkerDied):
        catalogue.engines()
    world.engines = (PAINT,)
    assert catalogue.engines() == (PAINT,)


def test_many_who_ask_at_once_make_one_question():
    import threading
    import time

    world = World()
    ask = world.ask
    world.ask = lambda: (time.sleep(0.1), ask())[1]
    catalogue = world.catalogue(Memory())
    threads = [threading.Thread(target=catalogue.engines) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.asked == 1

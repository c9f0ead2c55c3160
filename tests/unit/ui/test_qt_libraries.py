"""The script that gets Qt's system libraries asks nothing and oversteps nothing."""

from __future__ import annotations

import subprocess

import pytest

from examples import qt_libraries

MISSING_EGL = "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory"


class Shell:
    """Stands for `subprocess.run`: Qt starts once the libraries are installed."""

    def __init__(self, *, reason: str = "", apt_works: bool = True) -> None:
        self.reason = reason
        self.apt_works = apt_works
        self.commands: list[list[str]] = []
        self.frontends: list[str | None] = []

    def __call__(self, command, *, env, timeout, check, **_kept):
        if command[0] != "apt-get":
            failed = bool(self.reason)
            return subprocess.CompletedProcess(command, int(failed), "", self.reason + "\n")
        self.commands.append(command)
        self.frontends.append(env.get("DEBIAN_FRONTEND"))
        if "install" in command and self.apt_works:
            self.reason = ""
        return subprocess.CompletedProcess(command, 0 if self.apt_works else 100, "", "")


@pytest.fixture
def run_main(monkeypatch):
    def main(shell: Shell, *, user_id: int = 0, tools: tuple[str, ...] = ("apt-get",)) -> int:
        def find(name: str) -> str | None:
            return f"/usr/bin/{name}" if name in tools else None

        monkeypatch.setattr(qt_libraries.os, "getuid", lambda: user_id)
        return qt_libraries.main(run=shell, find=find)

    return main


def test_qt_starts_on_this_machine():
    assert qt_libraries.why_qt_fails() == ""


def test_where_qt_starts_nothing_is_installed(run_main):
    shell = Shell()
    assert run_main(shell) == 0
    assert shell.commands == []


def test_root_with_apt_get_installs_without_questions(run_main):
    shell = Shell(reason=MISSING_EGL)
    assert run_main(shell) == 0
    assert shell.commands[-1][:3] == ["apt-get", "install", "-y"]
    assert "libegl1" in shell.commands[-1]
    assert set(shell.frontends) == {"noninteractive"}


def test_others_are_told_the_command_and_nothing_is_run(run_main, capsys):
    shell = Shell(reason=MISSING_EGL)
    assert run_main(shell, user_id=1000) == 1
    assert shell.commands == []
    assert "sudo apt-get install -y --no-install-recommends libegl1" in capsys.readouterr().err


def test_a_failing_install_prints_the_command(run_main, capsys):
    assert run_main(Shell(reason=MISSING_EGL, apt_works=False)) == 1
    assert "apt-get install" in capsys.readouterr().err


def test_where_no_package_tool_is_known_the_libraries_are_named(run_main, capsys):
    assert run_main(Shell(reason=MISSING_EGL), tools=()) == 1
    assert "EGL" in capsys.readouterr().err


def test_dnf_is_named_but_not_run(run_main, capsys):
    shell = Shell(reason=MISSING_EGL)
    assert run_main(shell, tools=("dnf",)) == 1
    assert shell.commands == []
    assert "dnf install" in capsys.readouterr().err


def test_a_missing_pyside_is_not_taken_for_a_missing_library(run_main, capsys):
    shell = Shell(reason="ModuleNotFoundError: No module named 'PySide6'")
    assert run_main(shell) == 1
    assert shell.commands == []
    assert 'install -c constraints.txt -e ".[demo]"' in capsys.readouterr().err

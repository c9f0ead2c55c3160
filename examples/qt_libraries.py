"""See that Qt can draw here, and get the system libraries that it needs where that is possible.

PySide6 comes from the package index, but a bare Linux has not the libraries that Qt Widgets
links to. As root with apt-get they are installed; otherwise the command to run is printed and
the exit status is 1. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

APT_PACKAGES = (
    "libegl1",
    "libgl1",
    "libxkbcommon0",
    "libfontconfig1",
    "libdbus-1-3",
    "libglib2.0-0",
)
DNF_PACKAGES = (
    "mesa-libEGL",
    "mesa-libGL",
    "libxkbcommon",
    "fontconfig",
    "dbus-libs",
    "glib2",
)

# Of its own process: an import that fails half-way leaves nothing behind to trip over, and
# libraries installed in between are found at the second try. numpy is hidden because PySide6
# 6.5 prints a page about numpy 2 and then goes on without it.
_PROBE = """
import sys
sys.modules["numpy"] = None
from PySide6.QtWidgets import QApplication
QApplication(["probe"])
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def why_qt_fails(run: Run = subprocess.run) -> str:
    """Return the last line of what Qt says when it cannot start off screen, else ''."""
    done = run(
        [sys.executable, "-c", _PROBE],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"the import ended with status {done.returncode}"


def is_missing_library(reason: str) -> bool:
    """Whether the reason is a shared library that is not there, not PySide6 itself."""
    return "cannot open shared object file" in reason


def install_command(find: Callable[[str], str | None] = shutil.which) -> list[str] | None:
    """Return the command that installs the libraries here, None when none is known."""
    if find("apt-get"):
        return ["apt-get", "install", "-y", "--no-install-recommends", *APT_PACKAGES]
    if find("dnf"):
        return ["dnf", "install", "-y", *DNF_PACKAGES]
    return None


def may_install(command: Sequence[str], user_id: int) -> bool:
    """Whether the script may run the command itself: root, and apt-get."""
    return user_id == 0 and command[0] == "apt-get"


def install(command: Sequence[str], run: Run = subprocess.run) -> bool:
    """Run an apt-get command without questions; returns whether it succeeded."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A container's package lists are often empty or old; installing tells if they still are.
    run(["apt-get", "update", "-q"], env=env, timeout=600, check=False)
    done = run(list(command), env=env, timeout=900, check=False)
    return done.returncode == 0


def main(run: Run = subprocess.run, find: Callable[[str], str | None] = shutil.which) -> int:
    """Return 0 when Qt can draw here, 1 with an explanation on stderr when it cannot."""
    reason = why_qt_fails(run)
    if not reason:
        return 0
    if not is_missing_library(reason):
        return _give_up(
            f"Qt does not start: {reason}",
            "Install the extra, in this folder: python -m pip install -c constraints.txt "
            '-e ".[demo]"',
        )
    command = install_command(find)
    if command is None:
        return _give_up(
            f"Qt needs system libraries: {reason}",
            "Install EGL, OpenGL, xkbcommon, fontconfig, D-Bus and GLib.",
        )
    user_id = os.getuid() if hasattr(os, "getuid") else -1
    if may_install(command, user_id) and install(command, run):
        reason = why_qt_fails(run)
        return 0 if not reason else _give_up(f"Qt still does not start: {reason}")
    prefix = "" if user_id == 0 else "sudo "
    return _give_up(
        f"Qt needs system libraries: {reason}",
        f"Run this, then try again:\n  {prefix}{' '.join(command)}",
    )


def _give_up(*lines: str) -> int:
    print("\n".join(lines), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

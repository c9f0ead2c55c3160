"""Nothing in the panel's code can wait: read from the code itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import genai_fill.ui

FOLDER = Path(genai_fill.ui.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))

ALLOWED = {
    "__future__",
    "PySide6.QtCore",
    "PySide6.QtGui",
    "PySide6.QtWidgets",
    "collections.abc",
    "dataclasses",
    "enum",
    "genai_fill",
    "genai_fill_contract",
    "html",
    "math",
    "shiboken6",
    "typing",
    "weakref",
}
WAITING = {"exec", "exec_", "processEvents", "sleep", "wait", "join", "waitForFinished", "getText"}


def imports_of(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[0] if name.startswith("genai_fill") else name for name in names}


def waiting_calls_of(tree: ast.AST) -> set[str]:
    """Return calls that wait; joining text is no waiting."""
    return {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WAITING
        and not isinstance(node.func.value, ast.Constant)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_the_panel_imports_nothing_that_waits_and_runs_no_loop(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert imports_of(tree) <= ALLOWED
    assert waiting_calls_of(tree) == set()


@pytest.mark.parametrize(
    "code", ["menu.exec()", "time.sleep(1)", "thread.join()", "app.processEvents()"]
)
def test_waiting_would_be_seen(code):
    assert waiting_calls_of(ast.parse(code))


def test_the_folder_is_really_read():
    assert {"panel", "take_list", "fields"} <= {path.stem for path in MODULES}

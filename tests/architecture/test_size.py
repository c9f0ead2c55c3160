"""Limits that keep modules and functions readable."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("plugin", "backend") for path in (ROOT / folder).rglob("*.py"))
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_STARTUP_LINES = 30


def test_there_are_sources_to_measure():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_stays_readable(path):
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= MAX_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("name", ["init.py", "menu.py"])
def test_start_up_files_stay_tiny(name):
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= MAX_STARTUP_LINES


def test_no_drawer_modules():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}

    assert not [path for path in SOURCES if path.stem in drawers or path.parent.name in drawers]

import ast
import sys

import pytest

from tests.unit.plugin.nuke_scene import REPOSITORY

OURS = {"genai_fill", "genai_fill_contract"}
HOST = {"nuke", "nukescripts"}
QT = {"PySide6", "shiboken6"}
FILES = sorted((REPOSITORY / "plugin").rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the package"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nothing_but_the_standard_library_nuke_and_qt_is_imported(path):
    allowed = set(sys.stdlib_module_names) | OURS
    drawer = path.relative_to(REPOSITORY / "plugin").as_posix()
    if drawer.startswith("genai_fill/nuke_host/") or drawer == "genai_fill/bootstrap.py":
        allowed |= HOST
    if drawer.startswith("genai_fill/ui/"):
        allowed |= QT
    if drawer.startswith("genai_fill_contract/"):
        allowed -= {"genai_fill"}
    assert set(imported(path)) <= allowed


def test_there_are_files_to_look_at():
    assert len(FILES) > 30

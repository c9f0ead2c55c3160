"""Each dependency rule, broken once on purpose: a rule that cannot fail protects nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BREAKS = {
    "plugin and backend meet only in the contract": (
        "plugin/genai_fill/domain/zz_break.py",
        "import genai_fill_server.domain",
    ),
    "the contract imports nobody": (
        "plugin/genai_fill_contract/zz_break.py",
        "import numpy",
    ),
    "plugin layers": (
        "plugin/genai_fill/domain/zz_break.py",
        "import genai_fill.app",
    ),
    "backend layers": (
        "backend/genai_fill_server/service/zz_break.py",
        "import genai_fill_server.engines",
    ),
    "nuke is imported in nuke_host only": (
        "plugin/genai_fill/app/zz_break.py",
        "import nuke",
    ),
    "Qt is imported in ui only": (
        "plugin/genai_fill/nuke_host/zz_break.py",
        "import PySide6",
    ),
    "torch, diffusers, OpenCV and numba are imported in engines only": (
        "backend/genai_fill_server/service/zz_break.py",
        "import torch",
    ),
    "OpenImageIO and PyOpenColorIO are imported in imaging only": (
        "backend/genai_fill_server/engines/zz_break.py",
        "import OpenImageIO",
    ),
    "the web framework is imported in http only": (
        "backend/genai_fill_server/service/zz_break.py",
        "import fastapi",
    ),
    "the model hub is imported in models only": (
        "backend/genai_fill_server/service/zz_break.py",
        "import huggingface_hub",
    ),
    "the backend's domain computes with numpy alone": (
        "backend/genai_fill_server/domain/zz_break.py",
        "import sqlite3",
    ),
    "no package cycles": (
        "plugin/genai_fill/domain/zz_break.py",
        "import genai_fill.app.zz_other",
    ),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = [{str(tree / 'plugin')!r}, {str(tree / 'backend')!r}];"
            "from importlinter.cli import lint_imports_command as main; main()",
            "--no-cache",
        ],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("plugin", "backend"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def test_every_rule_has_a_break():
    import tomllib

    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]

    assert {contract["name"] for contract in contracts} == set(BREAKS)


def test_the_tree_keeps_every_rule(tree):
    result = lint(tree)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_seen(tree, rule):
    path, line = BREAKS[rule]
    offender = tree / path
    other = tree / "plugin/genai_fill/app/zz_other.py"
    try:
        offender.write_text(f'"""A break on purpose."""\n\n{line}\n', encoding="utf-8")
        other.write_text(
            '"""The other half of a cycle."""\n\nimport genai_fill.domain\n', encoding="utf-8"
        )
        result = lint(tree)
    finally:
        offender.unlink()
        other.unlink()

    assert result.returncode != 0
    assert f"{rule} BROKEN" in result.stdout.replace("\n", " ").replace("  ", " ")


def test_a_drawer_is_refused(tree):
    drawer = tree / "backend/genai_fill_server/utils.py"
    drawer.write_text('"""A drawer on purpose."""\n', encoding="utf-8")
    try:
        result = lint(tree)
    finally:
        drawer.unlink()

    assert result.returncode != 0
    assert "backend layers BROKEN" in result.stdout

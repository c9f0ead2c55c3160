"""What the server process loads: nothing heavy, and nothing before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "torch", "cv2", "numba", "OpenImageIO", "PyOpenColorIO", "diffusers", "httpx"}


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "module", ["genai_fill_server.bootstrap.server", "genai_fill_server.cli.main"]
)
def test_the_server_imports_nothing_heavy(module):
    assert not loaded(f"import {module}") & HEAVY


def test_the_worker_sets_its_environment_before_it_imports_anything():
    code = """
import builtins, os, sys
from genai_fill_server.bootstrap import worker
assert "numpy" not in sys.modules, "too early"
os.environ["HF_HUB_OFFLINE"] = "0"
seen = []
real = builtins.__import__
def watch(name, *rest):
    if name == "genai_fill_server.executors.worker_loop":
        seen.append((os.environ["HF_HUB_OFFLINE"], os.environ["OMP_WAIT_POLICY"]))
        raise SystemExit
    return real(name, *rest)
builtins.__import__ = watch
try:
    worker.main()
except SystemExit:
    builtins.__import__ = real
assert seen == [("1", "PASSIVE")], seen
sys.stdout = sys.__stdout__
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL)

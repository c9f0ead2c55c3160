"""A model whose licence forbids commercial use, through the real server: listed, not run.

What the families make is tested from the node, in ``test_families_in_nuke``.
"""

from __future__ import annotations

import pytest

from tests.fakes.backend_process import BackendProcess
from tests.fakes.tiny_pipelines import build

# Building the toy models touches classes that diffusers moved; loading them does not.
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")


def test_a_model_whose_licence_forbids_it_is_not_run_without_the_setting(tmp_path):
    build("flux-fill", tmp_path / "models" / "flux-fill")
    process = BackendProcess(
        tmp_path / "state",
        tmp_path,
        tmp_path / "no_studio_engines",
        models_dirs=tmp_path / "models",
        models_device="cpu",
    ).start()
    try:
        engines = {e.id: e for e in process.client().engines().engines}
        blocked = engines["diffusers:flux-fill"]
        assert not blocked.available
        assert "allow_non_commercial" in blocked.unavailable_reason
    finally:
        process.stop()

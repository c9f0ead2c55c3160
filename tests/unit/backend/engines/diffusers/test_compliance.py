"""The suite that every engine must pass, for each way in which families differ.

What holds for all of them is in ``test_families.py``.
"""

from __future__ import annotations

import pytest

from tests.compliance.engines.suite import EngineCompliance, RecordingWatch
from tests.unit.backend.engines.diffusers.driving import engine_of


class DiffusersCompliance(EngineCompliance):
    model = ""
    frame_count = 3
    options = {"steps": 2}  # noqa: RUF012 - overridden, never changed

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tiny):
        engine = engine_of(tiny(cls.model))
        engine.prepare(RecordingWatch())
        yield engine
        engine.release()


class TestStableDiffusion(DiffusersCompliance):
    model = "stable-diffusion"


class TestZImageControlNet(DiffusersCompliance):
    model = "z-image-controlnet"


class TestQwenImageControlNet(DiffusersCompliance):
    model = "qwen-image-controlnet"


class TestQwenImageEdit(DiffusersCompliance):
    model = "qwen-image-edit-plus"


class TestTakesInOneCall(DiffusersCompliance):
    model = "flux2-klein-distilled"
    options = {"steps": 2, "takes_at_once": 3}  # noqa: RUF012 - as above


class TestAFrameAhead(DiffusersCompliance):
    """As on a GPU: the model's call in a thread of its own."""

    model = "stable-diffusion"

    @pytest.fixture(autouse=True)
    def _as_on_a_gpu(self, monkeypatch):
        from genai_fill_server.engines.diffusers import runtime

        monkeypatch.setattr(runtime, "works_beside", lambda device: True)


class TestWanVace(DiffusersCompliance):
    model = "wan-vace"
    frame_count = 5
    options = {"steps": 1, "window_frames": 5, "overlap_frames": 1}  # noqa: RUF012 - as above

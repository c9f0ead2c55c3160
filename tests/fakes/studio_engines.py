"""A studio's own engines, as a test package: copied beside an entry point, never imported here.

``studio:paint`` fills with one colour, after ``delay_s`` a frame, and can be told to die.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from genai_fill_contract.engine import (
    ColourDomain,
    CommercialUse,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_server.service.ports import EngineFrame

OPTIONS = (
    EngineOption("delay_s", "Delay", OptionType.FLOAT, 0.0, "Wait before each frame.", 0, 60),
    EngineOption("deaf_s", "Deaf", OptionType.FLOAT, 0.0, "Sleep without a look round.", 0, 60),
    EngineOption("die_at", "Die at", OptionType.INT, -1, "Frame before which it dies."),
    EngineOption("deaths", "Deaths", OptionType.INT, 1, "How often it dies there."),
    EngineOption("skip", "Skip", OptionType.INT, -1, "Frame that it does not make."),
    EngineOption("raise_at", "Raise at", OptionType.INT, -1, "Frame at which it raises."),
    EngineOption("memory_folder", "Memory", OptionType.FILE, "", "Where it counts its deaths."),
)


class Paint:
    def __init__(self, settings, **described):
        self.settings = settings
        self.description = EngineDescription(
            **{
                "id": "studio:paint",
                "label": "Paint",
                "kind": EngineKind.IMAGE,
                "domain": ColourDomain.SCENE_LINEAR,
                "help": "One colour.",
                "options": OPTIONS,
                "matches_seams": True,
                "matches_grain": True,
                "model": "paint-1",
                "licence": "Apache-2.0",
                **described,
            }
        )

    def prepare(self, watch):
        watch.log(f"pid={os.getpid()} threads={os.environ.get('OMP_NUM_THREADS')}")
        watch.log("offline=" + os.environ.get("HF_HUB_OFFLINE", "unset"))
        watch.log(f"device={self.settings['models.device']}")
        print("libraries print at will")  # noqa: T201
        os.write(1, b"native ones too\n")
        assert sys.stdin.read() == ""

    def fill(self, shot, job, watch):
        for take, seed in enumerate(job.seeds):
            for frame in shot.frames:
                if frame in job.done[take]:
                    continue
                watch.preview(take, frame, np.full((4, 6, 3), 0.5, np.float32))
                self._wait(job.options, watch)
                self._misbehave(job.options, frame)
                if frame == job.options["skip"]:
                    continue
                window = shot.window(frame)
                pixels = np.full((window.height, window.width, 3), 0.25 + seed % 7, np.float32)
                yield EngineFrame(take, frame, window, pixels)

    def release(self):
        pass

    def _wait(self, options, watch):
        time.sleep(options["deaf_s"])
        until = time.monotonic() + options["delay_s"]
        watch.check()
        while time.monotonic() < until:
            time.sleep(0.02)
            watch.check()

    def _misbehave(self, options, frame):
        if frame == options["raise_at"]:
            raise ValueError("the paint ran out")
        if frame != options["die_at"]:
            return
        memory = Path(options["memory_folder"])
        died = len(list(memory.glob("death-*")))
        if died < options["deaths"]:
            (memory / f"death-{died}").touch()
            os.abort() if sys.platform == "win32" else os.kill(os.getpid(), 9)


def create(settings):
    return [
        Paint(settings),
        Paint(
            settings,
            id="studio:forbidden",
            label="Forbidden",
            licence="CC-BY-NC-4.0",
            commercial_use=CommercialUse.NO,
        ),
        Paint(
            settings,
            id="studio:absent",
            label="Absent",
            available=False,
            unavailable_reason="Its weights are on another disk.",
        ),
        Paint(settings, id="studio:wordy", label="Wordy", needs_prompt=True),
    ]


def create_broken(settings):
    raise RuntimeError("this one never loads")

"""The application wired to the fakes, as bootstrap wires it to the world."""

from __future__ import annotations

import itertools

from genai_fill.app.cancel_fill import CancelFill
from genai_fill.app.follow_job import FollowJob
from genai_fill.app.model_desk import ModelDesk
from genai_fill.app.panel_session import PanelSession
from genai_fill.app.run_fill import RunFill
from genai_fill.app.start_backend import BackendConnection
from genai_fill.app.submit_fill import SubmitFill
from genai_fill.app.watch import FillWatch
from tests.unit.plugin.fakes import (
    PERSON,
    FakeBackend,
    FakeBrowser,
    FakeClock,
    FakeFiles,
    FakeFinder,
    FakeFolders,
    FakeHost,
    FakeProcess,
    FixedSettings,
    Tasks,
)


class Rig:
    def __init__(self, *, at_once: bool = True, **environment: str) -> None:
        self.host = FakeHost()
        self.backend = FakeBackend()
        self.clock = FakeClock()
        self.process = FakeProcess(self.backend, self.clock)
        self.settings = FixedSettings(**environment)
        self.folders = FakeFolders()
        self.files = FakeFiles()
        self.browser = FakeBrowser()
        self.tasks = Tasks(at_once=at_once)
        self.stages = []
        self.lines = []
        keys = itertools.count()
        self.randoms = iter(range(100, 200))
        self.connection = BackendConnection(
            FakeFinder(self.backend), self.process, self.settings, self.clock
        )
        random_below = lambda bound: next(self.randoms)  # noqa: E731
        self.submit = SubmitFill(
            self.host,
            self.connection,
            self.folders,
            self.files,
            self.settings,
            PERSON,
            random_below,
            lambda: f"key{next(keys)}",
        )
        self.follow = FollowJob(self.connection, self.clock)
        self.run = RunFill(
            self.host,
            self.submit,
            self.follow,
            self.folders,
            self.files,
            self.settings,
            self.clock,
        )
        self.session = PanelSession(
            self.host,
            self.connection,
            self.run,
            CancelFill(self.connection),
            self.browser,
            self.tasks,
            random_below,
            ModelDesk(self.host, self.connection, self.tasks, self.clock, PERSON),
        )

    def watch(self) -> FillWatch:
        return FillWatch(self.stages.append, self.lines.append)

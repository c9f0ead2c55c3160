"""A small shot on disk, and a comp with the node in the Nuke stand-in."""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from tests.fakes.nuke_standin import boot
from tests.unit.plugin import fakes as _fakes  # noqa: F401 - so that there is one to renew

REPOSITORY = Path(__file__).resolve().parents[3]
FAKES = "tests.unit.plugin.fakes"
WIDTH, HEIGHT = 32, 20


def write_exr(path, pixels, names, *, half=False, colorspace=""):
    """Write (h, w, channels) float32, row 0 at the top."""
    spec = oiio.ImageSpec(
        pixels.shape[1], pixels.shape[0], pixels.shape[2], "half" if half else "float"
    )
    spec.channelnames = names
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), spec)
    out.write_image(np.ascontiguousarray(pixels, dtype=np.float32))
    out.close()


def read_exr(path):
    """Return pixels, channel names and the spec of an EXR file."""
    image = oiio.ImageInput.open(str(path))
    assert image is not None, oiio.geterror()
    spec = image.spec()
    pixels = image.read_image("float")
    image.close()
    return np.asarray(pixels).reshape(spec.height, spec.width, spec.nchannels), spec


def plate_pixels(frame):
    """Scene-linear, with negatives and highlights."""
    generator = np.random.default_rng(frame)
    return (generator.random((HEIGHT, WIDTH, 3)) * 12 - 1).astype(np.float32)


def matte_pixels(frame):
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    pixels[5:12, 8 + frame % 3 : 20, 3] = 1.0
    pixels[2:4, 2:4, 0] = 0.5
    return pixels


def write_shot(folder, first=1001, last=1004, *, half=False):
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(first, last + 1):
        write_exr(folder / f"plate.{frame}.exr", plate_pixels(frame), ["R", "G", "B"], half=half)
        write_exr(folder / f"matte.{frame}.exr", matte_pixels(frame), ["R", "G", "B", "A"])


def read_node(nuke, pattern, first=1001, last=1004):
    read = nuke.nodes.Read(raw=True)
    read["file"].setValue(re.sub(r'([\[\]$"{};])', r"\\\1", str(pattern)))
    for knob, value in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
        read[knob].setValue(value)
    return read


@contextmanager
def fresh_fakes():
    """Import the fakes anew inside: a booted Nuke has the plug-in's classes anew, too."""
    parent, name = sys.modules[FAKES.rpartition(".")[0]], FAKES.rpartition(".")[2]
    kept = sys.modules.pop(FAKES)
    try:
        yield
    finally:
        sys.modules[FAKES] = kept
        setattr(parent, name, kept)


@contextmanager
def comp(tmp_path, *, gui=True, connect=True, half=False, through=None, version=(16, 0)):
    """A saved script with two Reads and the node. ``through`` puts a Grade or the like between."""
    write_shot(tmp_path / "plates", half=half)
    home = tmp_path / "home"
    with (
        fresh_fakes(),
        boot(nuke_path=[REPOSITORY], gui=gui, home=home, version=version) as session,
    ):
        nuke = session.nuke
        plate, matte = (read_node(nuke, tmp_path / f"plates/{name}.%04d.exr")
                        for name in ("plate", "matte"))  # fmt: skip
        session.select()
        node = nuke.createNode("GenAIFill")
        if connect:
            source = plate
            if through:
                source = nuke.nodes.NoOp(inputs=[plate]) if through == "NoOp" else None
            node.setInput(0, source)
            node.setInput(1, matte)
        nuke.frame(1002)
        nuke.scriptSaveAs(str(tmp_path / "comp.nk"))
        session.select(node)
        yield session, node
        assert session.errors == []
        assert session.tcl_violations == []


class Wired:
    """The application in the stand-in, with real threads and a backend that a test plays."""

    def __init__(self, **environment):
        import itertools

        from genai_fill.adapters.spool_folders import DiskSpoolFolders
        from genai_fill.adapters.system import DaemonThreads, SystemClock
        from genai_fill.adapters.take_files import DiskTakeFiles
        from genai_fill.app.cancel_fill import CancelFill
        from genai_fill.app.follow_job import FollowJob
        from genai_fill.app.model_desk import ModelDesk
        from genai_fill.app.panel_session import PanelSession
        from genai_fill.app.run_fill import RunFill
        from genai_fill.app.start_backend import BackendConnection
        from genai_fill.app.submit_fill import SubmitFill
        from genai_fill.nuke_host.host import NukeHost

        fakes = importlib.import_module(FAKES)
        self.backend = writing_backend(fakes)
        clock = SystemClock()
        settings = fakes.FixedSettings(**environment)
        process = fakes.FakeProcess(self.backend, fakes.FakeClock())
        connection = BackendConnection(fakes.FakeFinder(self.backend), process, settings, clock)
        self.host, folders, files = NukeHost(), DiskSpoolFolders(), DiskTakeFiles()
        numbers = itertools.count(100)
        keys = itertools.count()
        submit = SubmitFill(
            self.host,
            connection,
            folders,
            files,
            settings,
            fakes.PERSON,
            lambda bound: next(numbers),
            lambda: f"k{next(keys)}",
        )
        self.run = RunFill(
            self.host, submit, FollowJob(connection, clock), folders, files, settings, clock
        )
        threads = DaemonThreads()
        self.cancel = CancelFill(connection)
        self.session = PanelSession(
            self.host,
            connection,
            self.run,
            self.cancel,
            fakes.FakeBrowser(),
            threads,
            lambda bound: next(numbers),
            ModelDesk(self.host, connection, threads, clock, fakes.PERSON),
        )


def writing_backend(fakes):
    from genai_fill_contract.plate import path_at

    class WritingBackend(fakes.FakeBackend):
        """Writes an EXR for every frame: 9.5 in a square, alpha there, nothing elsewhere."""

        def _tell(self, event):
            super()._tell(event)
            if event.frame:
                take = self.jobs[event.job_id].takes[event.frame.take_index]
                path = Path(path_at(take.path_pattern, event.frame.frame))
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.zeros((HEIGHT, WIDTH, 4), np.float32)
                pixels[6:9, 10:14] = (9.5, 9.5, 9.5, 1.0)
                write_exr(path, pixels, ["R", "G", "B", "A"])

    return WritingBackend()


def filled(out):
    """Whether the square of `WritingBackend` is in a picture."""
    return bool((out[6:9, 10:14, :3] == 9.5).all())

"""Every model family through the node: knobs, panel, backend, worker, frames, graph.

Toy weights of the real architectures fill in a real backend; the node lives in the stand-in.
One backend and one Nuke serve all of them, as on an artist's machine.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract.plate import InputRole, path_at
from tests.e2e.bad_desk import desk_at
from tests.e2e.bad_shots import Ask
from tests.e2e.bad_ways import environment
from tests.fakes.backend_process import BackendProcess
from tests.fakes.known_motion import KnownMotion
from tests.fakes.plates import disc, grainy, read_raw, write_exr
from tests.fakes.tiny_pipelines import NAMES, build
from tests.unit.plugin.nuke_scene import read_node

# Building the toy models touches classes that diffusers moved; loading them does not.
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")

HEIGHT, WIDTH = 64, 96
FIRST, LAST = 1001, 1004
FILLED = (1002, 1003)
LONG = 161
REFERENCE, MOTION, PATCH, CONTROL = 2, 3, 4, 5
PAINT = (2.5, 0.25, -0.125)


@pytest.fixture(scope="module")
def show(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("families") / "show"
    write_shot(folder / "short", FIRST, LAST)
    for name in NAMES:
        build(name, folder.parent / "models" / name)
    return folder


def write_shot(folder: Path, first: int, last: int) -> None:
    """A still disc over grain that is new on every frame: no two frames are alike."""
    folder.mkdir(parents=True)
    ones = np.ones((HEIGHT, WIDTH, 1), np.float32)
    for frame in range(first, last + 1):
        rgb = grainy(HEIGHT, WIDTH, seed=frame)
        matte = disc(HEIGHT, WIDTH, (HEIGHT / 2, WIDTH / 2 + frame % 5), 9)
        write_exr(folder / f"plate.{frame:04d}.exr", np.dstack([rgb, ones]))
        write_exr(folder / f"matte.{frame:04d}.exr", np.dstack([rgb, matte]))


@pytest.fixture(scope="module")
def backend(tmp_path_factory, show):
    process = BackendProcess(
        tmp_path_factory.mktemp("backend") / "state",
        show,
        show / "no_studio_engines",
        models_dirs=show.parent / "models",
        models_device="cpu",
        models_allow_non_commercial="yes",
    ).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def desk(backend, show):
    with (
        environment(
            GENAI_FILL_BACKEND_STATE_DIR=str(backend.state_dir),
            GENAI_FILL_BACKEND_AUTOSTART="false",
        ),
        desk_at(show / "home") as desk,
    ):
        yield desk


@pytest.fixture(autouse=True)
def nothing_goes_wrong_in_nuke(desk):
    yield
    assert desk.session.errors == []
    assert desk.session.tcl_violations == []


def ask_of(folder: Path, first: int, last: int, frames: tuple[int, int], out: str) -> Ask:
    return Ask(
        plate=f"{folder.as_posix()}/plate.%04d.exr",
        matte=f"{folder.as_posix()}/matte.%04d.exr",
        out=(folder / "takes" / out).as_posix(),
        first=frames[0],
        last=frames[1],
        plate_range=(first, last),
        matte_range=(first, last),
        engine="cleanplate",
        crop="full",
    )


def seat_for(desk, ask: Ask, engine_id: str, prompt: str = "", **options):
    """Sit down at a new node and set it up in the panel: engine, prompt, options."""
    seat = desk.sit(ask)
    known = desk.session.pump(40.0, until=lambda: engine_id in {e.id for e in desk.state.engines})
    assert known, [engine.id for engine in desk.state.engines]
    choice = desk.panel.settings.chooser.choice
    choice.setCurrentIndex(choice.findData(engine_id))
    choice.activated.emit(choice.currentIndex())
    actions = desk.panel._actions
    assert actions.state.form.engine_id == engine_id
    actions.edit(prompt=prompt, seed=7, seed_locked=True, grow_px=2.0, feather_px=2.0, blend_px=2.0)
    for name, value in options.items():
        actions.set_option(name, value)
    assert desk.state.error is None, desk.state.error
    return seat


def press(seat, timeout_s: float = 90.0):
    """Press Generate, wait, and return the new take's recipe and path pattern."""
    before = len(seat.desk.state.takes)
    seat.generate()
    state = seat.wait(timeout_s)
    assert state.error is None, state.error
    assert len(state.takes) == before + 1
    assert state.takes[0].frames_done == state.takes[0].frames_total
    with seat.node:
        pattern = str(seat.desk.session.nuke.toNode("TakeRead")["file"].value())
    (recipe,) = Path(pattern).parent.glob("*.json")
    return json.loads(recipe.read_text(encoding="utf-8")), pattern


def seen(seat, frame: int, node=None) -> np.ndarray:
    """What the node, or another one, shows at a frame: (h, w, 4), row 0 at the top."""
    return seat.desk.session.evaluate(node or seat.node, frame).rgba_top_down()


def assert_filled(seat, pattern: str, filled, untouched) -> None:
    """Outside the matte the node gives the plate's bits, inside something else, where asked."""
    for frame in filled:
        out, plate = seen(seat, frame)[..., :3], seen(seat, frame, seat.comp.plate)[..., :3]
        made, _ = read_raw(path_at(pattern, frame))
        outside, inside = made[..., 3] == 0, made[..., 3] >= 1
        assert 0.3 < outside.mean() < 1.0
        assert inside.any()
        assert np.array_equal(out[outside].view(np.uint32), plate[outside].view(np.uint32))
        assert np.array_equal(out[inside], made[inside][:, :3])  # this frame's file, no other's
        assert (out != plate).any(axis=2)[inside].mean() > 0.9
        assert np.isfinite(out).all()
    for frame in untouched:
        assert np.array_equal(
            seen(seat, frame)[..., :3], seen(seat, frame, seat.comp.plate)[..., :3]
        )
        assert not Path(path_at(pattern, frame)).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_family_fills_from_the_node_and_uses_what_is_connected(desk, show, name):
    folder = show / "short"
    engine_id = f"diffusers:{name}"
    ask = ask_of(folder, FIRST, LAST, FILLED, name)
    seat = seat_for(desk, ask, engine_id, prompt="an old brick wall, 壁", steps=2)

    recipe, pattern = press(seat)

    assert recipe["request"]["engine_id"] == engine_id
    assert recipe["request"]["prompt"] == "an old brick wall, 壁"
    assert recipe["request"].get("inputs", []) == []
    assert_filled(seat, pattern, FILLED, (FIRST, LAST))

    roles = desk.state.engine.inputs
    if roles:
        connect(seat, folder, roles)
        recipe, second = press(seat)
        assert {given["role"] for given in recipe["request"]["inputs"]} == {r.value for r in roles}
        assert_filled(seat, second, FILLED, (FIRST, LAST))
        assert differ(pattern, second), "what was connected had no effect"


def connect(seat, folder: Path, roles) -> None:
    """Connect a picture, painted where it has to be, to every pipe that the engine reads."""
    nuke = seat.desk.session.nuke
    made = folder / "inputs"
    if not made.exists():
        made.mkdir()
        alpha = disc(HEIGHT, WIDTH, (HEIGHT / 2, WIDTH / 2), 5)[..., None]
        write_exr(made / "picture.exr", np.dstack([grainy(48, 64, seed=99, level=0.7)]))
        write_exr(made / "depth.exr", np.dstack([grainy(HEIGHT, WIDTH, seed=5, sigma=0.3)]))
        write_exr(made / "paint.1002.exr", np.dstack([np.float32(PAINT) * alpha, alpha]))
    pipes = {
        InputRole.REFERENCE: (REFERENCE, made / "picture.exr", 1, 1),
        InputRole.CONTROL: (CONTROL, made / "depth.exr", 1, 1),
        InputRole.PATCH: (PATCH, made / "paint.%04d.exr", 1002, 1002),
    }
    for role in roles:
        number, path, first, last = pipes[role]
        seat.node.setInput(number, read_node(nuke, path, first, last))


def differ(first: str, second: str) -> bool:
    """Whether two takes differ inside the matte on any frame."""
    return any(
        (read_raw(path_at(first, frame))[0] != read_raw(path_at(second, frame))[0]).any()
        for frame in FILLED
    )


def test_a_long_shot_through_the_video_models_windows_keeps_every_frame(desk, show):
    folder = show / "long"
    first, last = 1001, 1000 + LONG
    write_shot(folder, first, last)
    ask = ask_of(folder, first, last, (first, last), "long")
    options = {"steps": 1, "window_frames": 33, "overlap_frames": 5}
    seat = seat_for(desk, ask, "diffusers:wan-vace", prompt="a wall", **options)

    recipe, pattern = press(seat, timeout_s=280.0)

    files = sorted(path.name for path in Path(pattern).parent.glob("*.exr"))
    assert files == [Path(path_at(pattern, frame)).name for frame in range(first, last + 1)]
    assert "drift" in json.dumps(recipe["notes"])
    seams = [frame for seam in range(first + 28, last, 28) for frame in (seam - 1, seam)]
    assert_filled(seat, pattern, [first, *seams, last], ())


def test_every_image_family_is_offered_with_hero_frames(desk):
    ready = [engine for engine in desk.state.engines if engine.available]
    images = {engine.id for engine in ready if engine.kind.value == "image"}
    assert {engine.id for engine in ready if engine.id.startswith("hero:")} == {
        f"hero:{engine_id}" for engine_id in images
    }
    models = {engine.id for engine in ready if engine.id.startswith("diffusers:")}
    assert models == {f"diffusers:{name}" for name in NAMES}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "wan-vace"])
def test_hero_frames_of_a_family_fill_from_the_node(desk, show, name):
    ask = ask_of(show / "short", FIRST, LAST, FILLED, f"hero_{name}")
    options = {"steps": 2, "hero_frame": 1003, "hero_frames": 1}
    seat = seat_for(desk, ask, f"hero:diffusers:{name}", prompt="a wall", **options)

    recipe, pattern = press(seat)

    assert recipe["notes"]["hero_frames_take_1"]["generated"] == [1003]
    assert_filled(seat, pattern, FILLED, (FIRST, LAST))


class Truth(KnownMotion):
    """A plane that moves by whole pixels: vectors and maps of it are exact."""

    STEP = (3.0, 2.0)

    def __init__(self) -> None:
        super().__init__((160, 112), 8, step=self.STEP, turn_deg=0.0, zoom=1.0, slide_px=(9.0, 0.0))

    def matrix(self, frame):
        matrix = np.eye(3)
        matrix[:2, 2] = [-step * (frame - FIRST) for step in self.STEP]
        return matrix

    def vectors(self, ahead: bool):
        """Nuke's motion to the next or previous frame: pixels right and **up**."""
        x, y = (-self.STEP[0], self.STEP[1]) if ahead else (self.STEP[0], -self.STEP[1])
        return np.broadcast_to(np.float32([x, y]), (self.height, self.width, 2))

    def st_map(self, frame):
        """Where a pixel lies on the first frame's picture, 0 to 1 from the bottom left."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        moved = [step * (frame - FIRST) for step in self.STEP]
        s = (x + 0.5 + moved[0]) / self.width
        t = 1.0 - (y + 0.5 + moved[1]) / self.height
        return np.dstack([s, t]).astype(np.float32)


@pytest.fixture(scope="module")
def moving(show):
    """A moving shot on disk, and its motion as files, right and wrong."""
    folder, truth = show / "moving", Truth()
    folder.mkdir()
    for frame in truth.frames:
        plate, matte = truth.plate(frame), truth.matte(frame)
        write_exr(folder / f"plate.{frame}.exr", plate)
        write_exr(folder / f"matte.{frame}.exr", np.dstack([plate, matte]))
        both = np.dstack([truth.vectors(ahead=True), truth.vectors(ahead=False)])
        names = ("forward.u", "forward.v", "backward.u", "backward.v")
        write_exr(folder / f"vectors.{frame}.exr", both, names, "float")
        write_exr(folder / f"upside.{frame}.exr", both * [1, -1, 1, -1], names, "float")
        still = np.dstack([truth.st_map(frame), np.zeros(matte.shape, np.float32)])
        write_exr(folder / f"stmap.{frame}.exr", still, "RGB", "float")
    return folder, truth


def error_of(desk, moving, source: str) -> float:
    """Fill the moving shot by the clean plate; return the mean error under the matte."""
    folder, truth = moving
    first, last = truth.frames[0], truth.frames[-1]
    ask = replace(ask_of(folder, first, last, (first + 3, first + 4), source), crop="fixed")
    seat = seat_for(desk, ask, "cleanplate")
    motion = read_node(desk.session.nuke, folder / f"{source}.%04d.exr", first, last)
    seat.node.setInput(MOTION, motion)
    recipe, _ = press(seat)
    roles = {given["role"] for given in recipe["request"]["inputs"]}
    vectors = {"motion_forward", "motion_backward"}
    assert roles == ({"stmap"} if source == "stmap" else vectors)
    errors = []
    for frame in (first + 3, first + 4):
        out = seen(seat, frame)[..., :3]
        inside = truth.matte(frame) > 0
        errors.append(np.abs(out - truth.background(frame))[inside])
        outside = np.hypot(*np.subtract(np.mgrid[: truth.height, : truth.width].T,
                                        truth.centre(frame)[::-1]).T) > 60  # fmt: skip
        plate = seen(seat, frame, seat.comp.plate)[..., :3]
        assert outside.any()
        assert np.array_equal(out[outside], plate[outside])
    return float(np.concatenate(errors).mean())


@pytest.mark.parametrize("source", ["vectors", "stmap"])
def test_the_artists_motion_reaches_the_clean_plate_the_right_way_up(desk, moving, source):
    assert error_of(desk, moving, source) < 0.01


def test_motion_that_is_wrong_is_believed(desk, moving):
    """So it is the connected motion that decides, not an estimate."""
    assert error_of(desk, moving, "upside") > 0.03

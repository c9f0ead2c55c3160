"""Strange and hostile shots: filled right, or refused in words; never a crash, never a trick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from genai_fill_contract.job import JobState
from genai_fill_contract.plate import path_at
from tests.e2e.bad_shots import (
    FIRST,
    HEIGHT,
    HOLE,
    LAST,
    WIDTH,
    TinyShot,
    matte_pixels,
    plate_pixels,
    write_exr,
)
from tests.e2e.bad_ways import install_engines, run_command, run_job
from tests.fakes.backend_process import BackendProcess

ENGINES = ("studio:paint", "cleanplate")
FOLDERS = (
    "with spaces in it",
    "Straße 雪 🎬",
    "100% done",
    "50%d of [exec touch pwned]",
    '$HOME {x} "quoted"; touch pwned',
    "back\\slash 'n' `touch pwned`",
    "shot_####_v%V",
)


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "show"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def backend(tmp_path_factory, show):
    engines = install_engines(tmp_path_factory.mktemp("site"))
    process = BackendProcess(tmp_path_factory.mktemp("backend") / "state", show, engines).start()
    yield process
    process.stop()


def read(path: str | Path) -> tuple[np.ndarray, oiio.ImageSpec]:
    """Return RGBA (h, w, 4) of a take's crop and its header."""
    image = oiio.ImageInput.open(str(path))
    try:
        return image.read_image(0, 0, 0, 4, oiio.FLOAT), image.spec()
    finally:
        image.close()


def take_frame(job, frame: int) -> tuple[np.ndarray, oiio.ImageSpec]:
    return read(path_at(job.takes[0].path_pattern, frame))


def plate_under(path: Path, spec: oiio.ImageSpec) -> np.ndarray:
    whole = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)[..., :3]
    return whole[spec.y : spec.y + spec.height, spec.x : spec.x + spec.width]


def assert_plate_outside_and_numbers_inside(shot: TinyShot, job) -> None:
    for frame in range(FIRST, LAST + 1):
        pixels, spec = take_frame(job, frame)
        plate = plate_under(shot.plate(frame), spec)
        outside, inside = pixels[..., 3] == 0, pixels[..., 3] == 1
        np.testing.assert_array_equal(
            pixels[outside][:, :3].view(np.uint32), plate[outside].view(np.uint32)
        )
        assert inside.any()
        assert np.isfinite(pixels[inside]).all()


def assert_done(backend, ask):
    job, error = run_job(backend, ask)
    assert error is None, error
    assert job.state is JobState.DONE
    return job


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_plate_without_one_number_in_it_is_filled_with_numbers(backend, show, engine, value):
    shot = TinyShot(show / f"no_numbers_{value}_{engine[:5]}")
    for frame in range(FIRST, LAST + 1):
        write_exr(shot.plate(frame), np.full((HEIGHT, WIDTH, 3), value, np.float32))
    assert_plate_outside_and_numbers_inside(
        shot, assert_done(backend, replace(shot.ask, engine=engine))
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plate_of_two_by_two_pixels_is_filled(backend, show, engine):
    shot = TinyShot(show / f"two_by_two_{engine[:5]}")
    matte = np.zeros((2, 2, 4), np.float32)
    matte[0, 0] = 1
    for frame in range(FIRST, LAST + 1):
        write_exr(shot.plate(frame), plate_pixels(frame, 2, 2))
        write_exr(shot.matte(frame), matte)
    job = assert_done(backend, replace(shot.ask, engine=engine))
    pixels, spec = take_frame(job, FIRST)
    assert (spec.full_width, spec.full_height) == (2, 2)
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_matte_over_the_whole_plate_is_filled(backend, show, engine):
    shot = TinyShot(show / f"all_matte_{engine[:5]}")
    for frame in range(FIRST, LAST + 1):
        write_exr(shot.matte(frame), np.ones((HEIGHT, WIDTH, 4), np.float32))
    job = assert_done(backend, replace(shot.ask, engine=engine))
    pixels, _ = take_frame(job, FIRST)
    assert pixels.shape == (HEIGHT, WIDTH, 4)
    assert np.isfinite(pixels).all()


def test_a_matte_of_nonsense_values_counts_as_zero_to_one(backend, show):
    shot = TinyShot(show / "nonsense_matte")
    matte = matte_pixels()
    matte[0, 0] = np.nan
    matte[1, 1] = -1e4
    matte[HOLE] = 6e4
    for frame in range(FIRST, LAST + 1):
        write_exr(shot.matte(frame), matte)
    job = assert_done(backend, shot.ask)
    pixels, _ = take_frame(job, FIRST)
    assert 0 <= pixels[..., 3].min() < pixels[..., 3].max() == 1
    assert_plate_outside_and_numbers_inside(shot, job)


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_without_matte_in_the_middle_are_the_plate(backend, show, engine):
    shot = TinyShot(show / f"gap_{engine[:5]}")
    write_exr(shot.matte(1002), np.zeros((HEIGHT, WIDTH, 4), np.float32))
    job = assert_done(backend, replace(shot.ask, engine=engine))
    pixels, spec = take_frame(job, 1002)
    assert (pixels[..., 3] == 0).all()
    plate = plate_under(shot.plate(1002), spec)
    np.testing.assert_array_equal(pixels[..., :3].view(np.uint32), plate.view(np.uint32))
    assert (take_frame(job, 1003)[0][..., 3] == 1).any()


def test_headers_with_thousands_of_entries_and_a_hundred_thousand_letters_do_no_harm(backend, show):
    shot = TinyShot(show / "headers")
    many = {f"studio:entry{number}": "x" for number in range(3_000)}
    many["studio:long"] = "y" * 100_000
    for frame in range(FIRST, LAST + 1):
        attributes = many if frame == FIRST else {"studio:long": "y" * 100_000}
        write_exr(shot.plate(frame), plate_pixels(frame), attributes=attributes)
    job = assert_done(backend, shot.ask)
    assert_plate_outside_and_numbers_inside(shot, job)
    size = Path(path_at(job.takes[0].path_pattern, 1002)).stat().st_size
    assert size < shot.plate(1002).stat().st_size + 100_000


def write_parts(path: Path, parts: list[tuple[str, tuple[str, ...], np.ndarray]]) -> None:
    specs = []
    for name, channels, pixels in parts:
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(channels), oiio.HALF)
        spec.channelnames = channels
        spec.attribute("oiio:subimagename", name)
        specs.append(spec)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs)), out.geterror()
    for number, (_, _, pixels) in enumerate(parts):
        if number:
            assert out.open(str(path), specs[number], "AppendSubimage"), out.geterror()
        assert out.write_image(np.ascontiguousarray(pixels, np.float32)), out.geterror()
    out.close()


@pytest.mark.parametrize("colour_first", [True, False])
def test_a_file_of_several_parts_gives_its_colour_wherever_it_is(backend, show, colour_first):
    shot = TinyShot(show / f"parts_{colour_first}")
    for frame in range(FIRST, LAST + 1):
        colour = ("rgba", ("R", "G", "B"), plate_pixels(frame))
        depth = ("depth", ("Z",), np.full((HEIGHT, WIDTH, 1), 1e6, np.float32))
        write_parts(shot.plate(frame), [colour, depth] if colour_first else [depth, colour])
    job = assert_done(backend, shot.ask)
    pixels, spec = take_frame(job, FIRST)
    outside = pixels[..., 3] == 0
    want = plate_pixels(FIRST).astype(np.float16).astype(np.float32)
    want = want[spec.y : spec.y + spec.height, spec.x : spec.x + spec.width]
    np.testing.assert_array_equal(pixels[outside][:, :3], want[outside])


@pytest.mark.parametrize("name", FOLDERS)
def test_names_of_folders_are_only_names(backend, show, name):
    shot = TinyShot(show / "names" / name)
    assert_plate_outside_and_numbers_inside(shot, assert_done(backend, shot.ask))
    if "%d" not in name and "#" not in name:
        said = run_command(backend, shot.ask)
        assert said.code == 0, said
    assert not list(show.rglob("pwned"))
    assert not Path("pwned").exists()


@pytest.mark.parametrize("name", ["50%d", "shot_####"])
def test_a_frame_number_in_a_folders_name_is_no_frame_number(backend, show, name):
    shot = TinyShot(show / "numbers" / name)
    assert run_command(backend, shot.ask).code == 0
    still = run_command(backend, replace(shot.ask, plate=str(shot.plate(FIRST))))
    assert still.code == 2
    assert "stands in a folder's name" in still.err
    assert "Put it into the file's name" in still.err


def test_one_linked_frame_does_not_let_anybody_out(backend, show):
    shot = TinyShot(show / "one_link")
    secret = show.parent / "secret.exr"
    write_exr(secret, plate_pixels(1))
    shot.plate(1002).unlink()
    shot.plate(1002).symlink_to(secret)
    _, error = run_job(backend, shot.ask)
    assert error.code.value == "path_not_allowed"
    assert str(shot.plate(1002)) in error.message
    assert not (shot.folder / "takes").exists()

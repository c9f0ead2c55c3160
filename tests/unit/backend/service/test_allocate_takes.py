import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from genai_fill_contract.errors import DiskFull, OutputNotWritable
from genai_fill_contract.fill import FillRequest, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef
from genai_fill_server.service.allocate_takes import allocate_takes, output_error, release_takes

FRAMES = FrameRange(1, 10)


def request(directory, takes=1, name="fill"):
    return FillRequest(
        PlateRef("/p.%04d.exr", FRAMES),
        MatteRef("/m.%04d.exr", FRAMES),
        FRAMES,
        "fake",
        OutputPlace(str(directory), name),
        seed=40,
        takes=takes,
    )


def test_takes_are_versions_with_their_own_folder_and_seed(tmp_path):
    takes = allocate_takes(request(tmp_path / "new/out", takes=3), "job")
    assert [t.version for t in takes] == [1, 2, 3]
    assert [t.seed for t in takes] == [40, 41, 42]
    assert takes[2].path_pattern == f"{tmp_path}/new/out/fill_v003/fill_v003.%04d.exr"
    assert takes[2].recipe_path == f"{tmp_path}/new/out/fill_v003/fill_v003.json"
    assert all(Path(t.path_pattern).parent.is_dir() for t in takes)


def test_versions_follow_the_highest_on_disk_whatever_else_is_there(tmp_path):
    for name in ("fill_v002", "FILL_v007", "fill_v3", "fillx_v050", "fill_v001_old", "fill_vabc"):
        (tmp_path / name).mkdir()
    (tmp_path / "fill_v009").write_text("a file in the way")
    assert allocate_takes(request(tmp_path), "job")[0].version == 10


def test_a_name_is_never_a_pattern(tmp_path):
    (tmp_path / "fXll_v005").mkdir()
    assert allocate_takes(request(tmp_path, name="f.ll"), "job")[0].version == 1


def test_two_artists_never_share_a_version(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda n: allocate_takes(request(tmp_path, 3), str(n)), range(16)))
    versions = [take.version for takes in jobs for take in takes]
    assert len(versions) == len(set(versions)) == 48


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        allocate_takes(request(tmp_path / "file/out"), "job")
    with pytest.raises(OutputNotWritable, match="absolute"):
        allocate_takes(request("relative/out"), "job")
    (tmp_path / "fill_v9998").mkdir()
    with pytest.raises(OutputNotWritable, match="9999"):
        allocate_takes(request(tmp_path, takes=2), "job")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "fill_v9998"]


def test_releasing_removes_only_what_is_empty(tmp_path):
    takes = allocate_takes(request(tmp_path, takes=2), "job")
    (Path(takes[0].path_pattern).parent / "fill_v001.0001.exr").write_text("a frame")
    release_takes(takes)
    release_takes(takes)
    assert [p.name for p in tmp_path.iterdir()] == ["fill_v001"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EACCES, OutputNotWritable),
     (errno.EROFS, OutputNotWritable)],
)  # fmt: skip
def test_errors_of_the_disk_are_told_apart(number, kind):
    assert type(output_error(OSError(number, "reason"), Path("/x"))) is kind

"""Reading recipes that anybody may have written, and sweeping spool folders that are ours."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from genai_fill.adapters import take_files
from genai_fill.adapters.spool_folders import MARKER, DiskSpoolFolders
from genai_fill.adapters.take_files import DiskTakeFiles

WEEK_S = 7 * 24 * 3600.0


def summary_of(tmp_path, recipe):
    path = tmp_path / "take.json"
    path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
    return DiskTakeFiles().summary(str(path))


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"summary": "  12 real\nframes "}, "12 real frames"),
        ({"cleanplate": {"real_percent": 93.4}}, "93 % real pixels, 7 % synthesized"),
        ({"x": 1, "cleanplate": {"real_percent": 100}}, "100 % real pixels, 0 % synthesized"),
        ({"cleanplate": {"real_percent": 99.9}}, "99 % real pixels, 1 % synthesized"),
        ({"cleanplate": {"real_percent": 0.2}}, "1 % real pixels, 99 % synthesized"),
        ({"cleanplate": {"real_percent": 0}}, "0 % real pixels, 100 % synthesized"),
        ({"cleanplate": {"real_percent": "all"}}, ""),
        ({"cleanplate": {"real_percent": 1e9}}, ""),
        ({"device": "cpu"}, ""),
        ({}, ""),
    ],
)
def test_the_engine_s_summary_comes_from_its_notes(tmp_path, notes, words):
    assert summary_of(tmp_path, {"notes": notes}) == words


@pytest.mark.parametrize(
    "recipe", ["", "nothing", "[]", "3", '{"notes": []}', "[" * 200_000, '{"notes": {"a": NaN}}']
)
def test_a_damaged_recipe_says_nothing(tmp_path, recipe):
    assert summary_of(tmp_path, recipe) == ""


def test_a_recipe_that_is_no_text_or_no_file_says_nothing(tmp_path):
    (tmp_path / "take.json").write_bytes(b"\xff\xfe\x00{")
    for path in (tmp_path / "take.json", tmp_path, tmp_path / "gone.json", "\0"):
        assert DiskTakeFiles().summary(str(path)) == ""


def test_a_huge_recipe_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(take_files, "MAX_RECIPE_BYTES", 20)
    assert summary_of(tmp_path, {"notes": {"summary": "words"}}) == ""


def test_a_long_summary_is_cut(tmp_path):
    words = summary_of(tmp_path, {"notes": {"summary": "long " * 400}})
    assert len(words) <= take_files.MAX_SUMMARY
    assert words.endswith("…")


def test_a_frame_is_there_or_not(tmp_path):
    (tmp_path / "a.exr").write_bytes(b"x")
    files = DiskTakeFiles()
    assert files.has(str(tmp_path / "a.exr"))
    assert not files.has(str(tmp_path / "b.exr"))
    assert not files.has(str(tmp_path))
    assert not files.has("a\0b")
    assert not files.has(str(tmp_path / ("x" * 5000)))  # which no disk can look for


# --- sweeping ------------------------------------------------------------------------------


def aged(folder, days):
    """Make everything in a folder as old as that."""
    then = time.time() - days * 24 * 3600
    for entry in Path(folder).iterdir():
        os.utime(entry, (then, then), follow_symlinks=False)
    os.utime(folder, (then, then))
    return Path(folder)


def spool(tmp_path, days):
    folder = Path(DiskSpoolFolders().create(str(tmp_path / "spool"), "u1"))
    for name in ("plate", "matte", "motion_forward", "patch"):
        (folder / f"{name}.1001.exr").write_bytes(b"x")
    return aged(folder, days)


def sweep(tmp_path, *in_use):
    DiskSpoolFolders().sweep(
        str(tmp_path / "spool"), older_than_s=WEEK_S, in_use=[f.as_posix() for f in in_use]
    )


def test_old_folders_of_ours_go_and_young_ones_stay(tmp_path):
    old, young = spool(tmp_path, 8), spool(tmp_path, 6)
    sweep(tmp_path)
    assert not old.exists()
    assert len(list(young.iterdir())) == 5


def test_the_folder_of_an_unfinished_job_stays_however_old(tmp_path):
    busy, old = spool(tmp_path, 30), spool(tmp_path, 30)
    sweep(tmp_path, busy)
    assert busy.exists()
    assert not old.exists()


def test_one_young_file_keeps_a_folder(tmp_path):
    old = spool(tmp_path, 30)
    (old / "plate.1002.exr").write_bytes(b"x")
    sweep(tmp_path)
    assert (old / "plate.1001.exr").exists()


def test_nothing_without_our_marker_is_touched(tmp_path):
    spool(tmp_path, 8)
    theirs = tmp_path / "spool/renders"
    theirs.mkdir()
    (theirs / "plate.1001.exr").write_bytes(b"the artist's")
    aged(theirs, 400)
    loose = tmp_path / "spool/plate.1001.exr"
    loose.write_bytes(b"the artist's")
    os.utime(loose, (0, 0))
    sweep(tmp_path)
    assert (theirs / "plate.1001.exr").exists()
    assert loose.exists()


def test_what_lies_behind_links_and_deeper_down_is_not_touched(tmp_path):
    real = spool(tmp_path / "elsewhere", 30)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/link").symlink_to(real)
    deep = spool(tmp_path / "spool/other", 30)
    marked = tmp_path / "spool/marked"
    marked.mkdir()
    (marked / MARKER).symlink_to(real / MARKER)
    (marked / "plate.1001.exr").write_bytes(b"x")
    aged(marked, 30)
    sweep(tmp_path)
    assert (real / "plate.1001.exr").exists()
    assert (deep / "plate.1001.exr").exists()
    assert (marked / "plate.1001.exr").exists()


def test_an_artist_s_file_in_an_old_folder_stays(tmp_path):
    old = spool(tmp_path, 8)
    (old / "notes.txt").write_text("mine")
    aged(old, 8)
    sweep(tmp_path)
    assert [entry.name for entry in old.iterdir()] == ["notes.txt"]


def test_a_spool_that_is_not_there_is_fine(tmp_path):
    sweep(tmp_path)
    assert not (tmp_path / "spool").exists()

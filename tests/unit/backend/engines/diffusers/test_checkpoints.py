from __future__ import annotations

import numpy as np
import pytest

from genai_fill_server.engines.diffusers.checkpoints import Checkpoints

FACTS = {"seed": 1, "prompt": "wall"}


def state(first=5):
    rng = np.random.default_rng(abs(first))
    return {f: rng.random((4, 6, 3), dtype=np.float32) for f in range(first, first + 3)}


def test_what_is_kept_comes_back_bit_for_bit(tmp_path):
    Checkpoints(str(tmp_path), FACTS).save(0, state())

    back = Checkpoints(str(tmp_path), FACTS).load(0, [5, 6, 7])

    for frame, pixels in state().items():
        np.testing.assert_array_equal(back[frame], pixels)


def test_negative_frame_numbers_are_kept_too(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), FACTS)
    checkpoints.save(0, state(-2))

    assert sorted(checkpoints.load(0, [-2, -1, 0])) == [-2, -1, 0]


@pytest.mark.parametrize("changed", [{"seed": 2}, {"prompt": "sea"}, {"steps": 3}])
def test_a_state_made_under_other_facts_is_not_found(tmp_path, changed):
    Checkpoints(str(tmp_path), FACTS).save(0, state())

    assert Checkpoints(str(tmp_path), {**FACTS, **changed}).load(0, [5, 6, 7]) is None


def test_a_state_of_other_frames_is_not_used(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), FACTS)
    checkpoints.save(0, state())

    assert checkpoints.load(0, [5, 6]) is None
    assert checkpoints.load(1, [5, 6, 7]) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04junk", b"\x80\x04pickle"])
def test_a_damaged_state_is_as_if_it_were_not_there(tmp_path, content):
    checkpoints = Checkpoints(str(tmp_path), FACTS)
    checkpoints.save(0, state())
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)

    assert checkpoints.load(0, [5, 6, 7]) is None


def test_only_the_last_states_are_kept_and_all_go_at_the_end(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), FACTS)
    for window in range(5):
        assert checkpoints.save(window, state())

    assert len(list(tmp_path.iterdir())) == 2
    checkpoints.clear()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")

    assert not Checkpoints(str(tmp_path / "file"), FACTS).save(0, state())


def test_without_a_folder_nothing_is_kept():
    checkpoints = Checkpoints("", FACTS)

    assert not checkpoints.save(0, state())
    assert checkpoints.load(0, [5, 6, 7]) is None
    checkpoints.clear()

from __future__ import annotations

import pytest

from genai_fill_contract.errors import BackendStartFailed, ConfigError
from genai_fill_server.store.engine_memory import EngineMemoryFile
from genai_fill_server.store.os_files import write_private
from genai_fill_server.store.state_dir import Endpoint, StateDir
from tests.fakes.job_stores import PAINT


@pytest.fixture
def state(tmp_path):
    return StateDir(tmp_path / "deep" / "state")


def test_the_folder_is_made_for_this_user_alone(state):
    assert state.path.stat().st_mode & 0o777 == 0o700
    assert state.log_dir.is_dir()


def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        StateDir(tmp_path / "file" / "state")


def test_one_holder_at_a_time_and_the_other_is_told_who(state):
    lock = state.lock()
    state.write_endpoint(Endpoint("http://127.0.0.1:9", 4711, "abc"))
    with pytest.raises(BackendStartFailed, match=r"4711.*127\.0\.0\.1:9"):
        StateDir(state.path).lock()
    lock.release()
    state.lock().release()


def test_the_token_is_long_private_and_stays(state):
    token = state.ensure_token()
    assert len(token) >= 40
    assert state.ensure_token() == token
    assert state.token_path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_could_read_is_replaced(state, mode):
    token = state.ensure_token()
    state.token_path.chmod(mode)
    assert state.ensure_token() != token


@pytest.mark.parametrize("content", ["", "short", "\n"])
def test_a_token_that_is_none_is_replaced(state, content):
    write_private(state.token_path, content)
    assert state.read_token() == ""
    assert len(state.ensure_token()) >= 40


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"url": 1}', '{"pid": "x", "url": ""}'])
def test_half_an_endpoint_is_none(state, text):
    (state.path / "endpoint.json").write_text(text)
    assert state.read_endpoint() is None


def test_only_the_own_endpoint_is_taken_back(state):
    mine = Endpoint("http://127.0.0.1:1", 1, "mine")
    state.write_endpoint(mine)
    assert state.read_endpoint() == mine
    state.remove_endpoint("somebody else")
    assert state.read_endpoint() == mine
    state.remove_endpoint("mine")
    assert state.read_endpoint() is None
    state.remove_endpoint("mine")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_private(path, "old")
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_engines_are_remembered_for_their_fingerprint_only(tmp_path):
    memory = EngineMemoryFile(tmp_path / "engines.json")
    assert memory.load("a") is None
    memory.save("a", (PAINT,))
    assert memory.load("a") == (PAINT,)
    assert memory.load("b") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fingerprint": "a", "engines": [{"id": 3}]}'])
def test_a_damaged_memory_of_engines_is_empty(tmp_path, text):
    path = tmp_path / "engines.json"
    path.write_text(text)
    assert EngineMemoryFile(path).load("a") is None

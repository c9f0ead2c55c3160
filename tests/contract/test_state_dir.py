"""`backend.state_dir` with fields: one rule, and both sides keep to it."""

import platform
import sys
from pathlib import Path

import pytest

from genai_fill.adapters.config_files import FileSettings
from genai_fill.adapters.state_files import state_dir
from genai_fill_contract.errors import ConfigError
from genai_fill_contract.settings import resolve_settings
from genai_fill_contract.state_dir import as_told, default_state_dir, state_folder
from genai_fill_server.bootstrap.config import load_settings, state_path

ADA = {"USER": "ada"}


def folder(told, environment=ADA, host="ws12.studio.example"):
    return state_folder(told, environment, "linux", "/home/ada", host)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("/scratch/{user}/genai-fill", "/scratch/ada/genai-fill"),
        ("/home/ada/state/{host}", "/home/ada/state/ws12"),
        ("/s/{user}-{host}/{user}", "/s/ada-ws12/ada"),
        (r"D:\state\{user}", r"D:\state\ada"),
        ("/s/{{user}}", "/s/{user}"),
        ("/s/plain", "/s/plain"),
        ("", default_state_dir({}, "linux", "/home/ada")),
    ],
)
def test_fields_are_filled_in(told, wanted):
    assert folder(told) == wanted


def test_two_machines_and_two_users_get_a_folder_each():
    told = "/net/{user}/{host}"

    assert len({folder(told, {"USER": u}, h) for u in ("ada", "bo") for h in ("a", "b")}) == 4


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"LOGNAME": "ada"}, "/s/ada"),
        ({"USERNAME": "ada"}, "/s/ada"),
        ({"USER": "", "LOGNAME": "ada"}, "/s/ada"),
        ({"USER": r"STUDIO\ada"}, "/s/STUDIO_ada"),
        ({"USER": "jürgen"}, "/s/jürgen"),
        ({"USER": "../bo"}, "/s/_bo"),
    ],
)
def test_a_users_name_is_one_part_of_a_path(environment, wanted):
    assert folder("/s/{user}", environment) == wanted


@pytest.mark.parametrize(
    ("environment", "host", "told", "field"),
    [({}, "ws12", "/s/{user}", "user"), (ADA, "", "/s/{host}", "host")],
)
def test_a_field_that_nobody_knows_is_an_error(environment, host, told, field):
    with pytest.raises(ConfigError, match=f"needs {{{field}}}") as caught:
        folder(told, environment, host)

    assert f"{{{field}}}" in caught.value.hint


@pytest.mark.parametrize("told", ["/s/{usr}", "/s/{}", "/s/{user", "/s/user}", "/s/{user!r}"])
def test_a_field_that_there_is_not_is_refused_with_those_that_there_are(told):
    with pytest.raises(ConfigError, match=r"backend\.state_dir") as caught:
        resolve_settings(environment={"GENAI_FILL_BACKEND_STATE_DIR": told})

    assert "{user}, {host}" in caught.value.hint


@pytest.mark.parametrize("told", ["/net/{user}/{host}/state", "/plain/state", ""])
def test_both_sides_look_into_the_same_folder(tmp_path, monkeypatch, told):
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = {**ADA, "GENAI_FILL_BACKEND_STATE_DIR": told}

    plugin = state_dir(FileSettings(environment, sys.platform, str(tmp_path)).load(), environment)
    backend = state_path(load_settings(environment).settings, environment)

    assert plugin == backend
    assert plugin == Path(state_folder(told, ADA, sys.platform, str(tmp_path), platform.node()))


def test_a_folder_with_braces_of_its_own_can_be_handed_on():
    assert folder(as_told("/home/{odd}/state")) == "/home/{odd}/state"

import os
import sys
import time
from pathlib import Path

import pytest

from genai_fill.adapters.backend_process import (
    LocalBackendProcess,
    backend_command,
    child_environment,
)
from genai_fill.adapters.config_files import FileSettings
from genai_fill.adapters.spool_folders import MARKER, DiskSpoolFolders
from genai_fill.adapters.state_files import StateFolderFinder, read_endpoint, read_token
from genai_fill.adapters.system import SystemFileBrowser, person_of
from genai_fill_contract.errors import (
    BackendStartFailed,
    BackendUnreachable,
    ConfigError,
    MissingFrames,
    OutputNotWritable,
)
from genai_fill_contract.hello import Hello
from genai_fill_contract.state_dir import state_folder
from tests.unit.plugin.fakes import FixedSettings
from tests.unit.plugin.http_server import serving

# --- settings ----------------------------------------------------------------------------


def settings(environment, home):
    return FileSettings(environment, "linux", str(home)).load()


def test_a_user_without_a_file_has_the_defaults(tmp_path):
    assert settings({}, tmp_path).backend.autostart


def test_the_environment_stands_over_the_studio_and_the_studio_over_the_user(tmp_path):
    user = tmp_path / ".config/genai-fill/config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[spool]\nkeep = true\n[output]\nname = 'user'\n[engine]\ndefault = 'u'\n")
    studio = tmp_path / "studio.toml"
    studio.write_text("[output]\nname = 'studio'\n[engine]\ndefault = 's'\n")
    environment = {"GENAI_FILL_STUDIO_CONFIG": str(studio), "GENAI_FILL_ENGINE_DEFAULT": "e"}
    found = settings(environment, tmp_path)
    assert (found.spool.keep, found.output.name, found.engine.default) == (True, "studio", "e")


@pytest.mark.parametrize("text", ["not toml", "[spool]\nkepp = true", "[spool]\nkeep = 3"])
def test_a_file_that_is_wrong_is_an_error(tmp_path, text):
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        settings({"GENAI_FILL_USER_CONFIG": str(file)}, tmp_path)


def test_a_file_that_a_variable_names_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match="not there"):
        settings({"GENAI_FILL_STUDIO_CONFIG": str(tmp_path / "no.toml")}, tmp_path)


def test_a_folder_is_not_a_settings_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        settings({"GENAI_FILL_USER_CONFIG": str(tmp_path)}, tmp_path)


# --- finding -----------------------------------------------------------------------------


def finder(folder, **environment):
    told = {"GENAI_FILL_BACKEND_STATE_DIR": str(folder), **environment}
    return StateFolderFinder(FixedSettings(**told), told)


def test_a_backend_is_found_by_what_it_left_in_its_state_folder(tmp_path):
    with serving() as server:
        server.json("GET", "/v1/hello", Hello("1.0", "0", "s", 42))
        (tmp_path / "endpoint.json").write_text(f'{{"url": "{server.url}", "pid": 42, "x": 1}}')
        (tmp_path / "token").write_text("s3cret\n")
        assert finder(tmp_path).find().hello().pid == 42
        assert server.requests[0][2]["Authorization"] == "Bearer s3cret"


def test_no_endpoint_is_no_backend(tmp_path):
    with pytest.raises(BackendUnreachable, match="No backend is running"):
        finder(tmp_path).find()


@pytest.mark.parametrize("text", ["", "{", '{"url": 3, "pid": 1}', "\xff"])
def test_half_an_endpoint_file_is_none(tmp_path, text):
    (tmp_path / "endpoint.json").write_text(text)
    assert read_endpoint(tmp_path) is None


def test_a_set_address_stands_over_the_state_folder(tmp_path):
    with serving() as server:
        server.json("GET", "/v1/hello", Hello("1.0", "0", "far", 1))
        (tmp_path / "endpoint.json").write_text('{"url": "http://127.0.0.1:1", "pid": 42}')
        (tmp_path / "token").write_text("s3cret\n")
        backend = finder(tmp_path, GENAI_FILL_BACKEND_URL=server.url).find()
        assert backend.hello().server_id == "far"


def test_no_token_is_an_empty_one(tmp_path):
    assert read_token(tmp_path) == ""


# --- starting ----------------------------------------------------------------------------


def test_the_childs_environment_has_nothing_of_nukes_python_and_qt(tmp_path):
    child = child_environment(
        {
            "PATH": "/usr/bin",
            "PYTHONPATH": "/nuke/python",
            "PYTHONHOME": "/nuke",
            "QT_PLUGIN_PATH": "/nuke/qt",
            "QT_QPA_PLATFORM_PLUGIN_PATH": "/nuke/qt",
            "LD_LIBRARY_PATH": f"/opt/nuke{os.pathsep}/opt/nuke/lib{os.pathsep}/usr/cuda",
            "OCIO": "/config.ocio",
        },
        "/opt/nuke",
    )
    assert child == {
        "PATH": "/usr/bin",
        "LD_LIBRARY_PATH": "/usr/cuda",
        "OCIO": "/config.ocio",
        "PYTHONNOUSERSITE": "1",
    }


def test_a_library_path_of_nothing_but_nuke_is_dropped():
    child = child_environment({"LD_LIBRARY_PATH": "/opt/nuke", "A": "b"}, "/opt/nuke")
    assert "LD_LIBRARY_PATH" not in child


def test_the_environment_beside_the_plugin_is_used(tmp_path):
    program = tmp_path / ".venv/bin/genai-fill"
    program.parent.mkdir(parents=True)
    program.touch()
    assert backend_command("", tmp_path, windows=False) == [str(program), "serve"]


def test_without_one_the_path_is_searched_and_then_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendStartFailed, match="no backend to start"):
        backend_command("", tmp_path, windows=False)
    program = tmp_path / "genai-fill"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert backend_command("", tmp_path, windows=False) == [str(program), "serve"]


def test_a_set_command_is_split_as_its_system_writes_it(tmp_path):
    assert backend_command("'/my tools/run' serve --x", tmp_path, windows=False) == [
        "/my tools/run",
        "serve",
        "--x",
    ]
    assert backend_command(r'"C:\my tools\run.exe" serve', tmp_path, windows=True) == [
        r"C:\my tools\run.exe",
        "serve",
    ]


def process(tmp_path, command):
    told = {"GENAI_FILL_BACKEND_STATE_DIR": str(tmp_path), "GENAI_FILL_BACKEND_COMMAND": command}
    return LocalBackendProcess(
        FixedSettings(**told), dict(os.environ, PYTHONPATH="/x"), tmp_path, ""
    )


def wait_for_failure(started):
    deadline = time.monotonic() + 20
    while started.failure() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return started.failure()


def test_a_started_backend_gets_its_state_folder_and_a_clean_python(tmp_path):
    script = tmp_path / "serve.py"
    script.write_text(
        "import os, sys\n"
        "print(os.environ['GENAI_FILL_BACKEND_STATE_DIR'], os.environ.get('PYTHONPATH'))\n"
        "sys.stdout.flush()\n"
        "print('port in use', file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    started = process(tmp_path, f"{sys.executable} {script}")
    assert started.failure() is None
    started.start()
    assert wait_for_failure(started) == "it ended with code 3: port in use"
    log = (tmp_path / "logs/started-by-nuke.log").read_text()
    assert f"{tmp_path} None" in log


def test_a_started_backend_fills_in_the_very_folder_that_was_filled_in_here(tmp_path):
    script = tmp_path / "serve.py"
    script.write_text("import os; print(os.environ['GENAI_FILL_BACKEND_STATE_DIR'])")
    environment = {
        **os.environ,
        "USER": "ada",
        "GENAI_FILL_BACKEND_STATE_DIR": f"{tmp_path}/{{user}}/{{{{odd}}}}",
        "GENAI_FILL_BACKEND_COMMAND": f"{sys.executable} {script}",
    }
    settings = FixedSettings(
        **{name: environment[name] for name in environment if name.startswith("GENAI_FILL_B")}
    )
    started = LocalBackendProcess(settings, environment, tmp_path, "")
    started.start()
    started._process.wait(20)
    handed_on = (tmp_path / "ada/{odd}/logs/started-by-nuke.log").read_text().strip()
    # The backend may run under another USER; the folder is the one that Nuke looks into.
    assert state_folder(handed_on, {"USER": "bo"}, "linux", "/h", "x") == f"{tmp_path}/ada/{{odd}}"


def test_a_command_that_hands_over_and_ends_well_is_no_failure(tmp_path):
    started = process(tmp_path, f"{sys.executable} -c pass")
    started.start()
    started._process.wait(20)
    assert started.failure() is None


def test_a_program_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BackendStartFailed, match="cannot be started"):
        process(tmp_path, str(tmp_path / "nothing")).start()


def test_a_log_that_grew_large_is_put_aside(tmp_path):
    log = tmp_path / "logs/started-by-nuke.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (6 * 1024 * 1024))
    started = process(tmp_path, f"{sys.executable} -c pass")
    started.start()
    started._process.wait(20)
    assert log.stat().st_size < 1000
    assert log.with_suffix(".old.log").exists()


# --- spool -------------------------------------------------------------------------------


def test_a_spool_folder_is_deleted_with_what_we_put_into_it(tmp_path):
    folders = DiskSpoolFolders()
    folder = Path(folders.create(str(tmp_path / "a/spool"), "u1"))
    (folder / "plate.1001.exr").write_bytes(b"x")
    (folder / "matte.-0003.exr").write_bytes(b"x")
    folders.discard(folder.as_posix())
    assert not (tmp_path / "a/spool").exists()
    assert (tmp_path / "a").exists()


def test_two_fills_of_a_node_never_share_a_folder(tmp_path):
    folders = DiskSpoolFolders()
    one, two = (folders.create(str(tmp_path), "u1") for _ in range(2))
    assert one != two
    folders.discard(one)
    assert Path(two).is_dir()


def test_what_is_not_ours_in_a_spool_folder_stays(tmp_path):
    folders = DiskSpoolFolders()
    folder = Path(folders.create(str(tmp_path), "u1"))
    (folder / "notes.txt").write_text("mine")
    (folder / "plate.1001.exr").write_bytes(b"x")
    folders.discard(folder.as_posix())
    assert [entry.name for entry in folder.iterdir()] == ["notes.txt"]


def test_a_folder_without_our_marker_is_left_alone(tmp_path):
    (tmp_path / "plate.1001.exr").write_bytes(b"the artist's")
    DiskSpoolFolders().discard(str(tmp_path))
    assert (tmp_path / "plate.1001.exr").exists()


def test_a_link_to_a_folder_is_left_alone(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / MARKER).write_text("")
    (real / "plate.1001.exr").write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to(real)
    DiskSpoolFolders().discard(str(link))
    assert (real / "plate.1001.exr").exists()


def test_a_spool_folder_that_is_gone_is_fine(tmp_path):
    DiskSpoolFolders().discard(str(tmp_path / "gone"))


def test_a_place_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable, match="cannot be made"):
        DiskSpoolFolders().create(str(tmp_path / "file"), "u1")


# --- system ------------------------------------------------------------------------------


def test_a_folder_that_is_gone_cannot_be_shown(tmp_path):
    with pytest.raises(MissingFrames):
        SystemFileBrowser({}, "").reveal(str(tmp_path / "gone"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other programs")
def test_a_folder_is_given_to_the_systems_file_browser(tmp_path, monkeypatch):
    program = tmp_path / "xdg-open"
    program.write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/shown.tmp\nmv {tmp_path}/shown.tmp {tmp_path}/shown\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "it's $HOME; [a]"
    folder.mkdir()
    SystemFileBrowser(os.environ, "").reveal(str(folder))
    deadline = time.monotonic() + 10
    while not (tmp_path / "shown").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "shown").read_text().strip() == str(folder)


def test_who_works_here_comes_from_the_environment():
    person = person_of({"USERNAME": "ada", "SHOW": "s", "SHOT": "010"}, "ws1")
    assert (person.user, person.show, person.shot, person.host) == ("ada", "s", "010", "ws1")

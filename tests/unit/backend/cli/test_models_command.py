from __future__ import annotations

import io
import json
import os
import sys

import pytest

from genai_fill_server.cli.main import main
from tests.fakes.hub_server import hub_server
from tests.fakes.model_hub import model_files, write_model

REPOSITORY = "stable-diffusion-v1-5/stable-diffusion-inpainting"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A user of whom nothing is set: no settings files, no variables of the hub."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "GENAI_FILL_MODELS_DIRS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "user.toml").write_text("")
    monkeypatch.setenv("GENAI_FILL_USER_CONFIG", str(tmp_path / "user.toml"))
    monkeypatch.setenv("GENAI_FILL_BACKEND_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return tmp_path


@pytest.fixture
def run(capsys):
    def run_command(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["models", *arguments])
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run_command


@pytest.fixture
def hub(monkeypatch):
    with hub_server(model_files(), REPOSITORY) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_pull_list_verify_remove(run, hub, home):
    folder = home / "state" / "models" / "sd15-inpaint"

    code, out, err = run("pull", "sd15-inpaint", "--accept-licence")
    assert (code, out) == (0, f"sd15-inpaint is installed: {folder}\n")
    assert "CreativeML OpenRAIL-M, commercial use: yes" in err
    assert "Fetching Stable Diffusion 1.5 inpainting" in err

    code, out, _ = run("list", "--json")
    listed = json.loads(out)
    assert [row["id"] for row in listed["installed"]] == ["sd15-inpaint"]
    assert listed["installed"][0]["state"] == "ok"
    assert "sd15-inpaint" not in [row["id"] for row in listed["available"]]

    assert run("verify", "sd15-inpaint", "--quiet") == (0, "sd15-inpaint: good\n", "")

    code, out, _ = run("remove", "sd15-inpaint", "--yes")
    assert code == 0
    assert not folder.exists()


def test_pull_without_agreement_asks_for_it(run, hub, home):
    code, _, err = run("pull", "sd15-inpaint")

    assert code == 2
    assert "--accept-licence" in err
    assert hub.seen == []


def test_pull_of_a_non_commercial_model_is_refused_by_policy(run, hub):
    code, _, err = run("pull", "flux1-fill-dev", "--accept-licence")

    assert code == 2
    assert "models.allow_non_commercial" in err
    assert hub.seen == []


def test_the_policy_is_read_from_the_settings(run, hub, monkeypatch):
    monkeypatch.setenv("GENAI_FILL_MODELS_ALLOW_NON_COMMERCIAL", "yes")

    code, _, err = run("pull", "flux1-fill-dev", "--accept-licence")

    assert code == 1
    assert "The hub has no black-forest-labs/FLUX.1-Fill-dev" in err


def test_pull_off_line_names_the_variable(run, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    code, _, err = run("pull", "flux2-klein-4b")

    assert code == 2
    assert "HF_HUB_OFFLINE" in err
    assert hub.seen == []


def test_an_interrupted_pull_is_listed_and_can_be_given_up(run, hub, home):
    broken = hub.files.pop("vae/diffusion_pytorch_model.safetensors")
    assert run("pull", "sd15-inpaint", "--accept-licence")[0] == 1
    hub.files["vae/diffusion_pytorch_model.safetensors"] = broken

    _, out, _ = run("list")
    assert "interrupted: sd15-inpaint" in out
    assert run("remove", "sd15-inpaint", "--yes")[0] == 0

    assert json.loads(run("list", "--json")[1])["interrupted"] == []


def test_what_a_removal_left_is_listed_and_goes_with_the_next(run, home):
    write_model(home / "state" / "models" / "old.0123abcd.trash" / "blobs")

    assert "left over: 0.0 GB of removals" in run("list")[1]
    assert json.loads(run("list", "--json")[1])["left_over_bytes"] > 100_000
    assert run("remove", "old", "--yes")[0] != 0  # it is no model any more

    assert json.loads(run("list", "--json")[1])["left_over_bytes"] == 0
    assert "left over" not in run("list")[1]


def test_add_says_where_and_list_shows_licence_and_size(run, home):
    source = write_model(home / "in" / "ours")

    code, out, _ = run("add", str(source), "--json")
    path = home / "state" / "models" / "ours"
    assert (code, json.loads(out)) == (0, {"id": "ours", "path": str(path)})

    line = run("list")[1].splitlines()[0].split("\t")
    assert line == ["ours", "ok", "0.0 GB", "unknown", "with a licence", ""]


def test_add_refuses_a_pickle_with_words(run, home):
    source = write_model(home / "in" / "ours")
    (source / "unet" / "w.bin").write_bytes(b"x")

    code, _, err = run("add", str(source))

    assert code == 1
    assert "pickle" in err
    assert "Traceback" not in err


def test_verify_fails_for_a_changed_file(run, home):
    run("add", str(write_model(home / "in" / "ours")))
    path = home / "state/models/ours/tokenizer/merges.txt"
    path.write_text("#version: 0.3\n")

    code, out, _ = run("verify", "--quiet")
    assert (code, out) == (1, "ours: wrong: tokenizer/merges.txt\n")

    code, out, _ = run("verify", "--json", "--quiet")
    assert code == 1
    assert json.loads(out)["models"][0]["wrong"] == ["tokenizer/merges.txt"]


def test_a_file_name_cannot_steer_the_terminal(run, home):
    run("add", str(write_model(home / "in" / "ours")))
    (home / "state/models/ours" / "x\x1b[2Jy").write_text("")

    assert "\x1b" not in run("verify", "--quiet")[1]


def test_a_file_name_that_is_no_text_is_told_all_the_same(run, home):
    run("add", str(write_model(home / "in" / "ours")))
    (home / "state/models/ours" / os.fsdecode(b"\xff")).write_text("")

    code, out, _ = run("verify", "--json", "--quiet")

    assert code == 1
    assert json.loads(out)["models"][0]["extra"] == ["\udcff"]


def test_verify_of_a_named_model_without_hashes_fails_and_of_all_does_not(run, home):
    write_model(home / "state" / "models" / "copied")

    assert run("verify", "--quiet")[:2] == (0, "copied: no hashes were recorded\n")
    assert run("verify", "copied", "--quiet")[0] == 1


def test_verify_of_an_empty_store_is_fine(run):
    assert run("verify")[:2] == (0, "No model is installed.\n")


def test_remove_does_not_go_ahead_when_nobody_can_be_asked(run, home):
    path = write_model(home / "state" / "models" / "ours")

    code, _, err = run("remove", "ours")

    assert code == 2
    assert "--yes" in err
    assert path.is_dir()


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True)])
def test_remove_asks_on_a_terminal(run, home, monkeypatch, answer, stays):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    path = write_model(home / "state" / "models" / "ours")
    monkeypatch.setattr("sys.stdin", Terminal(answer))

    code, _, _ = run("remove", "ours")

    assert path.is_dir() == stays
    assert (code != 0) == stays


@pytest.mark.parametrize("model_id", ["../../etc", "/", "a/b"])
def test_remove_takes_no_path(run, model_id):
    assert run("remove", model_id, "--yes")[0] == 2


def test_models_dirs_of_the_settings_are_used(run, home, monkeypatch):
    write_model(home / "share" / "theirs")
    monkeypatch.setenv("GENAI_FILL_MODELS_DIRS", str(home / "share"))

    assert [m["id"] for m in json.loads(run("list", "--json")[1])["installed"]] == ["theirs"]


def test_licences_are_one_row_a_model(run, home):
    write_model(home / "state" / "models" / "sd15-inpaint")

    rows = json.loads(run("licences", "--json")[1])["models"]

    assert rows[0]["id"] == "sd15-inpaint"
    assert rows[0]["installed"]
    assert len([row for row in rows if row["id"] == "sd15-inpaint"]) == 1
    assert {row["commercial_use"] for row in rows} == {"yes", "no", "with_licence"}


def test_tables_are_drawn_on_a_terminal(run, home, monkeypatch):
    write_model(home / "state" / "models" / "ours")
    (home / "state/models/ours/x.py").write_text("")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    monkeypatch.setenv("COLUMNS", "300")

    _, out, _ = run("list")

    assert "unsafe" in out
    assert "flux2-klein-4b" in out


def test_flow_is_listed_as_what_is_added_by_hand(run):
    code, out = run("list")[:2]

    assert code == 0
    assert "by hand: raft-large (BSD-3-Clause)." in out
    rows = json.loads(run("list", "--json")[1])["available"]
    assert [row["id"] for row in rows if row["by_hand"]] == ["raft-large", "raft-small"]
    assert run("pull", "raft-large", "--accept-licence")[0] == 2

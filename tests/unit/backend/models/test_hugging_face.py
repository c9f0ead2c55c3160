"""The real huggingface_hub package against a local server."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from huggingface_hub import constants

from genai_fill_contract.errors import ConfigError, DiskFull, ModelMissing, OutputNotWritable
from genai_fill_server.models.hugging_face import HuggingFaceHub
from genai_fill_server.models.pull import PullModel
from genai_fill_server.models.verify import verify_model
from tests.fakes.hub_server import hub_server
from tests.fakes.model_hub import COMMIT, Steps, model_files

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def server():
    with hub_server(model_files()) as running:
        yield running


@pytest.fixture(autouse=True)
def _on_line(monkeypatch):
    """The library reads its switch once, when it is imported; tests of engines turn it off."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def hub_of(server, **environment):
    return HuggingFaceHub({"HF_ENDPOINT": server.url, **environment})


def test_files_are_listed_with_sizes_and_hashes(server):
    remote = hub_of(server).list_files("org/model", "main")

    assert remote.commit == COMMIT
    by_name = {file.name: file for file in remote.files}
    assert set(by_name) == set(model_files())
    assert by_name[UNET].size_bytes == len(model_files()[UNET])
    assert len(by_name[UNET].sha256) == 64
    assert len(by_name["tokenizer/merges.txt"].git_oid) == 40


def test_a_file_is_fetched_and_every_byte_told(server, tmp_path):
    told = []

    hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, told.append)

    assert (tmp_path / UNET).read_bytes() == model_files()[UNET]
    assert sum(told) == len(model_files()[UNET])


def test_a_file_that_is_there_already_is_told_too(server, tmp_path):
    hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, lambda count: None)
    told = []

    hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, told.append)

    assert sum(told) == len(model_files()[UNET])
    assert len([seen for seen in server.seen if seen[0] == "GET"]) == 1


def test_what_the_library_leaves_is_tidied_away(server, tmp_path):
    hub = hub_of(server)
    hub.fetch("org/model", COMMIT, "tokenizer/merges.txt", tmp_path, lambda count: None)

    hub.tidy(tmp_path)

    assert [p.name for p in tmp_path.iterdir()] == ["tokenizer"]


def test_a_whole_pull_over_http(server, make_store, offer):
    store = make_store()
    pull = PullModel(store, hub_of(server), lambda: "now")
    offer = dataclasses.replace(offer, repository="org/model")
    server.files["unet/diffusion_pytorch_model.bin"] = b"pickle"

    path = pull.pull(offer, accepted=True, progress=Steps())

    assert verify_model(store.find("sd15-inpaint"), Steps()).is_good
    assert not [p for p in path.rglob("*") if p.suffix == ".bin" or p.name.startswith(".")]
    assert not [seen for seen in server.seen if seen[1].endswith(".bin")]


def test_a_repository_or_revision_that_is_not_there_is_named(server):
    with pytest.raises(ModelMissing, match="org/other"):
        hub_of(server).list_files("org/other", "main")
    with pytest.raises(ModelMissing, match="not at that revision"):
        hub_of(server).list_files("org/model", "gone")


def test_a_gated_repository_says_where_to_agree(server):
    server.gated = True

    with pytest.raises(ModelMissing, match="licence") as caught:
        hub_of(server).list_files("org/model", "main")

    assert "HF_TOKEN" in caught.value.hint


def test_the_users_token_opens_a_gated_repository(server):
    server.gated = True

    assert hub_of(server, HF_TOKEN="right").list_files("org/model", "main").files


def test_a_hub_that_does_not_answer_is_named_with_what_to_look_at():
    with hub_server({}) as gone:
        pass

    with pytest.raises(ModelMissing, match="cannot be fetched") as caught:
        hub_of(gone).list_files("org/model", "main")

    assert "HF_ENDPOINT" in caught.value.hint


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_who_set_off_line_stays_off_line(name, value):
    with pytest.raises(ConfigError, match=name):
        HuggingFaceHub({name: value})


def test_off_line_set_to_0_is_on_line():
    HuggingFaceHub({"HF_HUB_OFFLINE": "0"})


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(ConfigError, match="not installed") as caught:
        HuggingFaceHub({})

    assert 'install -c constraints.txt -e ".[diffusion]"' in caught.value.hint


class BreakingDisk:
    def __init__(self, number):
        self.number = number

    def write(self, count):
        raise OSError(self.number, "told so")


@pytest.mark.parametrize(("number", "error"), [(28, DiskFull), (30, OutputNotWritable)])
def test_a_disk_that_gives_out_while_fetching_is_not_called_a_network_fault(
    server, tmp_path, number, error
):
    with pytest.raises(error):
        hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, BreakingDisk(number).write)


def test_a_cancel_while_fetching_passes_through(server, tmp_path):
    def cancel(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, cancel)


BIG = bytes(range(256)) * (24 * 2**12)
"""24 MiB: the library takes in 10 MiB at once, and asks again for what came after those."""


def test_a_line_that_breaks_goes_on_where_it_broke(server, tmp_path):
    server.files[UNET] = BIG
    server.break_off = UNET
    told = []

    hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, told.append)

    assert (tmp_path / UNET).read_bytes() == BIG
    assert sum(told) == len(BIG)
    ((name, asked),) = server.ranges
    assert name == UNET
    assert 0 < int(asked.removeprefix("bytes=").rstrip("-")) <= len(BIG) // 2


def test_a_fetch_that_was_cancelled_begins_that_file_anew(server, tmp_path):
    server.files[UNET] = BIG
    told = []

    def cancel(count):
        told.append(count)
        if sum(told) > len(BIG) // 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, cancel)
    assert not (tmp_path / UNET).exists()
    again = []

    hub_of(server).fetch("org/model", COMMIT, UNET, tmp_path, again.append)

    assert (tmp_path / UNET).read_bytes() == BIG
    assert sum(again) == len(BIG)
    assert server.ranges == []  # the library keeps no part of a file from call to call
    assert not list(tmp_path.rglob("*.incomplete"))

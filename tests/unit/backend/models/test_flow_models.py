"""RAFT's weights in the model store: converted, added, listed, and never a fill engine."""

from __future__ import annotations

import json

import pytest
import torch

from examples import convert_raft
from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import (
    InvalidRequest,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
    OutputExists,
)
from genai_fill_contract.models import ModelState
from genai_fill_server.bootstrap.model_folders import known_offers
from genai_fill_server.engines import diffusers
from genai_fill_server.engines.cleanplate.raft.folder import find_raft_folders
from genai_fill_server.engines.cleanplate.raft.layout import LARGE, SMALL
from genai_fill_server.models.catalogue import find_offer
from genai_fill_server.models.describing import describe_models
from genai_fill_server.models.verify import verify_model
from tests.fakes.model_hub import Steps, write_model
from tests.fakes.raft_weights import random_weights, write_raft


@pytest.fixture
def pickle(tmp_path):
    """What torchvision publishes, with random weights."""
    path = tmp_path / "raft_small.pth"
    torch.save({name: torch.tensor(v) for name, v in random_weights(SMALL).items()}, path)
    return path


def describe(store):
    found = describe_models(
        store, known_offers(), engine_prefix="diffusers:", allow_non_commercial=False
    )
    return {model.id: model for model in found}


def test_converted_weights_are_added_and_found(tmp_path, pickle, make_add, make_store, store_dir):
    weights = convert_raft.convert(pickle, tmp_path / "raft-small")

    path = make_add().add(weights.parent.parent, progress=Steps())

    assert path == store_dir / "raft-small"
    assert weights.name == "raft_small.safetensors"
    assert verify_model(make_store().find("raft-small"), Steps()).is_good
    assert [found.path for found in find_raft_folders([str(store_dir)])] == [path]


def test_the_command_line_says_what_it_wrote_and_what_was_wrong(tmp_path, pickle, capsys):
    folder = tmp_path / "made"

    assert convert_raft.main([str(pickle), str(folder)]) == 0
    assert "raft_small.safetensors" in capsys.readouterr().out
    assert convert_raft.main([str(pickle), str(folder)]) == 1
    assert "is there already" in capsys.readouterr().err


class Evil:
    """What a pickle can do: call anything when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path):
    path, trap = tmp_path / "raft.pth", tmp_path / "was_run"
    torch.save({"a": torch.zeros(2), "b": Evil(str(trap))}, path)

    with pytest.raises(ModelUnsafe, match="cannot be read as tensors alone"):
        convert_raft.convert(path, tmp_path / "out")

    assert not trap.exists()
    assert not (tmp_path / "out").exists()


def test_a_file_whose_hash_is_not_the_one_in_its_name_is_refused(tmp_path, pickle):
    named = pickle.rename(tmp_path / "raft_small_C_T_V2-01064c6d.pth")

    with pytest.raises(ModelUnsafe, match="not with the digits in its name"):
        convert_raft.convert(named, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04."])
def test_a_file_that_is_no_pickle_of_tensors_is_refused(tmp_path, content):
    (tmp_path / "raft.pth").write_bytes(content)

    with pytest.raises(ModelUnsafe):
        convert_raft.convert(tmp_path / "raft.pth", tmp_path / "out")


@pytest.mark.parametrize("table", [{"a": torch.zeros(2)}, [torch.zeros(2)], {"a": 1}])
def test_other_tensors_are_refused(tmp_path, table):
    torch.save(table, tmp_path / "raft.pth")

    with pytest.raises(ModelLoadFailed):
        convert_raft.convert(tmp_path / "raft.pth", tmp_path / "out")


def test_an_existing_folder_is_never_written_into(tmp_path, pickle):
    (tmp_path / "out").mkdir()

    with pytest.raises(OutputExists):
        convert_raft.convert(pickle, tmp_path / "out")


def test_installed_flow_is_listed_and_is_no_engine(store_dir, make_store):
    write_raft(store_dir / "raft-large", LARGE)
    write_model(store_dir / "sd15-inpaint")

    model = describe(make_store())["raft-large"]
    engines = diffusers.create({"models.dirs": [str(store_dir)]})

    assert model.state is ModelState.INSTALLED
    assert model.engine_id == ""
    assert model.kind is None
    assert model.licence == "BSD-3-Clause"
    assert model.commercial_use is CommercialUse.WITH_LICENCE
    assert "KITTI" in model.licence_note
    assert [engine.description.id for engine in engines] == ["diffusers:sd15-inpaint"]


def test_flow_that_is_not_there_is_named_with_the_way_to_it(make_store):
    for model_id in ("raft-large", "raft-small"):
        model = describe(make_store())[model_id]

        assert model.state is ModelState.MISSING
        assert not model.can_pull
        assert not model.needs_agreement
        assert "docs/engines/models.md" in model.what_to_do


def test_pulling_flow_is_refused_before_anything_is_asked_of_the_network(make_pull, hub):
    offer = find_offer(known_offers(), "raft-large")

    with pytest.raises(InvalidRequest, match="cannot be pulled") as raised:
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert "docs/engines/models.md" in raised.value.hint
    assert hub.fetched == []


def test_a_studio_s_own_card_goes_before_the_catalogue_s(store_dir, make_store):
    folder = write_raft(store_dir / "ours", SMALL)
    (folder / "genai_fill_model.toml").write_text('licence = "Studio"\ncommercial_use = "yes"\n')

    model = describe(make_store())["ours"]

    assert (model.licence, model.commercial_use) == ("Studio", CommercialUse.YES)


def test_flow_that_cannot_be_loaded_is_not_added(tmp_path, make_add, store_dir):
    folder = write_raft(tmp_path / "raft-small", SMALL)
    weights = folder / "flow" / "raft_small.safetensors"
    weights.rename(folder / "flow" / "other.safetensors")
    with pytest.raises(ModelMissing):
        make_add().add(folder, progress=Steps())

    (folder / "flow" / "other.safetensors").rename(weights)
    (folder / "raft_small.pth").write_bytes(b"")
    with pytest.raises(ModelUnsafe):
        make_add().add(folder, progress=Steps())

    (folder / "raft_small.pth").unlink()
    index = {"_class_name": "RAFT", "flow": ["genai_fill", "raft_large"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelMissing):
        make_add().add(folder, progress=Steps())
    assert list(store_dir.iterdir()) == []

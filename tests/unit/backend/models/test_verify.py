from __future__ import annotations

import json

import pytest

from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_server.models.record import ModelRecord, read_record, write_record
from genai_fill_server.models.verify import verify_model
from tests.fakes.model_hub import Steps, model_files, write_model

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(make_add, tmp_path):
    return make_add().add(write_model(tmp_path / "in" / "m"), progress=Steps())


def verdict(make_store, steps=None):
    return verify_model(make_store().find("m"), steps or Steps())


def test_a_flipped_bit_is_found(model, make_store):
    data = bytearray((model / UNET).read_bytes())
    data[-1] ^= 1
    (model / UNET).write_bytes(data)

    found = verdict(make_store)

    assert found.wrong == (UNET,)
    assert not found.is_good


def test_a_cut_file_is_found_without_being_read(model, make_store):
    with (model / UNET).open("r+b") as file:
        file.truncate(10)

    assert verdict(make_store).wrong == (UNET,)


def test_a_missing_file_is_found(model, make_store):
    (model / "tokenizer" / "merges.txt").unlink()

    assert verdict(make_store).missing == ("tokenizer/merges.txt",)


@pytest.mark.parametrize("name", ["unet/extra.json", "unet/.x.safetensors", "note"])
def test_an_extra_file_is_found(model, make_store, name):
    (model / name).write_text("x")

    assert verdict(make_store).extra == (name,)


def test_a_card_that_the_studio_put_there_is_not_extra(model, make_store):
    (model / "genai_fill_model.toml").write_text('licence = "Studio"\n')

    assert verdict(make_store).is_good


def test_a_card_that_came_with_the_model_is_verified_with_it(make_add, make_store, tmp_path):
    source = write_model(tmp_path / "in" / "m")
    (source / "genai_fill_model.toml").write_text('licence = "Research only"\n')
    path = make_add().add(source, progress=Steps())
    (path / "genai_fill_model.toml").write_text('licence = "MIT"\n')

    assert verdict(make_store).wrong == ("genai_fill_model.toml",)


def test_what_the_engines_refuse_is_a_problem_too(model, make_store):
    (model / "unet" / "x.py").write_text("x")

    found = verdict(make_store)

    assert "x.py" in found.problem
    assert not found.is_good


def test_progress_covers_every_byte(model, make_store):
    steps = Steps()

    verdict(make_store, steps)

    total = sum(len(data) for data in model_files().values())
    assert steps.phases == [["Verifying m", total, total]]


def test_it_can_be_cancelled(model, make_store):
    with pytest.raises(KeyboardInterrupt):
        verdict(make_store, Steps(stop_after_bytes=1))


def test_a_model_without_a_record_cannot_be_verified(make_store, store_dir):
    write_model(store_dir / "m")

    found = verdict(make_store)

    assert found.unrecorded
    assert found.is_good


RECORD = {
    "version": 1,
    "id": "m",
    "source": "added",
    "revision": "",
    "recorded_at": "",
    "accepted": "",
    "files": {},
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "[]",
        "null",
        "{}",
        " " * (5 * 2**20),
        json.dumps(RECORD | {"version": 2}),
        json.dumps(RECORD | {"files": []}),
        json.dumps(RECORD | {"files": {"a": {"size_bytes": 1, "sha256": "x"}}}),
        json.dumps(RECORD | {"files": {"a": {"size_bytes": None, "sha256": "0" * 64}}}),
        json.dumps(RECORD | {"files": {"a": 3}}),
        json.dumps(RECORD | {"files": {"a": {"size_bytes": float("inf"), "sha256": "0" * 64}}}),
    ],
)
def test_a_spoilt_record_is_a_problem_and_no_crash(model, make_store, text):
    (model / "genai_fill_lock.json").write_text(text)

    with pytest.raises(ModelLoadFailed):
        read_record(model)
    assert not verdict(make_store).is_good


def test_a_record_comes_back_as_it_was_written(tmp_path):
    record = ModelRecord("m", "org/m", "abc", "now", {}, "MIT")

    write_record(tmp_path, record)

    assert read_record(tmp_path) == record


def test_a_record_that_names_files_outside_reads_none_of_them(model, make_store, tmp_path):
    (tmp_path / "outside.json").write_text("{}")
    record = json.loads((model / "genai_fill_lock.json").read_text())
    record["files"]["../../outside.json"] = {"size_bytes": 2, "sha256": "0" * 64}
    (model / "genai_fill_lock.json").write_text(json.dumps(record))

    assert verdict(make_store).missing == ("../../outside.json",)

from __future__ import annotations

import json

import pytest

from genai_fill_contract.errors import ModelLoadFailed, ModelMissing, ModelUnsafe
from genai_fill_server.models.contents import (
    CARD_FILE,
    check_content,
    choose_files,
    is_kept,
    list_folder,
    read_parts,
)
from tests.fakes.model_hub import safetensors, write_model


@pytest.mark.parametrize(
    "name",
    [
        "unet/a.safetensors",
        "model_index.json",
        "tokenizer/merges.txt",
        "tokenizer/chat_template.jinja",
        "LICENSE",
        "LICENSE.md",
        "NOTICE.txt",
        "README.md",
        CARD_FILE,
    ],
)
def test_weights_texts_and_licences_are_kept(name):
    assert is_kept(name)


@pytest.mark.parametrize(
    "name",
    [
        "unet/a.bin",
        "a.ckpt",
        "a.pt",
        "a.pth",
        "a.PKL",
        "pipeline.py",
        "unet/x.so",
        "cat.png",
        "unet/other.jinja",
        "LICENSE.py",
        "unet/README.md",
        f"unet/{CARD_FILE}",
        ".gitattributes",
    ],
)
def test_everything_else_is_not(name):
    assert not is_kept(name)


def choose(*names, parts=("unet", "vae"), **options):
    return choose_files(tuple(names), frozenset(parts), **options)


def test_only_the_parts_that_the_index_names_are_chosen():
    chosen = choose("model_index.json", "unet/a.safetensors", "other/a.safetensors", "vae/c.json")

    assert chosen == ("model_index.json", "unet/a.safetensors", "vae/c.json")


def test_weights_at_the_top_are_left_out():
    assert choose("all-in-one.safetensors", "unet/a.safetensors") == ("unet/a.safetensors",)


def test_skipped_parts_are_left_out():
    assert choose("unet/a.safetensors", "vae/a.safetensors", skip=("unet",)) == (
        "vae/a.safetensors",
    )


WEIGHTS = (
    "unet/config.json",
    "unet/w.safetensors",
    "unet/w.fp16.safetensors",
    "unet/w.non_ema.safetensors",
    "vae/w.safetensors",
)


def test_of_several_variants_the_wanted_one_is_chosen_where_there_is_one():
    assert choose(*WEIGHTS, variant="fp16") == (
        "unet/config.json",
        "unet/w.fp16.safetensors",
        "vae/w.safetensors",
    )


def test_without_a_wanted_variant_the_plain_one_is_chosen():
    assert choose(*WEIGHTS) == ("unet/config.json", "unet/w.safetensors", "vae/w.safetensors")


def test_a_part_that_has_one_variant_only_is_chosen_with_it():
    assert choose("unet/w.fp16.safetensors") == ("unet/w.fp16.safetensors",)


def test_shards_and_their_index_belong_to_their_variant():
    names = (
        "unet/w-00001-of-00002.safetensors",
        "unet/w-00002-of-00002.safetensors",
        "unet/w.safetensors.index.json",
        "unet/w.fp16-00001-of-00001.safetensors",
        "unet/w.safetensors.index.fp16.json",
    )

    assert choose(*names) == names[:3]
    assert set(choose(*names, variant="fp16")) == set(names[3:])


def test_pickles_and_code_are_never_chosen():
    assert choose("unet/w.bin", "unet/modeling.py", "handler.py") == ()


def test_a_folder_is_listed_without_what_is_not_needed(tmp_path):
    folder = write_model(tmp_path / "m")
    (folder / "cat.png").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")

    names = set(list_folder(folder, folder))

    assert "unet/diffusion_pytorch_model.safetensors" in names
    assert not {n for n in names if "png" in n or "git" in n}


@pytest.mark.parametrize("name", ["unet/w.bin", "w.ckpt", "pipeline.py", "vae/x.so", "run.sh"])
def test_a_folder_with_a_pickle_or_code_is_refused_by_name(tmp_path, name):
    folder = write_model(tmp_path / "m")
    (folder / name).write_bytes(b"x")

    with pytest.raises(ModelUnsafe) as caught:
        list_folder(folder, folder)

    assert name in caught.value.message


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    folder = write_model(tmp_path / "m")
    (folder / "unet" / "extra.json").symlink_to(tmp_path / "secret.json")

    with pytest.raises(ModelUnsafe, match="outside"):
        list_folder(folder, folder)


def test_a_linked_folder_is_refused(tmp_path):
    folder = write_model(tmp_path / "m")
    (folder / "loop").symlink_to(folder)

    with pytest.raises(ModelUnsafe, match="link to a folder"):
        list_folder(folder, folder)


def test_a_link_whose_file_was_never_fetched_is_named(tmp_path):
    folder = write_model(tmp_path / "m")
    (folder / "unet" / "w.safetensors").symlink_to(folder / "blob")

    with pytest.raises(ModelMissing, match="not there"):
        list_folder(folder, folder)


def test_a_whole_safetensors_file_passes(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors(b"12345678"))

    check_content("unet/w.safetensors", path)


def header(entry, weights=b"") -> bytes:
    text = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return len(text).to_bytes(8, "little") + text + weights


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95",
        b"PK\x03\x04" + b"\0" * 40,
        safetensors(b"12345678")[:-1],
        safetensors(b"12345678") + b"x",
        (2**62).to_bytes(8, "little") + b"{}",
        header(b"[" * 100_000),
        header([1, 2]),
        header({"w": 3}),
        header({"w": {"data_offsets": [4, 2]}}, b"1234"),
        header({"w": {"data_offsets": [0, "x"]}}, b"1234"),
        header({"w": {"data_offsets": [0]}}, b"1234"),
        header(b'{"w": {"data_offsets": [0, Infinity]}}', b"1234"),
        header(b'{"w": {"data_offsets": [0, 4.0]}}', b"1234"),
        header(b'{"w": {"data_offsets": [0, ' + b"9" * 5000 + b"]}}", b"1234"),
        header(b"\xff\xfe"),
    ],
)
def test_what_is_not_safetensors_is_refused_whatever_its_name(tmp_path, data):
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)

    with pytest.raises(ModelUnsafe, match="not a safetensors file"):
        check_content("unet/w.safetensors", path)


def test_a_huge_text_is_refused_without_being_read(tmp_path):
    path = tmp_path / "vocab.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # a sparse file

    with pytest.raises(ModelUnsafe, match="MiB"):
        check_content("tokenizer/vocab.json", path)


@pytest.mark.parametrize("text", ["a = ", "x = " + "[" * 50_000, "a" * 70_000])
def test_a_card_that_cannot_be_read_is_named(tmp_path, text):
    path = tmp_path / CARD_FILE
    path.write_text(text)

    with pytest.raises(ModelLoadFailed, match="card"):
        check_content(CARD_FILE, path)


def test_the_parts_are_those_that_are_there(tmp_path):
    folder = write_model(tmp_path / "m")

    assert read_parts(folder / "model_index.json") == {"unet", "vae", "tokenizer", "scheduler"}


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '"x"', "\xff", " " * 2**21])
def test_an_index_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "model_index.json"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(ModelLoadFailed):
        read_parts(path)


@pytest.mark.parametrize("part", ["../x", "a/b", "..", "C:x"])
def test_a_part_that_is_no_plain_folder_is_refused(tmp_path, part):
    path = tmp_path / "model_index.json"
    path.write_text(json.dumps({part: ["diffusers", "X"]}))

    with pytest.raises(ModelUnsafe):
        read_parts(path)

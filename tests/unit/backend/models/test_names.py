from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_fill_contract.errors import GenAIFillError, InvalidRequest, ModelUnsafe
from genai_fill_server.models.names import check_file_names, check_model_id, id_from


@pytest.mark.parametrize("name", ["flux2-klein-4b", "wan21-vace-1.3b", "A", "org--name", "x_1"])
def test_plain_ids_pass(name):
    assert check_model_id(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/etc",
        "C:evil",
        "a\0b",
        "a b",
        "-rf",
        ".hidden",
        "x.",
        "x.partial",
        "x.trash",
        "blobs",
        "Refs",
        "nul",
        "COM1",
        "aux.x",
        "é",
        "a\n",
        "x" * 97,
    ],
)
def test_ids_that_could_leave_the_store_or_name_its_own_folders_are_refused(name):
    with pytest.raises(InvalidRequest):
        check_model_id(name)


def test_an_id_is_made_of_any_folder_name():
    assert id_from("My Model (v2)") == "My-Model-v2"


@given(st.text(max_size=60))
def test_an_id_made_of_a_name_is_an_id_or_refused(text):
    try:
        made = id_from(text)
    except InvalidRequest:
        return
    assert check_model_id(made) == made


@pytest.mark.parametrize(
    "name",
    [
        "../model_index.json",
        "unet/../../x.json",
        "/etc/passwd",
        "unet//x.json",
        "unet\\x.json",
        "C:/x.json",
        "unet/.hidden",
        "unet/x.json.",
        "unet/x ",
        "con.json",
        "unet/LPT1.txt",
        "a\0.json",
        "a\n.json",
        "~/x",
        "",
        "d/" * 130 + "x.json",
        "unet/\u202egnp.json",
    ],
)
def test_file_names_that_could_leave_the_folder_are_refused(name):
    with pytest.raises(ModelUnsafe) as caught:
        check_file_names(["model_index.json", name], "org/model")

    assert "org/model" in caught.value.message


def test_two_names_that_are_one_file_elsewhere_are_refused():
    with pytest.raises(ModelUnsafe, match="one file on many disks"):
        check_file_names(["unet/config.json", "UNet/config.json"], "org/model")


@given(st.lists(st.text(max_size=30), max_size=5, unique=True))
def test_names_that_pass_stay_inside(names):
    try:
        passed = check_file_names(names, "m")
    except GenAIFillError:
        return
    for name in passed:
        assert ".." not in name.split("/")
        assert not name.startswith("/")
        assert "\\" not in name

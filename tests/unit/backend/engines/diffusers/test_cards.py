from __future__ import annotations

import json

import pytest

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import ConfigError
from genai_fill_server.engines.diffusers.cards import card_of, read_catalogue
from genai_fill_server.engines.diffusers.families import FAMILIES


def card(path, text, family="stable-diffusion-xl"):
    (path / "genai_fill_model.toml").write_text(text)
    return card_of(path, path.name, family, read_catalogue())


def test_every_catalogue_entry_has_a_known_family_and_a_licence():
    families = {family.name for family in FAMILIES}

    for entry in read_catalogue():
        assert entry.family in families, entry.id
        assert entry.licence != "unknown", entry.id
        assert entry.repository, entry.id


def test_no_two_entries_can_be_taken_for_each_other():
    entries = read_catalogue()
    names = [e.repository.split("/")[-1].lower() for e in entries]

    assert len(set(names)) == len(entries)
    assert len({e.id for e in entries}) == len(entries)


@pytest.mark.parametrize(
    "name",
    [
        "sdxl-inpaint",
        "stable-diffusion-xl-1.0-inpainting-0.1",
        "diffusers--stable-diffusion-xl-1.0-inpainting-0.1",
    ],
)
def test_a_folder_is_known_by_its_name(tmp_path, name):
    found = card_of(tmp_path, name, "stable-diffusion-xl", read_catalogue())

    assert found.id == "sdxl-inpaint"
    assert found.commercial_use is CommercialUse.YES


def test_the_name_alone_is_not_enough(tmp_path):
    found = card_of(tmp_path, "sdxl-inpaint", "stable-diffusion", read_catalogue())

    assert found.licence == "unknown"
    assert found.commercial_use is CommercialUse.WITH_LICENCE


def test_the_non_commercial_sibling_is_not_taken_for_the_free_one(tmp_path):
    found = card_of(tmp_path, "Qwen-Image-2.1", "qwen-image", read_catalogue())

    assert found.commercial_use is CommercialUse.NO


KLEIN_4B = {
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
}
KLEIN_9B = {
    "num_layers": 8,
    "num_single_layers": 24,
    "num_attention_heads": 32,
    "joint_attention_dim": 12288,
}


def sized(path, sizes):
    """Write what a transformer says of itself, with entries that tell nothing."""
    (path / "transformer").mkdir()
    config = {"_class_name": "X", "attention_head_dim": 128, "eps": 1e-6, **sizes}
    (path / "transformer" / "config.json").write_text(json.dumps(config))
    return path


def known_as(path, name, family):
    return card_of(path, name, family, read_catalogue())


@pytest.mark.parametrize("name", ["klein-9b-show", "flux2-klein-4b", "FLUX.2-klein-4B"])
def test_a_non_commercial_model_is_known_by_its_sizes_under_any_name(tmp_path, name):
    found = known_as(sized(tmp_path, KLEIN_9B), name, "flux2-klein")

    assert found.commercial_use is CommercialUse.NO
    assert found.licence == "FLUX non-commercial"
    assert "FLUX.2 klein 9B" in found.licence_note
    assert "genai_fill_model.toml" in found.licence_note


def test_another_models_name_is_not_believed_against_the_sizes(tmp_path):
    sized(tmp_path, {"num_layers": 48, "num_attention_heads": 32, "joint_attention_dim": 4096})

    assert known_as(tmp_path, "qwen-image", "qwen-image").commercial_use is CommercialUse.NO


def test_a_known_model_of_the_right_sizes_is_itself(tmp_path):
    found = known_as(sized(tmp_path, KLEIN_4B), "FLUX.2-klein-4B", "flux2-klein")

    assert (found.id, found.commercial_use) == ("flux2-klein-4b", CommercialUse.YES)


def test_the_free_siblings_sizes_under_another_name_are_not_taken_for_the_strict_one(tmp_path):
    found = known_as(sized(tmp_path, KLEIN_4B), "our-klein", "flux2-klein")

    assert (found.licence, found.commercial_use) == ("unknown", CommercialUse.WITH_LICENCE)


@pytest.mark.parametrize(
    ("family", "relative"),
    [
        ("flux2-klein", "FLUX.2 klein 9B"),
        ("qwen-image", "Qwen-Image 2.1"),
        ("qwen-image-controlnet", "Qwen-Image 2.1"),
        ("flux-fill", "every known model"),
    ],
)
def test_an_unknown_model_is_taken_for_the_strictest_of_its_family(tmp_path, family, relative):
    found = known_as(tmp_path, "ours", family)

    assert found.commercial_use is CommercialUse.NO
    assert found.licence == "unknown, taken for non-commercial"
    assert relative in found.licence_note


def test_sizes_that_are_nobodys_are_taken_for_the_strictest(tmp_path):
    found = known_as(sized(tmp_path, {"num_layers": 3}), "pruned", "flux2-klein")

    assert found.commercial_use is CommercialUse.NO


@pytest.mark.parametrize("text", ["", "[]", "{", '{"num_layers": "8"}', "[" * 100_000])
def test_a_configuration_that_cannot_be_read_tells_no_sizes(tmp_path, text):
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(text)

    assert known_as(tmp_path, "ours", "flux2-klein").commercial_use is CommercialUse.NO


def test_the_studios_own_card_says_otherwise(tmp_path):
    sized(tmp_path, KLEIN_9B)
    found = card(tmp_path, 'licence = "Ours"\ncommercial_use = "yes"', "flux2-klein")

    assert (found.licence, found.commercial_use) == ("Ours", CommercialUse.YES)


def test_a_card_that_says_nothing_of_the_licence_changes_nothing_of_it(tmp_path):
    sized(tmp_path, KLEIN_9B)
    found = card(tmp_path, 'label = "Ours"', "flux2-klein")

    assert (found.label, found.commercial_use) == ("Ours", CommercialUse.NO)


def test_a_folders_own_card_wins(tmp_path):
    found = card(tmp_path, 'label = "Ours"\nlicence = "Studio"\ncommercial_use = "yes"')

    assert (found.label, found.licence, found.commercial_use) == (
        "Ours",
        "Studio",
        CommercialUse.YES,
    )


def test_a_folders_own_card_may_build_on_the_catalogue(tmp_path):
    found = card(tmp_path, 'catalogue = "sdxl-inpaint"\nnative_px = 768')

    assert found.licence == "CreativeML OpenRAIL++-M"
    assert found.native_px == 768


@pytest.mark.parametrize(
    "text",
    [
        "label =",
        'lable = "x"',
        "native_px = true",
        'vram_gb = "lots"',
        'commercial_use = "maybe"',
        'catalogue = "no-such-model"',
        "sizes = { num_layers = 5 }",
    ],
)
def test_a_card_with_a_mistake_is_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        card(tmp_path, text)

from __future__ import annotations

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
    ],
)
def test_a_card_with_a_mistake_is_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        card(tmp_path, text)

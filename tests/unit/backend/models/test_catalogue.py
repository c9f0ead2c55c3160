from __future__ import annotations

import dataclasses

import pytest

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import ConfigError, ModelMissing
from genai_fill_server.bootstrap.model_folders import engines_not_installed, known_offers
from genai_fill_server.engines.diffusers.cards import read_catalogue
from genai_fill_server.models.catalogue import (
    find_offer,
    how_to_get,
    read_downloads,
    with_downloads,
)
from genai_fill_server.models.listing import licence_rows, offer_row
from genai_fill_server.models.names import check_model_id


def test_every_model_of_the_engines_catalogue_can_be_fetched_and_no_other():
    fetched = {offer.id for offer in known_offers() if not offer.by_hand}

    assert fetched == {card.id for card in read_catalogue()}


def test_ids_are_ids_and_repositories_are_two_names():
    for offer in known_offers():
        assert check_model_id(offer.id) == offer.id
        assert len(offer.repository.split("/")) == 2 or offer.by_hand
        assert offer.good_for


def test_nothing_suggested_to_artists_forbids_commercial_use():
    suggested = [offer for offer in known_offers() if offer.suggested]

    assert {offer.kind.value for offer in suggested} == {"image", "video"}
    assert all(offer.commercial_use is CommercialUse.YES for offer in suggested)


def test_an_unverified_fact_is_one_that_there_is():
    names = {field.name for field in dataclasses.fields(known_offers()[0])}
    for offer in known_offers():
        assert {fact.split(" ")[0] for fact in offer.unverified} <= names


def test_a_download_of_no_known_model_is_a_fault():
    with pytest.raises(ConfigError, match="no known model"):
        with_downloads([], read_downloads())


def test_an_unknown_field_is_a_fault():
    offer = known_offers()[0]

    with pytest.raises(ConfigError, match="licence"):
        with_downloads([offer], {offer.id: {"id": offer.id, "licence": "mine"}})


def test_a_near_id_is_suggested():
    with pytest.raises(ModelMissing) as caught:
        find_offer(known_offers(), "flux2-klein")

    assert "Did you mean 'flux2-klein-4b'?" in caught.value.hint


def test_an_artist_is_told_command_licence_and_size():
    words = how_to_get(find_offer(known_offers(), "flux2-klein-4b"))

    assert "genai-fill models pull flux2-klein-4b (Apache-2.0, 15 GB)" in words


def test_suggested_models_that_are_missing_appear_as_unavailable_engines():
    missing = engines_not_installed([])

    by_id = {engine.id: engine for engine in missing}
    klein = by_id["diffusers:flux2-klein-4b"]
    assert not klein.available
    assert "genai-fill models pull flux2-klein-4b" in klein.unavailable_reason
    assert klein.licence == "Apache-2.0"
    assert klein.options
    assert by_id["diffusers:wan21-vace-1.3b"].kind.value == "video"
    assert "diffusers:flux1-fill-dev" not in by_id


def test_an_installed_model_is_not_said_to_be_missing_under_whatever_name():
    klein = next(e for e in engines_not_installed([]) if e.id == "diffusers:flux2-klein-4b")
    by_id = dataclasses.replace(klein, model="")
    by_model = dataclasses.replace(klein, id="diffusers:a-folder-of-ours")

    for installed in (by_id, by_model):
        ids = [engine.id for engine in engines_not_installed([installed])]
        assert "diffusers:flux2-klein-4b" not in ids


def test_licences_say_where_they_stand():
    rows = {row["id"]: row for row in licence_rows([], known_offers())}

    assert rows["flux1-fill-dev"]["commercial_use"] == "no"
    assert rows["sdxl-inpaint"]["note"]
    assert rows["sdxl-inpaint"]["source"].endswith(
        "/diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
    )


def test_a_row_holds_plain_values_only():
    for value in offer_row(known_offers()[0]).values():
        assert isinstance(value, str | int | float | bool | list)

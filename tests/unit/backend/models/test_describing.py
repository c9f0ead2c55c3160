"""What the panel is told of each model."""

from __future__ import annotations

import dataclasses

import pytest

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import ModelMissing
from genai_fill_contract.models import ModelState
from genai_fill_server.models.describing import describe_models
from tests.fakes.model_hub import Steps, model_files, write_model


def described(store, offers, *, allow=False):
    found = describe_models(store, offers, engine_prefix="diffusers:", allow_non_commercial=allow)
    return {model.id: model for model in found}


def test_a_model_that_could_be_had_says_what_it_costs_and_asks(make_store, offer):
    model = described(make_store(), [offer])[offer.id]

    assert model.state is ModelState.MISSING
    assert (model.can_pull, model.can_verify, model.can_remove) == (True, False, False)
    assert model.needs_agreement
    assert model.size_bytes == round(offer.disk_gb * 1e9)
    assert model.licence_url.endswith(offer.repository)
    assert (model.folder, model.engine_id, model.what_to_do) == ("", "", "")


def test_a_blocked_licence_cannot_be_pulled_until_it_is_allowed(make_store, offer):
    offer = dataclasses.replace(offer, commercial_use=CommercialUse.NO)

    blocked = described(make_store(), [offer])[offer.id]
    allowed = described(make_store(), [offer], allow=True)[offer.id]

    assert (blocked.can_pull, allowed.can_pull) == (False, True)
    assert "models.allow_non_commercial" in blocked.what_to_do


def test_an_installed_model_names_its_folder_and_engine(make_store, make_pull, store_dir, offer):
    make_pull().pull(offer, accepted=True, progress=Steps())

    model = described(make_store(), [offer])[offer.id]

    assert model.state is ModelState.INSTALLED
    assert (model.can_pull, model.can_verify, model.can_remove) == (False, True, True)
    assert model.folder == str(store_dir / offer.id)
    assert model.engine_id == f"diffusers:{offer.id}"
    size = sum(path.stat().st_size for path in (store_dir / offer.id).rglob("*") if path.is_file())
    assert model.size_bytes == size


def test_an_unsafe_folder_has_the_reason_and_no_engine(make_store, store_dir):
    weights = "unet/diffusion_pytorch_model.safetensors"
    folder = write_model(store_dir / "found")
    (folder / weights).unlink()
    (folder / weights).with_suffix(".bin").write_bytes(b"pickle")

    model = described(make_store(), [])["found"]

    assert model.state in (ModelState.UNSAFE, ModelState.INCOMPLETE)
    assert model.what_to_do
    assert model.engine_id == ""
    assert not model.can_verify


def test_a_broken_off_pull_can_go_on_or_be_given_up(make_store, make_pull, hub, offer):
    hub.breaks_at = next(name for name in model_files() if name.endswith(".safetensors"))
    with pytest.raises(ModelMissing, match="line went dead"):
        make_pull().pull(offer, accepted=True, progress=Steps())

    model = described(make_store(), [offer])[offer.id]

    assert model.state is ModelState.PARTIAL
    assert model.can_pull
    assert model.can_remove
    assert "go on" in model.what_to_do


def test_a_broken_off_add_of_an_unknown_model_is_told_too(make_store, store_dir):
    (store_dir / "stranger.partial").mkdir()

    model = described(make_store(), [])["stranger"]

    assert (model.state, model.can_pull) == (ModelState.PARTIAL, False)
    assert "Add its folder again" in model.what_to_do

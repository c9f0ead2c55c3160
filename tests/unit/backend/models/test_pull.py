from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from genai_fill_contract.errors import (
    DiskFull,
    InvalidRequest,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
    OutputExists,
    OutputNotWritable,
)
from genai_fill_server.bootstrap.model_folders import EngineModelFolders, known_offers
from genai_fill_server.engines.diffusers.folder import find_model_folders
from genai_fill_server.models.record import read_record
from genai_fill_server.models.verify import verify_model
from tests.fakes.model_hub import COMMIT, Steps, model_files, safetensors

UNET = "unet/diffusion_pytorch_model.safetensors"


def offer_of(model_id):
    return next(offer for offer in known_offers() if offer.id == model_id)


def engines_see(folder: Path) -> list[str]:
    return [path.name for path, _ in find_model_folders((str(folder),))]


def test_a_pulled_model_is_a_model_that_the_engines_load(make_pull, offer, store_dir):
    path = make_pull().pull(offer, accepted=True, progress=Steps())

    assert path == store_dir / "sd15-inpaint"
    inspection = EngineModelFolders().inspect(path, (store_dir.resolve(),))
    assert inspection.state.value == "ok"
    assert inspection.licence == "CreativeML OpenRAIL-M"
    assert engines_see(store_dir) == ["sd15-inpaint"]


def test_the_record_names_commit_licence_and_every_hash(make_pull, offer):
    path = make_pull().pull(offer, accepted=True, progress=Steps())

    record = read_record(path)

    assert (record.source, record.revision) == (offer.repository, COMMIT)
    assert record.accepted == "CreativeML OpenRAIL-M"
    assert {name: r.sha256 for name, r in record.files.items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in model_files().items()
    }


def test_nothing_but_the_model_is_left_in_the_store(make_pull, offer, store_dir):
    path = make_pull().pull(offer, accepted=True, progress=Steps())

    assert [p.name for p in store_dir.iterdir()] == ["sd15-inpaint"]
    assert not (path / ".cache").exists()


def test_a_pulled_model_verifies(make_pull, make_store, offer):
    make_pull().pull(offer, accepted=True, progress=Steps())

    assert verify_model(make_store().find("sd15-inpaint"), Steps()).is_good


def test_pickles_code_and_other_formats_are_not_fetched(make_pull, offer, hub):
    hub.files |= {
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "pipeline.py": b"import os",
        "v1-5.ckpt": b"pickle",
        "v1-5.safetensors": safetensors(),
        "safety_checker/model.safetensors": safetensors(),
        "genai_fill_model.toml": b'licence = "MIT"',
        "genai_fill_lock.json": b"{}",
        "LICENSE.md": b"the licence",
    }

    path = make_pull().pull(offer, accepted=True, progress=Steps())

    assert set(hub.fetched) == {*model_files(), "LICENSE.md"}
    assert not (path / "genai_fill_model.toml").exists()


def test_progress_covers_every_byte_once(make_pull, offer):
    steps = Steps()

    make_pull().pull(offer, accepted=True, progress=steps)

    total = sum(len(data) for data in model_files().values())
    assert steps.phases == [
        ["Fetching Stable Diffusion 1.5 inpainting", total, total],
        ["Verifying", total, total],
    ]


def test_an_interrupted_pull_leaves_no_model(make_pull, make_store, offer, hub, store_dir):
    hub.breaks_at = "vae/diffusion_pytorch_model.safetensors"

    with pytest.raises(ModelMissing, match="line went dead"):
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert [p.name for p in store_dir.iterdir()] == ["sd15-inpaint.partial"]
    assert engines_see(store_dir) == []
    assert list(make_store().models()) == []
    assert list(make_store().partials()) == ["sd15-inpaint"]


def test_it_goes_on_with_the_files_that_are_missing(make_pull, offer, hub, store_dir):
    hub.breaks_at = "vae/diffusion_pytorch_model.safetensors"
    with pytest.raises(ModelMissing):
        make_pull().pull(offer, accepted=True, progress=Steps())
    hub.breaks_at, before = "", list(hub.fetched)
    hub.fetched.clear()
    steps = Steps()

    make_pull().pull(offer, accepted=True, progress=steps)

    assert not set(before) & set(hub.fetched)
    assert UNET in before
    assert "vae/diffusion_pytorch_model.safetensors" in hub.fetched
    assert steps.phases[0][1] == steps.phases[0][2]
    assert [p.name for p in store_dir.iterdir()] == ["sd15-inpaint"]


def test_it_goes_on_at_the_commit_that_it_began_with(make_pull, offer, hub):
    hub.breaks_at = "vae/config.json"
    with pytest.raises(ModelMissing):
        make_pull().pull(offer, accepted=True, progress=Steps())
    hub.breaks_at = ""

    make_pull().pull(offer, accepted=True, progress=Steps())

    assert [revision for _, revision in hub.asked] == ["main", COMMIT]


def test_another_revision_does_not_mix_with_what_was_begun(make_pull, offer, hub):
    hub.breaks_at = "vae/config.json"
    with pytest.raises(ModelMissing):
        make_pull().pull(offer, accepted=True, progress=Steps())

    with pytest.raises(InvalidRequest, match=COMMIT):
        make_pull().pull(offer, accepted=True, progress=Steps(), revision="f" * 40)


def test_a_spoilt_state_of_an_interrupted_pull_is_no_obstacle(make_pull, offer, hub, store_dir):
    folder = store_dir / "sd15-inpaint.partial"
    folder.mkdir()
    (folder / "pull.json").write_text("[" * 100_000)

    make_pull().pull(offer, accepted=True, progress=Steps())

    assert hub.asked == [(offer.repository, "main")]


def test_cancelling_leaves_a_partial_and_frees_its_lock(make_pull, offer, store_dir):
    with pytest.raises(KeyboardInterrupt):
        make_pull().pull(offer, accepted=True, progress=Steps(stop_after_bytes=1000))

    assert engines_see(store_dir) == []
    make_pull().pull(offer, accepted=True, progress=Steps())
    assert engines_see(store_dir) == ["sd15-inpaint"]


@pytest.mark.parametrize("name", [UNET, "tokenizer/merges.txt"])
def test_a_file_that_was_changed_on_the_way_is_refused_and_fetched_anew(
    make_pull, offer, hub, name, store_dir
):
    hub.spoils = name
    with pytest.raises(ModelUnsafe) as caught:
        make_pull().pull(offer, accepted=True, progress=Steps())
    assert name in caught.value.message
    assert engines_see(store_dir) == []
    hub.spoils = ""
    hub.fetched.clear()

    make_pull().pull(offer, accepted=True, progress=Steps())

    assert hub.fetched == [name]


def test_weights_that_are_no_safetensors_are_refused_even_with_the_right_hash(
    make_pull, offer, hub
):
    hub.files[UNET] = b"\x80\x04 a pickle of another name"

    with pytest.raises(ModelUnsafe, match="not a safetensors file"):
        make_pull().pull(offer, accepted=True, progress=Steps())


def test_a_repository_with_a_hostile_name_is_refused_before_anything_is_fetched(
    make_pull, offer, hub, tmp_path
):
    hub.files["unet/../../../evil.json"] = b"{}"

    with pytest.raises(ModelUnsafe):
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert hub.fetched == []
    assert not list(tmp_path.rglob("evil.json"))


def test_a_repository_of_countless_files_is_refused(make_pull, offer, hub):
    hub.files |= {f"unet/{number}.json": b"{}" for number in range(5001)}

    with pytest.raises(ModelUnsafe, match="files"):
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert hub.fetched == []


def test_a_pull_of_which_nothing_came_leaves_nothing(make_pull, make_store, offer, hub, store_dir):
    hub.commit = "nonsense"

    with pytest.raises(ModelLoadFailed):
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert list(store_dir.iterdir()) == []


def test_a_config_that_asks_for_code_is_refused(make_pull, offer, hub, store_dir):
    hub.files["unet/config.json"] = json.dumps({"auto_map": "x"}).encode()

    with pytest.raises(ModelUnsafe) as caught:
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert "auto_map" in caught.value.hint
    assert engines_see(store_dir) == []


def test_a_repository_without_an_index_is_named(make_pull, offer, hub):
    del hub.files["model_index.json"]

    with pytest.raises(ModelMissing, match="model_index"):
        make_pull().pull(offer, accepted=True, progress=Steps())


def test_a_repository_that_lacks_weights_is_refused(make_pull, offer, hub, store_dir):
    del hub.files[UNET]

    with pytest.raises(ModelMissing):
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert engines_see(store_dir) == []


def test_a_hub_that_answers_nonsense_is_refused(make_pull, offer, hub):
    hub.commit = "../../etc"

    with pytest.raises(ModelLoadFailed, match="commit"):
        make_pull().pull(offer, accepted=True, progress=Steps())


def test_a_file_that_somebody_else_put_there_is_refused(make_pull, offer, hub, store_dir):
    folder = store_dir / "sd15-inpaint.partial" / "blobs" / "unet"
    folder.mkdir(parents=True)
    (folder / "extra.json").write_text("{}")

    with pytest.raises(ModelUnsafe, match=r"extra\.json"):
        make_pull().pull(offer, accepted=True, progress=Steps())


def test_a_licence_with_conditions_must_be_agreed_to(make_pull, offer, hub):
    with pytest.raises(InvalidRequest, match="OpenRAIL") as caught:
        make_pull().pull(offer, accepted=False, progress=Steps())

    assert "--accept-licence" in caught.value.hint
    assert hub.asked == []


def test_a_permissive_licence_need_not_be_agreed_to():
    assert offer_of("flux2-klein-4b").is_permissive
    assert offer_of("wan21-vace-1.3b").is_permissive
    assert not offer_of("sdxl-inpaint").is_permissive
    assert not offer_of("flux1-fill-dev").is_permissive


def test_a_licence_that_nobody_has_verified_must_be_agreed_to():
    assert not offer_of("chroma1-hd").is_permissive
    assert not offer_of("z-image-turbo").is_permissive


def test_a_non_commercial_model_is_refused_by_policy_even_when_agreed_to(make_pull, hub):
    with pytest.raises(InvalidRequest) as caught:
        make_pull().pull(offer_of("flux1-fill-dev"), accepted=True, progress=Steps())

    assert "models.allow_non_commercial" in caught.value.hint
    assert hub.asked == []


def test_the_studio_can_allow_non_commercial_models(make_pull):
    make_pull(allow_non_commercial=True).check_policy(offer_of("flux1-fill-dev"))


def test_a_full_disk_is_seen_before_the_first_weight(make_pull, make_store, offer, hub):
    store = make_store(free_bytes=lambda path: 1000)

    with pytest.raises(DiskFull):
        make_pull(store).pull(offer, accepted=True, progress=Steps())

    assert hub.fetched == ["model_index.json"]


def test_a_model_that_is_there_is_not_fetched_again(make_pull, offer, hub):
    make_pull().pull(offer, accepted=True, progress=Steps())
    hub.asked.clear()

    with pytest.raises(OutputExists):
        make_pull().pull(offer, accepted=True, progress=Steps())

    assert hub.asked == []


def test_two_pulls_of_one_model_do_not_meet(make_pull, make_store, offer):
    with make_store().incoming(offer.id), pytest.raises(OutputExists, match="Another process"):
        make_pull().pull(offer, accepted=True, progress=Steps())


def test_a_read_only_store_says_so(make_pull, make_store, offer, store_dir):
    store = make_store(is_writable=lambda folder: False)

    with pytest.raises(OutputNotWritable, match="read-only"):
        make_pull(store).pull(offer, accepted=True, progress=Steps())

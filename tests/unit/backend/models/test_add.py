from __future__ import annotations

import json

import pytest

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import (
    DiskFull,
    InvalidRequest,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
    OutputExists,
    OutputNotWritable,
)
from genai_fill_server.models.record import read_record
from genai_fill_server.models.verify import verify_model
from tests.fakes.model_hub import Steps, model_files, safetensors, write_model

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def source(tmp_path):
    return write_model(tmp_path / "elsewhere" / "my model")


def names_in(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_is_copied_with_hashes_recorded(make_add, make_store, source, store_dir):
    path = make_add().add(source, progress=Steps())

    assert path == store_dir / "my-model"
    assert names_in(path) == {*model_files(), "genai_fill_lock.json"}
    assert (path / UNET).read_bytes() == model_files()[UNET]
    assert read_record(path).source == "added"
    assert verify_model(make_store().find("my-model"), Steps()).is_good
    assert [p.name for p in store_dir.iterdir()] == ["my-model"]


def test_the_id_can_be_chosen_and_gives_the_catalogues_licence(make_add, make_store, source):
    make_add().add(source, progress=Steps(), model_id="sd15-inpaint")

    assert make_store().find("sd15-inpaint").inspection.licence == "CreativeML OpenRAIL-M"


@pytest.mark.parametrize(
    "folder",
    [
        "stable-diffusion-inpainting",
        "stable-diffusion-v1-5--stable-diffusion-inpainting",
        "SD15-inpaint",
    ],
)
def test_a_folder_of_a_known_models_name_gets_its_id(make_add, tmp_path, folder):
    source = write_model(tmp_path / "in" / folder)

    assert make_add().add(source, progress=Steps()).name == "sd15-inpaint"


def test_a_model_of_a_hugging_face_cache_becomes_plain_files(make_add, tmp_path):
    repository = tmp_path / "hub/models--stable-diffusion-v1-5--stable-diffusion-inpainting"
    snapshot = write_model(repository / "snapshots" / "abc")
    blob = repository / "blobs" / "1234"
    blob.parent.mkdir()
    (snapshot / UNET).rename(blob)
    (snapshot / UNET).symlink_to(blob)

    path = make_add().add(snapshot, progress=Steps())

    assert path.name == "sd15-inpaint"
    assert not (path / UNET).is_symlink()
    assert (path / UNET).read_bytes() == model_files()[UNET]


def test_hard_links_take_no_room_and_outlive_the_source(make_add, make_store, source):
    store = make_store(free_bytes=lambda path: 2**30)

    path = make_add(store).add(source, progress=Steps(), link=True)

    assert (path / UNET).stat().st_ino == (source / UNET).stat().st_ino
    (source / UNET).unlink()
    assert verify_model(store.find("my-model"), Steps()).is_good


def test_links_across_disks_are_explained(make_add, source, monkeypatch):
    def refuse(path, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)

    with pytest.raises(OutputNotWritable, match="cross-device") as caught:
        make_add().add(source, progress=Steps(), link=True)

    assert "one disk" in caught.value.hint


def test_the_folders_own_card_is_taken_along(make_add, make_store, source):
    (source / "genai_fill_model.toml").write_text(
        'label = "Ours"\nlicence = "Studio"\ncommercial_use = "yes"\n'
    )

    make_add().add(source, progress=Steps())

    inspection = make_store().find("my-model").inspection
    assert (inspection.label, inspection.licence) == ("Ours", "Studio")


KLEIN = {
    "_class_name": "Flux2KleinPipeline",
    "transformer": ["diffusers", "Flux2Transformer2DModel"],
}


def write_klein(folder):
    """A FLUX.2 klein whose configuration does not tell which."""
    files = {
        "model_index.json": json.dumps(KLEIN).encode(),
        "transformer/config.json": b"{}",
        "transformer/diffusion_pytorch_model.safetensors": safetensors(),
    }
    return write_model(folder, files)


@pytest.mark.parametrize(
    ("folder", "use"),
    [
        ("FLUX.2-klein-9B", CommercialUse.NO),
        ("black-forest-labs--FLUX.2-klein-9B", CommercialUse.NO),
        ("models--black-forest-labs--FLUX.2-klein-9B/snapshots/0a1b", CommercialUse.NO),
        ("FLUX.2-klein-4B", CommercialUse.YES),
    ],
)
def test_a_model_stays_what_it_is_under_another_id(make_add, make_store, tmp_path, folder, use):
    path = make_add().add(write_klein(tmp_path / folder), progress=Steps(), model_id="show-model")

    found = make_store().find("show-model")
    assert found.inspection.commercial_use is use
    assert found.inspection.label.startswith("FLUX.2 klein")
    assert verify_model(found, Steps()).is_good
    assert path.name == "show-model"


def test_a_card_that_the_folder_has_is_kept_under_another_id(make_add, make_store, tmp_path):
    source = write_klein(tmp_path / "FLUX.2-klein-9B")
    (source / "genai_fill_model.toml").write_text('licence = "Ours"\ncommercial_use = "yes"\n')

    make_add().add(source, progress=Steps(), model_id="ours")

    assert make_store().find("ours").inspection.licence == "Ours"


def test_a_name_without_the_family_makes_no_card(make_add, tmp_path):
    source = write_model(tmp_path / "FLUX.2-klein-9B")  # the pipeline of another family

    path = make_add().add(source, progress=Steps(), model_id="ours")

    assert not (path / "genai_fill_model.toml").exists()


def test_one_known_model_is_not_added_as_another(make_add, tmp_path):
    source = write_klein(tmp_path / "FLUX.2-klein-9B")

    with pytest.raises(InvalidRequest, match=r"FLUX.2 klein 4B.*FLUX.2 klein 9B"):
        make_add().add(source, progress=Steps(), model_id="flux2-klein-4b")


def test_a_record_from_elsewhere_is_not_believed(make_add, source):
    (source / "genai_fill_lock.json").write_text('{"lies": true}')

    path = make_add().add(source, progress=Steps())

    assert read_record(path).id == "my-model"


def spoil(source, name, data=b"x"):
    path = source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("unet/w.bin", b"x", ModelUnsafe),
        ("w.ckpt", b"x", ModelUnsafe),
        ("pipeline.py", b"x", ModelUnsafe),
        (UNET, b"\x80\x04pickle", ModelUnsafe),
        ("unet/config.json", b'{"auto_map": {"a": "b"}}', ModelUnsafe),
        ("model_index.json", b'{"_class_name": ["mine", "Pipe"]}', ModelUnsafe),
        ("model_index.json", b'{"_class_name": "LTXPipeline"}', ModelLoadFailed),
        ("model_index.json", b"[" * 100_000, ModelLoadFailed),
        ("unet/config.json", b"[" * 100_000, ModelLoadFailed),
        ("genai_fill_model.toml", b"a = " + b"[" * 50_000, ModelLoadFailed),
        ("genai_fill_model.toml", b"nonsense = 1", ModelLoadFailed),
    ],
)
def test_what_must_not_be_loaded_is_refused_before_anything_is_copied(
    make_add, source, store_dir, name, data, error
):
    spoil(source, name, data)

    with pytest.raises(error):
        make_add().add(source, progress=Steps())

    assert list(store_dir.iterdir()) == []


def test_an_index_that_asks_for_code_is_refused(make_add, source, store_dir):
    index = json.loads((source / "model_index.json").read_text())
    index["unet"] = ["evil_module", "Model"]
    spoil(source, "model_index.json", json.dumps(index).encode())

    with pytest.raises(ModelUnsafe):
        make_add().add(source, progress=Steps())

    assert list(store_dir.iterdir()) == []


def test_a_folder_that_lacks_weights_is_named(make_add, source):
    (source / UNET).unlink()

    with pytest.raises(ModelMissing) as caught:
        make_add().add(source, progress=Steps())

    assert "unet" in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(make_add, source, tmp_path, store_dir):
    (tmp_path / "secret.txt").write_text("secret")
    (source / "LICENSE.txt").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(ModelUnsafe):
        make_add().add(source, progress=Steps())

    assert list(store_dir.iterdir()) == []


@pytest.mark.parametrize("what", ["missing", "file"])
def test_what_is_no_folder_is_named(make_add, tmp_path, what):
    path = tmp_path / what
    if what == "file":
        path.write_text("x")

    with pytest.raises(ModelMissing, match="not a folder"):
        make_add().add(path, progress=Steps())


@pytest.mark.parametrize("model_id", ["../x", "a/b", "x.partial"])
def test_an_id_that_leaves_the_store_is_refused(make_add, source, model_id):
    with pytest.raises(InvalidRequest):
        make_add().add(source, progress=Steps(), model_id=model_id)


def test_a_folder_of_the_store_is_not_added_to_it(make_add, store_dir):
    with pytest.raises(InvalidRequest, match="in the store already"):
        make_add().add(write_model(store_dir / "here"), progress=Steps())


def test_nothing_is_replaced(make_add, source):
    make_add().add(source, progress=Steps())

    with pytest.raises(OutputExists):
        make_add().add(source, progress=Steps())
    with pytest.raises(OutputExists):
        make_add().add(source, progress=Steps(), model_id="MY-MODEL")


def test_a_full_disk_is_seen_before_the_copy(make_add, make_store, source):
    with pytest.raises(DiskFull):
        make_add(make_store(free_bytes=lambda path: 10)).add(source, progress=Steps())


def test_a_cancelled_copy_leaves_no_model_and_begins_anew(make_add, make_store, source):
    with pytest.raises(KeyboardInterrupt):
        make_add().add(source, progress=Steps(stop_after_bytes=1000))
    assert list(make_store().models()) == []
    assert list(make_store().partials()) == ["my-model"]

    make_add().add(source, progress=Steps())

    assert [m.id for m in make_store().models()] == ["my-model"]
    assert list(make_store().partials()) == []


def test_pictures_are_left_behind(make_add, source):
    spoil(source, "cat.png")

    assert "cat.png" not in names_in(make_add().add(source, progress=Steps()))

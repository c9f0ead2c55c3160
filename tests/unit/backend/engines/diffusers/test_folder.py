from __future__ import annotations

import json

import pytest

from genai_fill_contract.errors import ModelLoadFailed, ModelMissing, ModelUnsafe
from genai_fill_server.engines.diffusers.folder import (
    check_safe,
    find_model_folders,
    fingerprint,
    model_name,
    read_model_folder,
    weight_variant,
)

INDEX = {
    "_class_name": "StableDiffusionInpaintPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
}


def make_folder(path, index=INDEX, files=("unet/diffusion_pytorch_model.safetensors",)):
    path.mkdir(parents=True)
    (path / "model_index.json").write_text(json.dumps(index))
    for part in ("unet", "scheduler"):
        (path / part).mkdir()
        (path / part / "config.json").write_text("{}")
    for name in files:
        (path / name).write_bytes(b"x")
    return path


def read(path):
    return read_model_folder(path, (path.parent.resolve(),))


def test_a_whole_folder_passes(tmp_path):
    check_safe(read(make_folder(tmp_path / "m")))


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt", ".pth", ".pkl"])
def test_weights_that_are_a_pickle_are_refused_by_name(tmp_path, suffix):
    path = make_folder(tmp_path / "m", files=(f"unet/diffusion_pytorch_model{suffix}",))

    with pytest.raises(ModelUnsafe) as caught:
        check_safe(read(path))

    assert f"diffusion_pytorch_model{suffix}" in caught.value.message


def test_a_pickle_beside_safetensors_does_no_harm(tmp_path):
    files = ("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin")

    check_safe(read(make_folder(tmp_path / "m", files=files)))


@pytest.mark.parametrize("name", ["unet/modeling.py", "pipeline.py", "unet/lib.so"])
def test_code_in_the_folder_is_refused_by_name(tmp_path, name):
    path = make_folder(tmp_path / "m")
    (path / name).write_text("")

    with pytest.raises(ModelUnsafe) as caught:
        check_safe(read(path))

    assert name in caught.value.message


@pytest.mark.parametrize("key", ["auto_map", "trust_remote_code", "custom_pipeline"])
@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/tokenizer_config.json"])
def test_a_config_that_asks_for_code_is_refused(tmp_path, key, file):
    path = make_folder(tmp_path / "m")
    (path / file).write_text(json.dumps({key: "evil--repo"}))

    with pytest.raises(ModelUnsafe, match=key):
        check_safe(read(path))


def test_an_index_that_asks_for_code_is_refused(tmp_path):
    path = make_folder(tmp_path / "m", {**INDEX, "custom_pipelines": {"x": {}}})

    with pytest.raises(ModelUnsafe, match="custom_pipelines"):
        check_safe(read(path))


@pytest.mark.parametrize("part", [["my_module", "MyUNet"], ["diffusers", "a.b"]])
def test_a_part_from_elsewhere_is_refused(tmp_path, part):
    path = make_folder(tmp_path / "m", {**INDEX, "unet": part})

    with pytest.raises(ModelUnsafe, match="unet"):
        check_safe(read(path))


def test_a_pipeline_with_its_own_module_is_refused(tmp_path):
    path = make_folder(tmp_path / "m", {**INDEX, "_class_name": ["pipeline", "MyPipeline"]})

    with pytest.raises(ModelUnsafe, match="MyPipeline"):
        read(path)


def test_a_missing_part_is_named(tmp_path):
    path = make_folder(tmp_path / "m", {**INDEX, "vae": ["diffusers", "AutoencoderKL"]})

    with pytest.raises(ModelMissing, match="vae"):
        check_safe(read(path))


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ModelMissing, match="unet"):
        check_safe(read(make_folder(tmp_path / "m", files=())))


def test_a_missing_shard_is_named(tmp_path):
    path = make_folder(tmp_path / "m", files=("unet/model-00001-of-00002.safetensors",))
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (path / "unet/model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))

    with pytest.raises(ModelMissing, match="model-00002-of-00002"):
        check_safe(read(path))


@pytest.mark.parametrize("text", ["", "[1]", "{", "\udcff", "[" * 100_000])
def test_an_index_that_is_not_one_is_refused(tmp_path, text):
    path = make_folder(tmp_path / "m")
    (path / "model_index.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(ModelLoadFailed, match="model_index"):
        read(path)


def test_a_link_out_of_the_model_folders_is_refused(tmp_path):
    path = make_folder(tmp_path / "models" / "m", files=())
    (tmp_path / "elsewhere.safetensors").write_bytes(b"x")
    (path / "unet/model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")

    with pytest.raises(ModelUnsafe, match="elsewhere"):
        check_safe(read(path))


def test_a_link_to_a_folder_out_of_the_model_folders_is_refused(tmp_path):
    path = make_folder(tmp_path / "models" / "m")
    (tmp_path / "elsewhere").mkdir()
    (path / "extra").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ModelUnsafe, match="elsewhere"):
        check_safe(read(path))


def test_a_hugging_face_cache_is_understood(tmp_path):
    store = tmp_path / "models--org--thing"
    snapshot = make_folder(store / "snapshots" / "abc123", files=())
    (store / "blobs").mkdir()
    (store / "blobs" / "deadbeef").write_bytes(b"x")
    (snapshot / "unet/model.safetensors").symlink_to("../../../blobs/deadbeef")

    ((found, roots),) = find_model_folders((str(tmp_path),))

    assert model_name(found) == "org--thing"
    check_safe(read_model_folder(found, roots))


def test_a_link_to_a_blob_that_was_never_fetched_is_named(tmp_path):
    path = make_folder(tmp_path / "m", files=())
    (path / "unet/model.safetensors").symlink_to("gone")

    with pytest.raises(ModelMissing, match=r"model\.safetensors"):
        check_safe(read(path))


def test_models_are_found_at_any_of_four_levels_and_not_inside_models(tmp_path):
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a" / "inside")
    make_folder(tmp_path / "org" / "b")
    make_folder(tmp_path / "1/2/3/4/5" / "too_deep")

    found = [path.name for path, _ in find_model_folders((str(tmp_path),))]

    assert found == ["a", "b"]


def test_a_model_folder_may_itself_be_named_in_the_settings(tmp_path):
    make_folder(tmp_path / "a")

    assert [p.name for p, _ in find_model_folders((str(tmp_path / "a"),))] == ["a"]


def test_a_folder_that_is_away_is_passed_over(tmp_path):
    assert list(find_model_folders((str(tmp_path / "share"),))) == []


def test_a_model_reached_twice_is_found_once(tmp_path):
    make_folder(tmp_path / "a")
    (tmp_path / "b").symlink_to("a")

    assert len(list(find_model_folders((str(tmp_path), str(tmp_path / "a"))))) == 1


def test_the_half_precision_variant_is_asked_for_only_when_there_is_no_other(tmp_path):
    half = "unet/diffusion_pytorch_model.fp16.safetensors"
    full = "unet/diffusion_pytorch_model.safetensors"

    assert weight_variant(read(make_folder(tmp_path / "a", files=(half,)))) == "fp16"
    assert weight_variant(read(make_folder(tmp_path / "b", files=(full, half)))) is None


def test_the_fingerprint_tells_models_apart_and_does_not_depend_on_the_place(tmp_path):
    a, b = make_folder(tmp_path / "a"), make_folder(tmp_path / "elsewhere" / "b")
    before = fingerprint(a)

    assert fingerprint(b) == before
    (b / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"y")
    assert fingerprint(b) != before
    (a / "unet/config.json").write_text('{"x": 1}')
    assert fingerprint(a) != before


def test_the_fingerprint_does_not_care_for_cards_and_pictures(tmp_path):
    path = make_folder(tmp_path / "a")
    before = fingerprint(path)
    (path / "genai_fill_model.toml").write_text('label = "x"')
    (path / "preview.png").write_bytes(b"x")

    assert fingerprint(path) == before


@pytest.mark.parametrize("index", ["m.safetensors.index.json", "m.safetensors.index.fp16.json"])
@pytest.mark.parametrize(
    "shard", ["evil.bin", "../scheduler/m.safetensors", "..\\m.safetensors", "/m.safetensors", ""]
)
def test_an_index_that_takes_weights_from_anything_else_is_refused(tmp_path, index, shard):
    """The libraries open a shard by its suffix: a pickle as a pickle."""
    path = make_folder(tmp_path / "m", files=("unet/m.safetensors", "unet/evil.bin"))
    (path / "unet" / index).write_text(json.dumps({"weight_map": {"a": shard}}))

    with pytest.raises(ModelUnsafe) as caught:
        check_safe(read(path))

    assert index in caught.value.message


@pytest.mark.parametrize("text", ["{}", '{"weight_map": ["a"]}', '{"weight_map": null}'])
def test_an_index_of_weights_that_is_not_one_is_refused(tmp_path, text):
    path = make_folder(tmp_path / "m")
    (path / "unet/m.safetensors.index.json").write_text(text)

    with pytest.raises(ModelLoadFailed, match=r"m\.safetensors\.index"):
        check_safe(read(path))


@pytest.mark.parametrize(
    "name", ["adapter_model.bin", "deeper/model.safetensors.index.json", "../m.safetensors"]
)
def test_a_config_that_takes_weights_from_anything_else_is_refused(tmp_path, name):
    path = make_folder(tmp_path / "m")
    (path / "unet/config.json").write_text(json.dumps({"transformers_weights": name}))

    with pytest.raises(ModelUnsafe, match="takes weights from"):
        check_safe(read(path))

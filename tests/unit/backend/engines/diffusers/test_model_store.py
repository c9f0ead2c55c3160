from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import (
    DiskFull,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
    OutputExists,
    OutputNotWritable,
)
from genai_fill_server.engines.diffusers import model_store
from genai_fill_server.engines.diffusers.model_store import (
    CHECKSUM_FILE,
    add_model,
    list_models,
    verify_model,
    write_checksums,
)
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import write_card
from tests.unit.backend.engines.diffusers.driving import engine_of

SD = "stable-diffusion"


def ignore(done, total):
    pass


def test_models_are_listed_with_family_licence_and_size(copied):
    folder = copied(SD)
    write_card(folder, licence="Studio", commercial_use="yes")

    (model,) = list_models((str(folder.parent),))

    assert (model.name, model.family, model.problem) == (SD, SD, "")
    assert model.card.licence == "Studio"
    assert model.card.commercial_use is CommercialUse.YES
    assert model.size_bytes == sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def test_a_model_that_cannot_be_used_is_listed_with_its_problem(copied):
    folder = copied(SD)
    (folder / "evil.py").write_text("")

    (model,) = list_models((str(folder.parent),))

    assert "evil.py" in model.problem


def test_a_model_is_brought_in_whole_and_loads(copied, tmp_path):
    source = copied(SD)

    target = add_model(source, tmp_path / "store", ignore)

    assert target == tmp_path / "store" / SD
    for file in source.rglob("*"):
        if file.is_file():
            assert (target / file.relative_to(source)).read_bytes() == file.read_bytes()
    assert verify_model(target, ignore) > 5
    engine_of(target).prepare(RecordingWatch())


def test_links_of_a_hugging_face_cache_become_files(copied, tmp_path):
    snapshot = tmp_path / "hub" / "models--org--thing" / "snapshots" / "abc"
    snapshot.parent.mkdir(parents=True)
    shutil.move(copied(SD), snapshot)
    blobs = snapshot.parent.parent / "blobs"
    blobs.mkdir()
    weights = snapshot / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(blobs / "deadbeef")
    weights.symlink_to("../../../blobs/deadbeef")

    target = add_model(snapshot, tmp_path / "store", ignore)

    assert target.name == "org--thing"
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert (target / "unet" / weights.name).read_bytes() == (blobs / "deadbeef").read_bytes()


def test_progress_is_told_in_bytes(copied, tmp_path):
    told = []

    add_model(copied(SD), tmp_path / "store", lambda done, total: told.append((done, total)))

    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] > 0


def test_an_unsafe_model_is_not_copied(copied, tmp_path):
    source = copied(SD)
    (source / "unet" / "diffusion_pytorch_model.safetensors").rename(source / "unet" / "model.bin")

    with pytest.raises(ModelUnsafe):
        add_model(source, tmp_path / "store", ignore)

    assert not (tmp_path / "store").exists()


def test_a_link_out_of_the_source_is_not_followed(copied, tmp_path):
    source = copied(SD)
    (tmp_path / "secret").write_text("key")
    (source / "extra.txt").symlink_to(tmp_path / "secret")

    with pytest.raises(ModelUnsafe, match="secret"):
        add_model(source, tmp_path / "store", ignore)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelMissing, match="model_index"):
        add_model(tmp_path, tmp_path / "store", ignore)


def test_a_model_of_an_unknown_family_is_refused(copied, tmp_path):
    source = copied(SD)
    index = source / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionInpaint", "Mystery"))

    with pytest.raises(ModelLoadFailed, match="MysteryPipeline"):
        add_model(source, tmp_path / "store", ignore)


def test_a_model_that_is_there_is_not_overwritten(copied, tmp_path):
    source = copied(SD)
    add_model(source, tmp_path / "store", ignore)

    with pytest.raises(OutputExists):
        add_model(source, tmp_path / "store", ignore)


def test_a_full_disk_is_noticed_before_copying(copied, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(model_store.shutil, "disk_usage", lambda path: usage)

    with pytest.raises(DiskFull):
        add_model(copied(SD), tmp_path / "store", ignore)

    assert list((tmp_path / "store").iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_an_error(copied, tmp_path):
    (tmp_path / "store").write_text("")

    with pytest.raises(OutputNotWritable):
        add_model(copied(SD), tmp_path / "store", ignore)


def test_stopping_half_way_leaves_nothing_behind(copied, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_model(copied(SD), tmp_path / "store", stop)

    assert list((tmp_path / "store").iterdir()) == []


def test_checksums_are_those_of_sha256sum(copied):
    folder = copied(SD)

    written = write_checksums(folder, ignore)

    line = next(x for x in written.read_text().splitlines() if x.endswith("model_index.json"))
    digest = hashlib.sha256((folder / "model_index.json").read_bytes()).hexdigest()
    assert line == f"{digest}  model_index.json"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="this machine has no sha256sum")
def test_sha256sum_can_check_them_too(copied):
    folder = copied(SD)
    write_checksums(folder, ignore)

    subprocess.run(["sha256sum", "--quiet", "-c", CHECKSUM_FILE], cwd=folder, check=True)


def test_a_changed_file_is_named(copied):
    folder = copied(SD)
    write_checksums(folder, ignore)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    with pytest.raises(ModelUnsafe, match="unet"):
        verify_model(folder, ignore)


def test_an_added_file_is_named(copied):
    folder = copied(SD)
    write_checksums(folder, ignore)
    (folder / "more.json").write_text("{}")

    with pytest.raises(ModelUnsafe, match=r"more\.json"):
        verify_model(folder, ignore)


def test_a_file_that_is_gone_is_named(copied):
    folder = copied(SD)
    write_checksums(folder, ignore)
    (folder / "model_index.json").unlink()

    with pytest.raises(ModelMissing, match="model_index"):
        verify_model(folder, ignore)


def test_without_checksums_nothing_is_verified(copied):
    with pytest.raises(ModelMissing, match="no checksums"):
        verify_model(copied(SD), ignore)

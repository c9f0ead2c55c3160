from __future__ import annotations

import pytest

from genai_fill_contract.errors import (
    InvalidRequest,
    ModelMissing,
    OutputExists,
    OutputNotWritable,
)
from genai_fill_server.engines.diffusers.folder import find_model_folders
from genai_fill_server.models.store import can_write_to
from genai_fill_server.store.os_files import try_lock
from tests.fakes.model_hub import write_model


def test_models_of_every_folder_are_found(make_store, tmp_path, store_dir):
    share = tmp_path / "share"
    write_model(store_dir / "a")
    write_model(share / "deep" / "b")
    store = make_store(store_dir, share, is_writable=lambda folder: folder == store_dir)

    found = {m.id: m for m in store.models()}

    assert set(found) == {"a", "b"}
    assert found["a"].is_removable
    assert not found["b"].is_removable
    assert found["a"].size_bytes == sum(
        p.stat().st_size for p in (store_dir / "a").rglob("*") if p.is_file()
    )


def test_models_go_into_the_first_folder_that_can_be_written_to(make_store, tmp_path, store_dir):
    share = tmp_path / "share"
    share.mkdir()
    store = make_store(share, store_dir, is_writable=lambda folder: folder == store_dir)

    assert store.writable_dir() == store_dir


def test_when_none_can_be_written_to_each_says_why(make_store, tmp_path):
    share, away = tmp_path / "share", tmp_path / "away"
    share.mkdir()
    store = make_store(share, away, is_writable=lambda folder: False)

    with pytest.raises(OutputNotWritable) as caught:
        store.writable_dir()

    assert f"{share} (read-only)" in caught.value.message
    assert f"{away} (not there)" in caught.value.message


def test_a_configured_folder_that_is_away_is_not_made(make_store, tmp_path):
    away = tmp_path / "not_mounted"

    with pytest.raises(OutputNotWritable):
        make_store(away).writable_dir()

    assert not away.exists()


def test_our_own_default_folder_is_made_when_first_needed(make_store, tmp_path):
    default = tmp_path / "state" / "models"
    store = make_store(default, make_first=True)

    assert list(store.models()) == []
    assert not default.exists()
    assert store.writable_dir() == default


def test_whether_a_folder_can_be_written_to_is_tried(tmp_path):
    assert can_write_to(tmp_path)
    assert not can_write_to(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_what_is_unsafe_or_unknown_is_listed_with_its_reason(make_store, store_dir):
    write_model(store_dir / "coded")
    (store_dir / "coded" / "pipeline.py").write_text("x")
    write_model(store_dir / "odd")
    (store_dir / "odd" / "model_index.json").write_text('{"_class_name": "LTXPipeline"}')
    write_model(store_dir / "cut")
    (store_dir / "cut" / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    write_model(store_dir / "broken")
    (store_dir / "broken" / "model_index.json").write_text("{")

    states = {m.id: m.inspection.state.value for m in make_store().models()}

    assert states == {
        "broken": "broken",
        "coded": "unsafe",
        "cut": "incomplete",
        "odd": "unknown family",
    }
    assert all(m.inspection.reason for m in make_store().models())


def test_a_model_that_is_not_there_is_missed_by_name(make_store, store_dir):
    write_model(store_dir / "here")

    with pytest.raises(ModelMissing, match="elsewhere") as caught:
        make_store().find("elsewhere")

    assert "here" in caught.value.hint


@pytest.mark.parametrize("model_id", ["../..", "/", "a/../../b", ""])
def test_an_id_that_is_a_path_is_refused(make_store, model_id):
    with pytest.raises(InvalidRequest):
        make_store().find(model_id)


def test_what_is_on_its_way_is_no_model(make_store, store_dir):
    with make_store().incoming("coming") as partial:
        write_model(partial.payload)

        assert list(make_store().models()) == []
        assert list(find_model_folders((str(store_dir),))) == []


def test_a_published_model_is_there_at_once_and_whole(make_store, store_dir):
    store = make_store()
    with store.incoming("coming") as partial:
        write_model(partial.payload)
        path = store.publish(partial, "coming")

    assert [m.id for m in store.models()] == ["coming"]
    assert path == store_dir / "coming"
    assert [p.name for p in store_dir.iterdir()] == ["coming"]


def test_publishing_never_replaces(make_store, store_dir):
    store = make_store()
    with store.incoming("coming") as partial:
        write_model(partial.payload)
        (store_dir / "coming").symlink_to("nowhere")
        with pytest.raises(OutputExists):
            store.publish(partial, "coming")

    assert partial.payload.is_dir()


def test_a_partial_that_is_a_link_is_not_followed(make_store, store_dir, tmp_path):
    (store_dir / "coming.partial").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OutputNotWritable, match="link"), make_store().incoming("coming"):
        pass

    assert not (tmp_path / "elsewhere").exists()


def test_removing_deletes_the_model_and_nothing_else(make_store, store_dir):
    write_model(store_dir / "a")
    write_model(store_dir / "b")
    store = make_store()

    store.remove(store.find("a"))

    assert [p.name for p in store_dir.iterdir()] == ["b"]


def test_removing_a_linked_model_leaves_what_it_leads_to(make_store, store_dir, tmp_path):
    real = write_model(tmp_path / "real")
    (store_dir / "linked").symlink_to(real)
    store = make_store()

    store.remove(store.find("linked"))

    assert list(store_dir.iterdir()) == []
    assert (real / "model_index.json").is_file()


def test_links_inside_a_removed_model_are_not_followed(make_store, store_dir, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    write_model(store_dir / "a")
    (store_dir / "a" / "out").symlink_to(outside)
    store = make_store()

    store.remove(store.find("a"))

    assert (outside / "precious").read_text() == "x"


def test_a_model_on_a_read_only_share_stays(make_store, store_dir):
    write_model(store_dir / "a")
    store = make_store(is_writable=lambda folder: False)

    with pytest.raises(OutputNotWritable, match="read-only"):
        store.remove(store.find("a"))

    assert (store_dir / "a").is_dir()


def test_a_model_deeper_in_a_folder_is_not_the_stores_to_remove(make_store, store_dir):
    write_model(store_dir / "models--org--m" / "snapshots" / "abc")
    store = make_store()

    with pytest.raises(InvalidRequest, match="inside another"):
        store.remove(store.find("org--m"))


def test_what_was_interrupted_can_be_given_up(make_store, store_dir):
    with make_store().incoming("coming") as partial:
        write_model(partial.payload)

    assert make_store().discard("coming")
    assert not make_store().discard("coming")
    assert list(store_dir.iterdir()) == []


def test_what_another_process_is_at_work_on_is_not_given_up(make_store):
    with make_store().incoming("coming") as partial:
        write_model(partial.payload)
        with pytest.raises(OutputExists, match="Another process"):
            make_store().discard("coming")

    assert list(make_store().partials()) == ["coming"]


def test_an_interrupted_removal_is_no_model(make_store, store_dir, monkeypatch):
    write_model(store_dir / "a")
    store = make_store()

    def refuse(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(KeyboardInterrupt):
        store.remove(store.find("a"))

    assert list(make_store().models()) == []


@pytest.fixture
def cut_short(make_store, store_dir, monkeypatch):
    """A removal of model "a" that ended before anything was deleted."""
    write_model(store_dir / "a")

    def refuse(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        with pytest.raises(KeyboardInterrupt):
            make_store().remove(make_store().find("a"))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_removal_left_is_told_and_the_next_removal_deletes_it(
    make_store, store_dir, cut_short
):
    assert make_store().left_over_bytes() > 100_000
    write_model(store_dir / "b")

    make_store().remove(make_store().find("b"))

    assert names_in(store_dir) == []
    assert make_store().left_over_bytes() == 0


def test_what_a_removal_left_goes_with_the_next_model_that_comes(make_store, store_dir, cut_short):
    with make_store().incoming("coming") as partial:
        write_model(partial.payload)

    assert names_in(store_dir) == ["coming.partial"]


def test_what_another_process_is_removing_is_left_to_it(make_store, store_dir, cut_short):
    (trash,) = store_dir.iterdir()
    other = try_lock(trash / "lock")
    make_store().sweep()
    assert (trash / "blobs" / "model_index.json").is_file()
    other.release()
    make_store().sweep()
    assert names_in(store_dir) == []


@pytest.mark.parametrize("name", ["mine.trash", "a.0123456.trash", "a.0123456z.trash"])
def test_a_folder_that_only_sounds_like_it_is_nobodys_to_delete(make_store, store_dir, name):
    (store_dir / name / "blobs").mkdir(parents=True)

    make_store().sweep()

    assert names_in(store_dir) == [name]


def test_a_model_that_cannot_be_renamed_leaves_nothing_else(make_store, store_dir, monkeypatch):
    write_model(store_dir / "a")

    def refuse(path, target):
        raise PermissionError("in use")

    store = make_store()
    model = store.find("a")
    monkeypatch.setattr("pathlib.Path.rename", refuse)
    with pytest.raises(PermissionError):
        store.remove(model)

    assert names_in(store_dir) == ["a"]


def test_putting_a_model_in_changes_the_stores_time_after_it_is_whole(make_store, store_dir):
    # A running server looks at this time to see that its engines changed.
    store = make_store()
    with store.incoming("coming") as partial:
        write_model(partial.payload)
        before = store_dir.stat().st_mtime_ns
        store.publish(partial, "coming")

    assert store_dir.stat().st_mtime_ns > before


def test_the_lock_of_a_partial_is_held_and_given_back(make_store):
    with (
        make_store().incoming("coming"),
        pytest.raises(OutputExists),
        make_store().incoming("coming"),
    ):
        pass
    with make_store().incoming("coming"):
        pass

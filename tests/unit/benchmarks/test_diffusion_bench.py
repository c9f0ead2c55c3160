"""The diffusion benchmark runs from end to end, and its figures add up."""

import pytest
import torch

from benchmarks.diffusion import report
from benchmarks.diffusion.__main__ import arguments, setup_of
from benchmarks.diffusion.measures import Setup, measure
from benchmarks.diffusion.models import Size, count_without_memory, models_named
from benchmarks.diffusion.timing import DECODE, DENOISE, ENCODE, READ, WRITE, Stopwatch


@pytest.fixture(autouse=True)
def threads_put_back():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def tiny_setup(**more):
    return Setup(
        device=torch.device("cpu"),
        size=Size.TINY,
        plate=(256, 128),
        whole=(128, 64),
        steps=1,
        rounds=1,
        threads=1,  # on a busy machine two threads of torch wait for each other
        **more,
    )


def test_a_toy_model_gives_every_table():
    setup = tiny_setup(frames=1)
    result = measure(models_named(["sd15"])[0], setup)
    text = report.report([result], setup, "a machine", "the same", "a command")
    for part in ("c / a", "denoise", "whole frame", "same prompt, new seed", "files to files"):
        assert part in text
    assert result.fill_ratio > 0
    assert result.whole_is == "measured"
    for step in (READ, ENCODE, DENOISE, DECODE, WRITE):
        assert result.breakdown_s[step] > 0, step
    assert result.crop != (0, 0)
    assert result.crop[0] < 256


def test_a_toy_video_model_is_measured_by_the_frame():
    result = measure(models_named(["wan21-vace-1.3b"])[0], tiny_setup(frames=5))
    assert result.frames == 5
    assert result.breakdown_s[DENOISE] > 0


def test_what_was_timed_is_put_back():
    from genai_fill_server.service import finish_frame, run_fill, shot_view

    before = [finish_frame.composite, run_fill.check_request, shot_view.ShotView.to_working]
    measure(models_named(["sd15"])[0], tiny_setup(frames=1))
    after = [finish_frame.composite, run_fill.check_request, shot_view.ShotView.to_working]
    assert after == before


def test_nested_steps_count_once():
    watch = Stopwatch(torch.device("cpu"))
    with watch.at("outer"), watch.at("inner"):
        sum(range(100_000))
    assert watch.seconds["inner"] > watch.seconds["outer"]


def test_full_size_networks_have_their_published_numbers_of_parameters():
    sd15, klein = models_named(["sd15", "flux2-klein-4b"])
    assert count_without_memory(sd15)["unet"] == 859_535_364
    assert count_without_memory(klein)["text_encoder"] == 4_022_468_096


def test_a_cpu_gets_small_networks_unless_told_otherwise():
    assert setup_of(arguments(["--device", "cpu"])).size is Size.SMALL
    assert setup_of(arguments(["--device", "cpu", "--full-size"])).size is Size.FULL

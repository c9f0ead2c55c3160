"""What our whole way of a frame costs beside the bare call of the pipeline.

    python -m benchmarks.diffusion [--families sd15 wan21-vace-1.3b] [--device auto]
        [--full-size] [--steps 4] [--frames 2] [--rounds 3] [--out report.md]

On a GPU the networks have their published size; on a CPU they are smaller ones of the same
layout, unless --full-size asks for them. Weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.diffusion.measures import Result, Setup, measure
from benchmarks.diffusion.models import MODELS, Size, models_named
from benchmarks.diffusion.report import machine, report
from genai_fill_contract.errors import GenAIFillError
from genai_fill_server.engines.diffusers.runtime import choose_device

_CPU_STEPS = 4


def arguments(given: list[str]) -> argparse.Namespace:
    """Return the command line's options."""
    names = [model.name for model in MODELS]
    parser = argparse.ArgumentParser(prog="benchmarks.diffusion", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--families", nargs="+", default=names, metavar="NAME", help=str(names))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--full-size", action="store_true", help="published sizes on a CPU too")
    parser.add_argument("--steps", type=int, default=0, help="0: as the product, on a CPU 4")
    parser.add_argument("--frames", type=int, default=0, help="of a fill; 0: as fits the model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own choice")
    parser.add_argument("--plate", type=_size, default=(4096, 2160), help="WIDTHxHEIGHT")
    parser.add_argument("--whole", type=_size, help="WIDTHxHEIGHT of the frame run as a whole")
    parser.add_argument(
        "--cpu-seconds", action="store_true", help="of this process, for a busy machine"
    )
    parser.add_argument("--out", type=Path, help="write the report there too")
    return parser.parse_args(given)


def _size(text: str) -> tuple[int, int]:
    width, height = text.lower().split("x")
    return int(width), int(height)


def setup_of(options: argparse.Namespace) -> Setup:
    """Return what is to be measured. A CPU runs the whole frame at 2K unless told otherwise."""
    device = choose_device(options.device)
    on_gpu = device.type == "cuda"
    return Setup(
        device=device,
        size=Size.FULL if on_gpu or options.full_size else Size.SMALL,
        plate=options.plate,
        whole=options.whole or (options.plate if on_gpu else (2048, 1080)),
        steps=options.steps or (0 if on_gpu else _CPU_STEPS),
        frames=options.frames,
        rounds=options.rounds,
        threads=options.threads,
        cpu_seconds=options.cpu_seconds,
    )


def main(given: list[str]) -> int:
    """Measure, print the report, and return 1 if a model failed."""
    options = arguments(given)
    setup = setup_of(options)
    before = machine(setup.device)
    results: list[Result] = []
    failed = []
    for model in models_named(options.families):
        print(f"measuring {model.name} …", file=sys.stderr, flush=True)
        try:
            results.append(measure(model, setup))
        except (GenAIFillError, RuntimeError, ValueError, MemoryError) as error:
            failed.append(f"{model.name} was not measured: {type(error).__name__}: {error}")
        gc.collect()
        if setup.device.type == "cuda":
            torch.cuda.empty_cache()
    command = shlex.join(["python", "-m", "benchmarks.diffusion", *given])
    text = report(results, setup, before, machine(setup.device), command)
    text = "\n\n".join([text, *failed])
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

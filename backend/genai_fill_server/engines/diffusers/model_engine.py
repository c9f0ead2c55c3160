"""What every engine with a diffusers model does: describe, check, load, encode, release."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genai_fill_contract.engine import EngineDescription
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.family import Family, Picture
from genai_fill_server.engines.diffusers.folder import ModelFolder, fingerprint
from genai_fill_server.engines.diffusers.options import Options, asked_loras
from genai_fill_server.engines.diffusers.picture import Sizing
from genai_fill_server.engines.diffusers.room import CallSize, Room
from genai_fill_server.service.ports import EngineJob, Watch

if TYPE_CHECKING:
    import torch

    from genai_fill_server.engines.diffusers.encodings import EncodingCache
    from genai_fill_server.engines.diffusers.lora import AppliedLora
    from genai_fill_server.engines.diffusers.memory import Placement
    from genai_fill_server.engines.diffusers.previews import LatentColours, Previews
    from genai_fill_server.engines.diffusers.prompts import PromptCache
    from genai_fill_server.engines.diffusers.speed import Speed


_LOG = logging.getLogger(__name__)
Prompt = Callable[[Picture | None], dict[str, Any]]
"""The encoded prompt as call arguments; the picture counts where the text encoder sees it."""


@dataclass(frozen=True)
class Model:
    """A model folder with all that is known about it, nothing loaded."""

    folder: ModelFolder
    family: Family
    card: ModelCard


@dataclass
class Loaded:
    """A model that is ready to run."""

    pipe: Any
    device: torch.device
    scheduler: Any
    prompts: PromptCache
    encodings: EncodingCache
    colours: LatentColours | None
    lora: AppliedLora
    speed: Speed
    placement: str
    facts: Mapping[str, object]
    """What the recipe of every take says of the model and the machine."""
    is_rounded: bool = False
    """Whether its weights are 8 bits."""
    room_gb: float = 0.0
    """What a call may take on the device beside them."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it is on the device all the time."""
        return self.is_rounded or self.placement == "resident"


class ModelEngine:
    """Base of the engines here. torch is imported when a model is first prepared.

    ``device`` is the setting ("auto", "cuda:1"), ``threads`` the CPU threads (0: torch's own
    choice).
    """

    def __init__(
        self,
        model: Model,
        description: EngineDescription,
        *,
        device: str,
        threads: int,
    ) -> None:
        self._model = model
        self._description = description
        self._device = device
        self._threads = threads
        self._loaded: Loaded | None = None

    @property
    def description(self) -> EngineDescription:
        """What it is and which options it has."""
        return self._description

    def prepare(self, watch: Watch) -> None:
        """Load the weights onto the device; again is free.

        Raises `ModelMissing`, `ModelUnsafe`, `ModelLoadFailed`, `OutOfMemory`, `ConfigError`.
        """
        if self._loaded is not None:
            return
        watch.progress("loading the model", 0, 1)
        self._loaded = self._load(watch)
        watch.progress("loading the model", 1, 1)

    def release(self) -> None:
        """Give the device's memory back. `prepare` may be called again."""
        if self._loaded is None:
            return
        from genai_fill_server.engines.diffusers.runtime import give_memory_back

        device = self._loaded.device
        self._loaded = None
        give_memory_back(device)

    def _load(
        self, watch: Watch, size: CallSize | None = None, *, may_round: bool = True
    ) -> Loaded:
        from genai_fill_server.engines.diffusers import (
            encodings,
            loading,
            lora,
            memory,
            prompts,
            runtime,
            speed,
        )

        model = self._model
        device = runtime.choose_device(self._device)
        runtime.make_reproducible(self._threads)
        dtype = runtime.working_dtype(device, model.family.working_dtype)
        pipe = loading.load_pipeline(model.family, model.folder, model.card, dtype)
        watch.check()
        colours = _fitted_colours(pipe.vae)
        watch.check()
        placement = self._placed(pipe, device, watch, size, may_round=may_round)
        facts = {
            "model": fingerprint(model.folder.path),
            **_parts_beside(model),
            "device": str(device),
            "placement": placement.value,
            "precision": str(dtype).removeprefix("torch."),
            "libraries": runtime.library_versions(),
        }
        kept = encodings.EncodingCache()
        kept.serve(pipe.vae)
        return Loaded(
            pipe,
            device,
            pipe.scheduler,
            prompts.PromptCache(),
            kept,
            colours,
            lora.AppliedLora(),
            speed.Speed(pipe, device, placement),
            placement.value,
            facts,
            placement is memory.Placement.EIGHT_BIT,
            self._room_gb(size),
        )

    def _placed(
        self,
        pipe: Any,
        device: torch.device,
        watch: Watch,
        size: CallSize | None,
        *,
        may_round: bool,
    ) -> Placement:
        """Put the model onto the device in the fastest way that fits; say so if it is not whole."""
        from genai_fill_server.engines.diffusers import memory, runtime

        model = self._model
        what = f"loading {model.folder.name!r}"
        with runtime.translated_errors(what, device, model.card.vram_gb):
            native = model.family.working_gb
            more = self._room_gb(size) - native
            need = memory.memory_need(pipe, model.card, native, more)
            if not may_round:
                need = replace(need, eight_bit=None)

            def fits(free: float) -> str:
                room = free - memory.LEAST_FOR_LAYERS_GB
                return self._room().that_fits(size, room) if size else ""

            placement = memory.place(pipe, device, need, what, fits)
        if placement is not memory.Placement.RESIDENT:
            way = (
                "with weights rounded to 8 bits, which changes the picture a little"
                if placement is memory.Placement.EIGHT_BIT
                else f"by {placement.value}, which is slower"
            )
            watch.log(
                f"{device} has {runtime.free_gb(device):.1f} GB free and the model wants "
                f"{need.resident:.1f} GB: it runs {way}."
            )
        return placement

    def _room(self) -> Room:
        family, card = self._model.family, self._model.card
        side = card.native_px or family.native_px
        return Room(family.working_gb, side, family.window_frames, family.frame_multiple)

    def _room_gb(self, size: CallSize | None) -> float:
        """Return what to keep free for calls: what a native one takes, or ``size`` if more."""
        native = self._model.family.working_gb
        return native if size is None else max(native, self._room().of(size))

    def _make_room(self, loaded: Loaded, size: CallSize, watch: Watch) -> Loaded:
        """Place the model anew where what is kept free beside it is not what ``size`` takes."""
        from genai_fill_server.engines.diffusers import runtime

        wanted = self._room_gb(size)
        if loaded.device.type != "cuda" or wanted == loaded.room_gb:
            return loaded
        runtime.give_memory_back(loaded.device)
        if loaded.is_whole and runtime.free_gb(loaded.device) >= self._room().of(size):
            return loaded
        watch.log(f"{size} take about {wanted:.1f} GB beside the model: it is placed anew.")
        self.release()
        return self._load(watch, size)

    def _ready(self, job: EngineJob, size: CallSize, watch: Watch) -> Loaded:
        """Return the model, loaded so that calls of ``size`` fit. Raises `OutOfMemory`."""
        self.prepare(watch)
        assert self._loaded is not None
        self._loaded = self._make_room(self._loaded, size, watch)
        if self._loaded.is_rounded and asked_loras(job.options):
            watch.log("A LoRA cannot be mixed into 8-bit weights: the model is loaded again.")
            self.release()
            self._loaded = self._load(watch, size, may_round=False)
        watch.note("diffusers", dict(self._loaded.facts))
        self._loaded.encodings.begin_job()
        return self._loaded

    def _prompt(self, loaded: Loaded, job: EngineJob, watch: Watch) -> Prompt:
        """Return what gives the encoded prompt for a picture; report how much of it is read.

        A LoRA is mixed in first: it may change how prompts are encoded. What does not depend
        on the picture is encoded here, before the first frame is read.
        """
        from genai_fill_server.engines.diffusers.lora import use_lora
        from genai_fill_server.engines.diffusers.prompts import report_cuts

        if use_lora(loaded.pipe, loaded.lora, job.options, self._model.folder.roots, watch):
            loaded.prompts.clear()
        if loaded.speed.use(job.options, watch):
            loaded.encodings.clear()

        family = self._model.family
        report_cuts(family.limits(loaded.pipe), job.prompt, job.negative_prompt, watch)

        def encoded(picture: Picture | None) -> dict[str, Any]:
            return loaded.prompts.arguments(
                family, loaded.pipe, job.prompt, job.negative_prompt, job.options, picture
            )

        if not family.sees_picture:
            with self._running(loaded, "the prompt", watch):
                encoded(None)
        return encoded

    @contextmanager
    def _running(self, loaded: Loaded, what: str, watch: Watch) -> Iterator[None]:
        """Run the pipeline inside: cancel is looked for, errors are translated."""
        from genai_fill_server.engines.diffusers.following import cancel_checks
        from genai_fill_server.engines.diffusers.runtime import translated_errors

        with (
            translated_errors(what, loaded.device, self._model.card.vram_gb),
            cancel_checks(loaded.pipe, watch, loaded.speed.compiled),
        ):
            yield

    def _previews(self, loaded: Loaded, watch: Watch) -> Previews:
        from genai_fill_server.engines.diffusers.previews import Previews

        return Previews(watch, loaded.colours)

    def _fresh_scheduler(self, loaded: Loaded, options: Options) -> None:
        loaded.pipe.scheduler = self._model.family.scheduler(loaded.scheduler, options)

    def _sizing(self) -> Sizing:
        return self._model.family.sizing(self._model.card)


def _parts_beside(model: Model) -> dict[str, str]:
    """Return the fingerprints of the parts that the card names outside the model's folder."""
    named = {"controlnet": model.card.controlnet, "structure": model.card.structure}
    return {
        entry: fingerprint((model.folder.path / place).resolve())
        for entry, place in named.items()
        if place and entry not in model.folder.components
    }


def _fitted_colours(vae: Any) -> LatentColours | None:
    """Return how to show the latents of ``vae``; None, and a line in the log, if it cannot be."""
    from genai_fill_server.engines.diffusers.previews import fit_colours
    from genai_fill_server.engines.diffusers.runtime import LIBRARY_ERRORS

    try:
        return fit_colours(vae)
    except LIBRARY_ERRORS as error:
        _LOG.warning("previews cannot be shown with this VAE", exc_info=error)
        return None

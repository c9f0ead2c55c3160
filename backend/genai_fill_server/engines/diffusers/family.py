"""What a model family has to say about itself; engines do the rest.

Families must be importable without torch and diffusers: descriptions are made of them in
processes that never run a model. What needs torch imports it when it is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from genai_fill_contract.engine import EngineKind, EngineOption
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.folder import ModelFolder
from genai_fill_server.engines.diffusers.options import Options
from genai_fill_server.engines.diffusers.picture import Sizing


@dataclass(frozen=True)
class TextEncoderLimit:
    """A text encoder of a pipeline: how many tokens it reads of a prompt.

    ``tokenizer`` is a transformers tokenizer. ``template_tokens`` are spent on the chat
    template round the prompt.
    """

    name: str
    tokenizer: Any
    max_tokens: int
    template_tokens: int = 0


@dataclass(frozen=True)
class Picture:
    """One picture for the model: torch tensors on the CPU, float32.

    ``image`` is (1, 3, height, width) in [0, 1], ``hole`` (1, 1, height, width) of 0 and 1.
    ``reference`` (1, 3, any, any) shows what should be there, ``control`` (1, 3, height,
    width) its depth, pose or edges; both in [0, 1], or None. ``there`` is what a call that is
    to start from what is there starts from, where that is not ``image``; ``more`` are further
    references.
    """

    image: Any
    hole: Any
    reference: Any = None
    control: Any = None
    there: Any = None
    more: tuple[Any, ...] = ()

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[-2])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[-1])


class Family(ABC):
    """One family of pipelines.

    ``pipeline`` is the diffusers class to load, ``accepts`` the ``_class_name`` values of
    folders that it can load. ``working_dtype`` is used on a GPU ("float16", "bfloat16"); on
    the CPU everything is float32. ``unused_parts`` are never loaded.
    """

    name: str
    label: str
    pipeline: str
    accepts: frozenset[str]
    kind: EngineKind = EngineKind.IMAGE
    multiple_px: int = 16
    native_px: int = 1024
    smallest: float = 0.5
    """Least side the model is good at, as a share of the native side."""
    largest: float = 1.0
    """Greatest side, likewise."""
    frame_multiple: int = 1
    """Video: a window has a multiple of this many frames and one more."""
    window_frames: int = 1
    """Video: the frames of a window."""
    working_dtype: str = "bfloat16"
    working_gb: float = 2.0
    """Device memory that a call takes beside the weights, an estimate in GB."""
    unused_parts: frozenset[str] = frozenset()
    inputs: tuple[InputRole, ...] = ()
    """The node's optional inputs that the family uses."""
    controlnet: Family | None = None
    """The family that loads the same folders with the ControlNet that a card names."""
    structured: Family | None = None
    """The family that does so with the part for depth and edges that a card names."""
    makes_takes_at_once: bool = True
    """Whether a call makes several takes, each from its own seed as if it were alone."""
    sees_picture: bool = False
    """Whether the text encoder is shown the picture: see `encode_for`."""
    help: str = ""

    @abstractmethod
    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the options of a model of this family."""

    @abstractmethod
    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """Return what the pipeline's text encoders read of a prompt."""

    @abstractmethod
    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the prompt as arguments for the pipeline's call. Costly: callers cache it."""

    def encode_for(
        self, pipe: Any, picture: Picture, prompt: str, negative: str, options: Options
    ) -> dict[str, Any]:
        """Return what `encode` does, for one picture, where the text encoder is shown it."""
        del picture
        return self.encode(pipe, prompt, negative, options)

    def is_guided(self, options: Options) -> bool:
        """Whether a call reads the negative prompt.

        Together with the two texts that is all that `encode` may depend on.
        """
        return float(options.get("guidance", 0.0)) > 1.0

    @abstractmethod
    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the arguments of the pipeline's call beside prompt, seed and callback."""

    def start(
        self, pipe: Any, picture: Picture, options: Options, generator: Any
    ) -> dict[str, Any]:
        """Return more arguments, for calls that are to start from what is there.

        For pipelines that know of no strength; ``generator`` is the call's own.
        """
        del pipe, picture, options, generator
        return {}

    def pipe_for(self, pipe: Any, picture: Picture, options: Options) -> Any:
        """Return the pipeline that makes this call: ``pipe``, or another one of its parts."""
        del picture, options
        return pipe

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Return arguments for ``from_pretrained``: parts to leave out or to bring along."""
        del folder, card, dtype
        return {}

    def complete(self, pipe: Any, folder: ModelFolder, card: ModelCard, dtype: Any) -> None:
        """Add to a freshly loaded pipeline the parts that it has no place for."""
        del pipe, folder, card, dtype

    def adapt(self, pipe: Any) -> None:
        """Change a freshly loaded pipeline where that is needed to fill with it."""
        del pipe

    def scheduler(self, own: Any, options: Options) -> Any:
        """Return the scheduler for one call, made from the model's ``own``.

        Always a fresh one: a cancelled call leaves multistep schedulers half-way, and what
        is made next must not depend on that.
        """
        del options
        return type(own).from_config(own.config)

    def steps(self, options: Options) -> int:
        """Return how many steps a call makes, for progress before the first one is done."""
        return max(1, int(int(options["steps"]) * float(options.get("strength", 1.0))))

    def uses_negative(self, card: ModelCard) -> bool:
        """Whether a model of this family reads the negative prompt."""
        return any(option.name == "guidance" for option in self.options(card))

    def sizing(self, card: ModelCard) -> Sizing:
        """Return the picture sizes that the model is good at."""
        native = card.native_px or self.native_px
        smallest, largest = native * self.smallest, native * self.largest
        return Sizing(self.multiple_px, round(smallest**2), round(largest**2))


def picture_arguments(picture: Picture, options: Options) -> dict[str, Any]:
    """Return what nearly every inpainting call takes.

    Height and width are spelled out: left to itself a pipeline may resize.
    """
    return {
        "image": picture.image,
        "mask_image": picture.hole,
        "height": picture.height,
        "width": picture.width,
        "num_inference_steps": int(options["steps"]),
        "strength": float(options["strength"]),
    }


def chat_tokens(tokenizer: Any, **settings: Any) -> int:
    """Return how many tokens a chat template spends round an empty prompt."""
    messages = [{"role": "user", "content": ""}]
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, **settings
    )
    return len(tokenizer(text)["input_ids"])

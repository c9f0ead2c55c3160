"""What a model family has to say about itself; engines do the rest.

Families must be importable without torch and diffusers: descriptions are made of them in
processes that never run a model. What needs torch imports it when it is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genai_fill_contract.engine import EngineKind, EngineOption, OptionType
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.folder import ModelFolder
from genai_fill_server.engines.diffusers.picture import Sizing

Options = Mapping[str, OptionValue]

HOLE_CONTENT = "hole_content"
SURROUNDINGS = "surroundings"
PLATE = "plate"
DETAIL = "detail"
LORA = "lora"
LORA_STRENGTH = "lora_strength"


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
    width) its depth, pose or edges; both in [0, 1], or None.
    """

    image: Any
    hole: Any
    reference: Any = None
    control: Any = None

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

    @abstractmethod
    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the arguments of the pipeline's call beside prompt, seed and callback."""

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Return arguments for ``from_pretrained``: parts to leave out or to bring along."""
        del folder, card, dtype
        return {}

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


def steps_option(default: int, maximum: int = 150) -> EngineOption:
    """Return the option for the number of denoising steps."""
    return EngineOption(
        "steps",
        "Steps",
        OptionType.INT,
        default,
        "How many denoising steps a frame takes. More is slower and, up to a point, cleaner.",
        minimum=1,
        maximum=maximum,
        step=1,
    )


def guidance_option(default: float, help_text: str = "", maximum: float = 30.0) -> EngineOption:
    """Return the option for classifier-free (or embedded) guidance."""
    return EngineOption(
        "guidance",
        "Guidance",
        OptionType.FLOAT,
        default,
        help_text
        or "How closely the result keeps to the prompt. High values look harsh. At 1 or less "
        "the negative prompt has no effect and a step takes half the time.",
        minimum=0.0,
        maximum=maximum,
        step=0.1,
    )


def strength_option(default: float) -> EngineOption:
    """Return the option for how much of the plate under the matte is given up."""
    return EngineOption(
        "strength",
        "Strength",
        OptionType.FLOAT,
        default,
        "How far what the model finds under the matte is given up: 1 starts from pure noise, "
        "lower values keep layout and colours.",
        minimum=0.02,
        maximum=1.0,
        step=0.01,
    )


def detail_option() -> EngineOption:
    """Return the option for going over large fills at full size."""
    return EngineOption(
        DETAIL,
        "Detail",
        OptionType.FLOAT,
        0.3,
        "Crops larger than the model works at are filled at its size, enlarged, and gone over "
        "at full size in tiles with this strength. 0 leaves them as they are, soft and quick; "
        "high values may repeat the prompt in every tile.",
        minimum=0.0,
        maximum=0.7,
        step=0.05,
    )


def lora_options() -> tuple[EngineOption, ...]:
    """Return the options for a LoRA: which and how strongly."""
    return (
        EngineOption(
            LORA,
            "LoRA",
            OptionType.FILE,
            "",
            "A .safetensors file in the model folders that gives the model a look, a place or "
            "a thing to know. Empty for none.",
            advanced=True,
        ),
        EngineOption(
            LORA_STRENGTH,
            "LoRA strength",
            OptionType.FLOAT,
            1.0,
            "How strongly the LoRA is mixed in; 0 is not at all.",
            minimum=-2.0,
            maximum=2.0,
            step=0.05,
            advanced=True,
        ),
    )


def hole_content_option() -> EngineOption:
    """Return the option for what a model that looks under the matte finds there."""
    return EngineOption(
        HOLE_CONTENT,
        "Under the matte",
        OptionType.CHOICE,
        SURROUNDINGS,
        "What the model is shown under the matte. Surroundings: colours from round it, so "
        "what is removed cannot come back. Plate: the plate as it is, to change what is there "
        "rather than replace it.",
        choices=((SURROUNDINGS, "Surroundings"), (PLATE, "Plate")),
    )


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


def noise_option() -> EngineOption:
    """Return the option for what the noise does over a frame range."""
    return EngineOption(
        "noise",
        "Noise over frames",
        OptionType.CHOICE,
        "locked",
        "Locked: every frame of a take starts from the same noise, which flickers least. "
        "Per frame: each frame has its own. Either way a frame depends on the seed and its "
        "number alone.",
        choices=(("locked", "Locked"), ("per_frame", "Per frame")),
        advanced=True,
    )


def call_seed(seed: int, frame: int, options: Options) -> int:
    """Return the seed of one frame's noise (see `noise_option`)."""
    return mixed_seed(seed, frame) if options.get("noise") == "per_frame" else seed


def mixed_seed(seed: int, number: int) -> int:
    """Return a seed of its own for ``number`` (a frame): neighbours get unrelated noise."""
    # Any fixed mixing of two 32-bit numbers would do; this is the finaliser of SplitMix64
    # (Steele, Lea, Flood 2014).
    value = (seed << 32 | number & 0xFFFFFFFF) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return (value ^ value >> 31) & 0x7FFFFFFFFFFFFFFF

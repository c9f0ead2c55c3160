"""The options that model families share, and what they mean for a call."""

from __future__ import annotations

from collections.abc import Mapping

from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_contract.errors import InvalidOption
from genai_fill_contract.fill import OptionValue

Options = Mapping[str, OptionValue]

HOLE_CONTENT = "hole_content"
SURROUNDINGS = "surroundings"
PLATE = "plate"
DETAIL = "detail"
LORA = "lora"
LORA_NUMBERS = (1, 2, 3)
CHANNELS_LAST = "channels_last"
COMPILE = "compile"
TAKES_AT_ONCE = "takes_at_once"
HOLE_SHAPE = "hole_shape"
KEEP_EVERY = "keep_every"
REFERENCE_FRAMES = "reference_frames"


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
    """Return the options for LoRAs: which and how strongly, several of them."""
    return tuple(option for number in LORA_NUMBERS for option in _lora_options(number))


def _lora_options(number: int) -> tuple[EngineOption, ...]:
    name, strength = lora_names(number)
    label = f"LoRA {number}" if number > 1 else "LoRA"
    others = " Mixed in after the ones before it." if number > 1 else ""
    return (
        EngineOption(
            name,
            label,
            OptionType.FILE,
            "",
            "A .safetensors file in the model folders that gives the model a look, a place or "
            f"a thing to know. Empty for none.{others}",
            advanced=True,
        ),
        EngineOption(
            strength,
            f"{label} strength",
            OptionType.FLOAT,
            1.0,
            "How strongly the LoRA is mixed in; 0 is not at all.",
            minimum=-2.0,
            maximum=2.0,
            step=0.05,
            advanced=True,
        ),
    )


def lora_names(number: int) -> tuple[str, str]:
    """Return the names of a LoRA's options, of the file and of its strength."""
    name = LORA if number == 1 else f"{LORA}_{number}"
    return name, f"{name}_strength"


def asked_loras(options: Options) -> list[tuple[str, float]]:
    """Return the LoRAs that are asked for and how strongly, in the order they are mixed in."""
    asked = [
        (str(options.get(name, "")), float(options.get(strength, 1.0)))
        for name, strength in map(lora_names, LORA_NUMBERS)
    ]
    return [(text, strength) for text, strength in asked if text and strength]


def speed_options(device: str) -> tuple[EngineOption, ...]:
    """Return the options that may make a model faster on ``device`` (the setting)."""
    layout = EngineOption(
        CHANNELS_LAST,
        "Channels last",
        OptionType.BOOL,
        False,
        "Keeps the weights of convolutions in the order that tensor cores read. It may be "
        "faster for models with many of them (Stable Diffusion), and changes the last bits of "
        "a result. Not measured.",
        advanced=True,
    )
    compiled = EngineOption(
        COMPILE,
        "Compile",
        OptionType.BOOL,
        False,
        "Compiles the model's blocks when first used: minutes once for each crop size, then it "
        "may be faster. Changes the last bits of a result. Needs a GPU with the whole model on "
        "it; where it fails the model runs without, and the log says so. Not measured.",
        advanced=True,
    )
    return (layout,) if device.startswith("cpu") else (layout, compiled)


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


def takes_option() -> EngineOption:
    """Return the option for how many takes a call makes."""
    return EngineOption(
        TAKES_AT_ONCE,
        "Takes at once",
        OptionType.INT,
        0,
        "How many takes of a frame are made together, which is quicker and takes more memory. "
        "0: as many as fit on a GPU, one on other devices. 1: one by one; a take then has the "
        "same bits however many there are.",
        minimum=0,
        maximum=4,
        step=1,
        advanced=True,
    )


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


def check_steps(options: Options) -> None:
    """Raise `InvalidOption` if strength leaves no step to make."""
    steps, strength = int(options["steps"]), float(options.get("strength", 1.0))
    if int(steps * strength) < 1:
        raise InvalidOption(
            f"Strength {strength:g} of {steps} steps leaves no step to make.",
            hint=f"Use {int(1 / strength) + 1} steps or more, or a higher strength.",
            option="strength",
        )

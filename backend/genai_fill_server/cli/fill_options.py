"""The options of `genai-fill fill`: their names and their help."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from genai_fill_contract.fill import CropMode

_SHOT = "Shot"
_WANTED = "What to make"
_MATTE = "Matte and crop"
_COLOUR = "Colour"
_RUN = "How to run"


def _option(panel: str, help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel)


Plate = Annotated[str, _option(_SHOT, "Plate: plate.%04d.exr or plate.####.exr.")]
Matte = Annotated[str, _option(_SHOT, "Matte: a sequence, or one still for all frames.")]
Out = Annotated[str, _option(_SHOT, "Folder of the takes: OUT/NAME_v001/NAME_v001.%04d.exr.")]
Name = Annotated[str, _option(_SHOT, "Name of the takes.")]
Range = Annotated[
    str, _option(_SHOT, "Frames to fill: 1001-1048. Left out: all of the plate.", "--range")
]

Prompt = Annotated[str, _option(_WANTED, "What should be there.")]
Negative = Annotated[str, _option(_WANTED, "What should not be there.")]
Engine = Annotated[
    str, _option(_WANTED, "Engine id, see 'genai-fill engines'. Left out: engine.default.")
]
EngineOptions = Annotated[
    list[str], _option(_WANTED, "Engine option as name=value; may be repeated.", "--option")
]
Seed = Annotated[int, _option(_WANTED, "Seed of the first take; the next ones count up.")]
Takes = Annotated[int, _option(_WANTED, "How many takes.")]

Grow = Annotated[float, _option(_MATTE, "Grow the matte by so many pixels; negative shrinks.")]
Feather = Annotated[float, _option(_MATTE, "Soft edge given to the engine, pixels.")]
Blend = Annotated[float, _option(_MATTE, "Soft edge of the composite, pixels.")]
Context = Annotated[
    int, _option(_MATTE, "Pixels of plate round the matte; -1: the engine's own choice.")
]
Crop = Annotated[CropMode, _option(_MATTE, "How the crop follows the matte.")]
MatteChannel = Annotated[str, _option(_MATTE, "Channel of the matte.")]
MatteInvert = Annotated[bool, _option(_MATTE, "Fill where the matte is black.", "--matte-invert")]

Ocio = Annotated[str, _option(_COLOUR, "OCIO config: a path or ocio://… Left out: $OCIO.")]
WorkingSpace = Annotated[str, _option(_COLOUR, "Colorspace that takes are written in.")]
PlateColorspace = Annotated[
    str, _option(_COLOUR, "Colorspace of the plate's files. Left out: the working space.")
]
Layer = Annotated[str, _option(_COLOUR, "Layer of the plate.")]

Show = Annotated[str, _option(_RUN, "Show, for the record.")]
Shot = Annotated[str, _option(_RUN, "Shot, for the record.")]
Private = Annotated[
    bool, _option(_RUN, "Start a backend for this command alone, as farms want.", "--private")
]
Json = Annotated[bool, _option(_RUN, "Print the finished job as JSON.", "--json")]

"""The script's colour management, as the backend needs it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import nuke

from genai_fill.nuke_host.editing import first_word
from genai_fill_contract.plate import ColourSettings

SCENE_LINEAR = "scene_linear"
NUKE_LINEAR = "Linear Rec.709 (sRGB)"
"""What Nuke's own management calls linear, under its name in OCIO's built-in configs."""


def colour_settings(environment: Mapping[str, str] = os.environ) -> ColourSettings:
    """Return the OCIO config and the working space of the script.

    ``$OCIO`` stands over what the script says, as in Nuke. Without OCIO management, or when
    Nuke's config cannot be found on disk, the backend's built-in config serves, in which
    Nuke's linear is `NUKE_LINEAR`.
    """
    root = nuke.root()
    working = working_space()
    config = environment.get("OCIO", "") or _config_of(root)
    if config:
        return ColourSettings(config, working or SCENE_LINEAR)
    if working in ("", "linear"):
        return ColourSettings("", NUKE_LINEAR)
    return ColourSettings("", working)


def working_space() -> str:
    """Return the name of the script's working space; empty when Nuke does not say."""
    name = first_word(_text(nuke.root(), "workingSpaceLUT")).strip()
    # "default (linear)" is how Nuke shows a default; the name is inside.
    if name.startswith("default (") and name.endswith(")"):
        return name[len("default (") : -1]
    return name


def _config_of(root: Any) -> str:
    if _text(root, "colorManagement") != "OCIO":
        return ""
    if first_word(_text(root, "OCIO_config")) == "custom":
        return _text(root, "customOCIOConfigPath").replace("\\", "/")
    return _text(root, "OCIOConfigPath").replace("\\", "/")


def _text(node: Any, name: str) -> str:
    knob = node.knob(name)
    if knob is None:
        return ""
    evaluate = getattr(knob, "evaluate", None)
    value = evaluate() if evaluate is not None else knob.value()
    return str(value or "")

"""Every `genai-fill` command in the pages exists, with the options that it is shown with."""

import re
from pathlib import Path

import pytest
import typer

from genai_fill_server.cli.main import build_app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"(?:`|^(?:\S*/)?)genai-fill((?: [^\s`#|>]+)+)", re.MULTILINE)


def shown():
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for match in COMMAND.finditer(re.sub(r"[ \t]+", " ", text)):
            yield pytest.param(match[1].split(), id=f"{page.stem}:{match[1].strip()}")


def known_options(words):
    command = typer.main.get_command(build_app())
    for word in words:
        if not hasattr(command, "commands"):
            break
        assert word in command.commands, f"there is no command {word}"
        command = command.commands[word]
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("words", list(shown()))
def test_a_documented_command_exists_with_its_options(words):
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    names = [word for word in words if not word.startswith("-")]

    assert used <= known_options(names) | {"--help"}

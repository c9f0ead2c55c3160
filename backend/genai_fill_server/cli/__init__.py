"""The `genai-fill` command."""

from genai_fill_server.cli.main import main

__all__ = ["main"]

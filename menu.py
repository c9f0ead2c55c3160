"""Nuke runs this in GUI sessions, after init.py: the menu and the panel's name.

Whatever fails must not stop Nuke from starting.
"""

try:
    from genai_fill import bootstrap

    bootstrap.install_menu()
except Exception as error:
    print(f"The GenAI Fill menu is not available: {error}")  # noqa: T201 - as in init.py

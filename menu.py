"""Nuke runs this in GUI sessions: the menu."""

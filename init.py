"""Nuke runs this in every session: make GenAI Fill findable."""

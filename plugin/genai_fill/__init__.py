"""GenAI Fill inside Nuke: standard library, PySide6 and nuke, nothing else."""

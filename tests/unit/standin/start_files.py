"""Plug-in folders for the stand-in's tests."""

from __future__ import annotations


def plug_in(folder, init="", menu="", **gizmos):
    folder.mkdir(parents=True)
    (folder / "init.py").write_text(init)
    (folder / "menu.py").write_text(menu)
    for name, text in gizmos.items():
        (folder / f"{name}.gizmo").write_text(text)
    return folder

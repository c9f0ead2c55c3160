"""Nuke runs this in every session, on farms too: make GenAI Fill findable.

No window, no thread, no network here, and whatever fails must not stop Nuke from starting.
"""

try:
    from pathlib import Path

    import nuke

    _root = Path(__file__).resolve().parent
    for _folder, _python in (("plugin", True), ("gizmos", False)):
        _path = (_root / _folder).as_posix()
        if _path not in nuke.pluginPath():
            nuke.pluginAddPath(_path, addToSysPath=_python)
except Exception as error:
    print(f"GenAI Fill is not available: {error}")  # noqa: T201 - the log may not exist yet

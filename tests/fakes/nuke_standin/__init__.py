"""A strict stand-in for Nuke 16's ``nuke`` and ``nukescripts``, with behaviour.

    from tests.fakes.nuke_standin import boot

    with boot(nuke_path=[REPOSITORY], gui=True, home=tmp_path) as session:
        nuke = session.nuke                              # also: import nuke
        read = nuke.createNode("Read", 'file "/s/p.%04d.exr 1001-1010" raw true')
        session.invoke_menu("Nodes", "GenAI Fill/GenAI Fill")
        node = nuke.selectedNode()
        session.set_knob_as_user(node, "prompt", "a wall")   # opens the panel, knobChanged
        session.press(node, "generate")                  # thisNode, thisKnob, context inside
        assert session.pump(5.0, until=lambda: node["status"].value() == "done")
        image = session.evaluate(node, 1001)             # float32, y up, see image.Image
        text = session.save(tmp_path / "shot.nk")
        assert session.tcl_violations == [] and session.errors == []

It is strict: a name Nuke does not have is an AttributeError (node[...]: NameError), a name
Nuke has and this package has not is a NotImplementedError, a call from another thread than
the main one is OffMainThread, a group left open is ContextLeak, a deleted node ValueError.
``gui=False`` is ``nuke -t``: no menus, no menu.py, nobody serves executeInMainThread.
Plug-in code and start files can import only what Nuke's own Python has.

It computes Read, Write (EXR), Constant, CheckerBoard2, Keymix, Merge2, Copy, Switch,
Dissolve, Expression, Grade, Multiply, Invert, Premult, Unpremult, hard Crop, Reformat without
scaling, AddChannels, Remove, FrameHold, TimeOffset, OneView, JoinViews, Groups and the nodes
that only pass on. Views (``session.set_views``) differ by ``%V`` in file names only.
It converts no colours (set ``raw``) and caches nothing; any other node class
can be loaded, connected and saved, and says NotImplementedError when its picture is asked for.
Outside a picture's box everything is 0. Names come from tests/data/nuke_manifest.json.

Where Nuke's behaviour could not be confirmed, the stand-in takes the strict side: rendering
from a callback raises, an enumeration's ``value<TAB>label`` reads as the value
(``session.world.tab_entries_whole = True`` for the other reading), and a cancelled render
raises what ``cancel_next_execute(error=...)`` says.
"""

from tests.fakes.nuke_standin.session import Session, boot
from tests.fakes.nuke_standin.world import ContextLeak, NukeLaunchError, OffMainThread

__all__ = ["ContextLeak", "NukeLaunchError", "OffMainThread", "Session", "boot"]

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
"""

from tests.fakes.nuke_standin.session import Session, boot
from tests.fakes.nuke_standin.world import ContextLeak, NukeLaunchError, OffMainThread

__all__ = ["ContextLeak", "NukeLaunchError", "OffMainThread", "Session", "boot"]

"""The composition root: what menu.py, the gizmo's buttons and Nuke's panes call.

Importing this is cheap, since every Nuke that starts does it: hence the imports inside the
functions. The application is built when it is first needed
and kept here, in one place, for as long as Nuke runs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from genai_fill.adapters.config_files import FileSettings
    from genai_fill.adapters.system import SystemClock, SystemFileBrowser
    from genai_fill.app.cancel_fill import CancelFill
    from genai_fill.app.panel_session import PanelSession
    from genai_fill.app.panel_state import PanelActions
    from genai_fill.app.ports import Person
    from genai_fill.app.run_fill import RunFill
    from genai_fill.app.start_backend import BackendConnection
    from genai_fill.domain.seeds import RandomBelow
    from genai_fill.nuke_host.host import NukeHost
    from genai_fill_contract.job import Job


class _Application(NamedTuple):
    """The wired application of this Nuke session."""

    host: NukeHost
    run: RunFill
    session: PanelSession
    cancel: CancelFill


_built: list[_Application] = []


def _application() -> _Application:
    """Return the application, built at the first call; main thread only."""
    if not _built:
        _built.append(_build())
    return _built[0]


def _build() -> _Application:
    import platform
    import random
    import uuid
    from pathlib import Path

    import nuke

    from genai_fill.adapters.backend_process import LocalBackendProcess
    from genai_fill.adapters.state_files import StateFolderFinder
    from genai_fill.adapters.system import SystemClock, SystemFileBrowser, person_of
    from genai_fill.app.start_backend import BackendConnection
    from genai_fill.nuke_host.host import NukeHost

    environment, settings, clock, host = os.environ, _settings(), SystemClock(), NukeHost()
    host_dir = os.path.dirname(str(nuke.env.get("ExecutablePath", "")))  # noqa: PTH120
    root = Path(__file__).resolve().parents[2]
    connection = BackendConnection(
        StateFolderFinder(settings, environment),
        LocalBackendProcess(settings, environment, root, host_dir),
        settings,
        clock,
    )
    return _assemble(
        host,
        connection,
        settings,
        clock,
        person_of(environment, platform.node()),
        SystemFileBrowser(environment, host_dir),
        random.SystemRandom().randrange,
        lambda: uuid.uuid4().hex,
    )


def _settings() -> FileSettings:
    from genai_fill.adapters.config_files import FileSettings

    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    return FileSettings(os.environ, sys.platform, home)


def _assemble(
    host: NukeHost,
    connection: BackendConnection,
    settings: FileSettings,
    clock: SystemClock,
    person: Person,
    browser: SystemFileBrowser,
    random_below: RandomBelow,
    new_key: Callable[[], str],
) -> _Application:
    from genai_fill.adapters.spool_folders import DiskSpoolFolders
    from genai_fill.adapters.system import DaemonThreads
    from genai_fill.adapters.take_files import DiskTakeFiles
    from genai_fill.app.cancel_fill import CancelFill
    from genai_fill.app.follow_job import FollowJob
    from genai_fill.app.model_desk import ModelDesk
    from genai_fill.app.panel_session import PanelSession
    from genai_fill.app.run_fill import RunFill
    from genai_fill.app.submit_fill import SubmitFill

    folders, files = DiskSpoolFolders(), DiskTakeFiles()
    submit = SubmitFill(host, connection, folders, files, settings, person, random_below, new_key)
    run = RunFill(host, submit, FollowJob(connection, clock), folders, files, settings, clock)
    cancel = CancelFill(connection)
    threads = DaemonThreads()
    desk = ModelDesk(host, connection, threads, clock, person)
    session = PanelSession(host, connection, run, cancel, browser, threads, random_below, desk)
    return _Application(host, run, session, cancel)


def install_menu() -> None:
    """Add the menu and register the panel; called by menu.py in GUI sessions."""
    from genai_fill.nuke_host import menu

    menu.install(script_loaded)


def make_panel_widget() -> Any:
    """Return a new panel widget; Nuke evaluates this when the panel is opened."""
    from genai_fill.ui.panel import FillPanel

    return FillPanel(panel_actions())


def panel_actions() -> PanelActions:
    """Return what the panel acts through."""
    return _application().session


def open_panel(node: Any = None) -> None:
    """Bring the panel up, looking at ``node`` if one is given."""
    from genai_fill.nuke_host import menu
    from genai_fill.ui.in_front import bring_to_front

    if not (menu.has_panel() and bring_to_front()):
        menu.add_panel()
    if node is not None:
        application = _application()
        application.session.focus(application.host.identify(node))


def generate(node: Any, *, wait: bool = False) -> Job | None:
    """Fill: what the node's Generate button does.

    In the GUI this returns at once, unless ``wait``. Without a GUI it always waits, since
    nobody would bring frames in afterwards. A waited-for fill returns its job, or None when
    it was cancelled, and raises what went wrong.
    """
    import logging

    from genai_fill.app.watch import FillWatch

    log = logging.getLogger(__name__)
    application = _application()
    uuid = application.host.identify(node)
    if application.host.interactive and not wait:
        application.session.focus(uuid)
        application.session.generate()
        return None
    watch = FillWatch(lambda stage: log.info("%s", stage.phase), lambda line: log.info("%s", line))
    job = application.run.generate(uuid, watch)
    if job is not None and job.error is not None:
        raise job.error.to_error()
    return job


def cancel(node: Any) -> None:
    """Cancel what is going on for a node: its Cancel button.

    Without a GUI this waits for the backend's answer, raises what went wrong, and leaves the
    job's end to a session with a GUI.
    """
    application = _application()
    uuid = application.host.identify(node)
    if application.host.interactive:
        application.session.focus(uuid)
        application.session.cancel()
    else:
        application.cancel.on_node(application.host, uuid)


def on_create(node: Any) -> None:
    """Give a node that came into the script its identity; the gizmo's onCreate."""
    from genai_fill.nuke_host import callbacks

    came_as = callbacks.node_created(node)
    if came_as == callbacks.NEW:
        callbacks.start_with(node, _default_engine())
    if not _built:
        return
    application = _built[0]
    application.session.refresh()
    if came_as == callbacks.KNOWN and application.host.interactive and callbacks.has_job(node):
        # A deletion was undone, or the node was cut and pasted: somebody has to follow again.
        # Later, since Nuke is still making the node, and perhaps a whole script round it.
        application.host.run_later(application.session.resume_all)


def _default_engine() -> str:
    import logging

    from genai_fill_contract.errors import ConfigError

    try:
        return _settings().load().engine.default
    except ConfigError as error:
        # A node must come into the script whatever the settings say; Generate tells.
        logging.getLogger(__name__).warning("%s", error)
        return ""


def knob_changed(node: Any, knob: Any) -> None:
    """React to a knob of the node's own panel; the gizmo's knobChanged."""
    from genai_fill.nuke_host import callbacks

    if callbacks.knob_changed(node, knob.name()) and _built:
        _built[0].session.refresh()


def script_loaded() -> None:
    """Take up the jobs that the nodes of an opened script were waiting for."""
    from genai_fill.nuke_host.callbacks import has_job
    from genai_fill.nuke_host.fill_nodes import all_fill_nodes

    if any(has_job(node) for node in all_fill_nodes()):
        _application().session.resume_all()

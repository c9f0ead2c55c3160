"""The model child: `python -m genai_fill_server.bootstrap.model_child`, started by the server.

The server itself neither reads models nor uses the network; of the children, only one that
pulls is started without the variables that keep libraries off line.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_fill_contract.models import ModelList
    from genai_fill_server.executors.model_loop import ByteProgress
    from genai_fill_server.executors.protocol import Start
    from genai_fill_server.service.model_ports import ModelOrder, ModelOutcome


def main() -> None:
    """Answer one question or carry out one order over stdin and stdout."""
    # Ctrl-C in a terminal goes to the whole group: the server decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    from genai_fill_server.bootstrap.worker import take_pipes

    lines_in, lines_out = take_pipes()
    from genai_fill_server.bootstrap.logs import log_to_stderr
    from genai_fill_server.executors.model_loop import ModelLoop

    log_to_stderr(verbose=False)
    ModelLoop(lines_in, lines_out, StoreDuties).run()


class StoreDuties:
    """`ModelDuties` on the store of the server's settings."""

    def __init__(self, start: Start) -> None:
        """Work with the server's settings and this process's environment."""
        self._start = start

    def models(self) -> ModelList:
        """Return every model."""
        from genai_fill_contract.models import ModelList
        from genai_fill_server.bootstrap.model_folders import ENGINE_ID_PREFIX, known_offers
        from genai_fill_server.bootstrap.model_store import open_store
        from genai_fill_server.models.describing import describe_models

        settings = self._start.settings
        store = open_store(settings, os.environ)
        found = describe_models(
            store,
            known_offers(),
            engine_prefix=ENGINE_ID_PREFIX,
            allow_non_commercial=settings.models.allow_non_commercial,
        )
        return ModelList(found, tuple(str(folder) for folder in store.dirs))

    def carry_out(
        self, order: ModelOrder, progress: ByteProgress, began: Callable[[], None]
    ) -> ModelOutcome:
        """Do it; a folder to add is checked again, as a link may have changed since."""
        from genai_fill_server.bootstrap.model_folders import known_offers
        from genai_fill_server.bootstrap.model_store import adder, open_store, puller
        from genai_fill_server.models.ordered import CarryOut
        from genai_fill_server.service.model_tasks import checked_model_folder
        from genai_fill_server.service.path_policy import PathPolicy

        settings = self._start.settings
        if order.path:
            checked_model_folder(PathPolicy(self._start.roots), order.path)
        return CarryOut(
            open_store(settings, os.environ),
            known_offers(),
            lambda: puller(settings, os.environ),
            adder(settings, os.environ),
            began,
        ).carry_out(order, progress)


if __name__ == "__main__":
    main()

"""`ModelWorkers` by child processes: one a question or order, gone when it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable

from genai_fill_contract.errors import WorkerDied
from genai_fill_contract.models import ModelList, ModelVerb
from genai_fill_server.executors.child_process import ChildGone, ChildProcess
from genai_fill_server.executors.protocol import (
    ListModels,
    ModelBegan,
    ModelDone,
    ModelMoved,
    ModelRefused,
    Models,
    WorkOnModel,
)
from genai_fill_server.service.model_ports import (
    ModelOrder,
    ModelOutcome,
    ModelWatch,
    ModelWorkStopped,
)

LIST_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 0.2
_END_GRACE_S = 5.0

StartModelChild = Callable[[bool], ChildProcess]
"""Starts a child; True: it may use the network."""


class ModelProcesses:
    """Starts a child for each order. Only the one of a pull may use the network."""

    def __init__(self, start_child: StartModelChild) -> None:
        """Start children with ``start_child``."""
        self._start_child = start_child

    def models(self) -> ModelList:
        """Return every model. Raises `WorkerDied` or what the child refuses with."""
        deadline = time.monotonic() + LIST_TIMEOUT_S
        try:
            child = self._start_child(False)
            try:
                child.send(ListModels())
                while (left := deadline - time.monotonic()) > 0:
                    message = child.receive(left)
                    if isinstance(message, Models):
                        return message.models
                    if isinstance(message, ModelRefused):
                        raise message.error.to_error()
                raise ChildGone(f"process {child.pid} did not answer in {LIST_TIMEOUT_S:g} s")
            finally:
                child.end(grace_s=1.0)
        except ChildGone as gone:
            raise _died(gone) from gone

    def carry_out(self, order: ModelOrder, watch: ModelWatch) -> ModelOutcome:
        """Block until it is done. Raises `ModelWorkStopped`, `WorkerDied`, `GenAIFillError`."""
        try:
            child = self._start_child(order.verb is ModelVerb.PULL)
            try:
                child.send(WorkOnModel(order))
                return _follow(child, watch)
            finally:
                child.end(_END_GRACE_S)
        except ChildGone as gone:
            if watch.is_stopped:
                raise ModelWorkStopped from gone
            raise _died(gone) from gone


def _follow(child: ChildProcess, watch: ModelWatch) -> ModelOutcome:
    while not watch.is_stopped:
        message = child.receive(_LOOK_EVERY_S)
        if isinstance(message, ModelBegan):
            watch.began()
        elif isinstance(message, ModelMoved):
            watch.moved(message.progress)
        elif isinstance(message, ModelRefused):
            raise message.error.to_error()
        elif isinstance(message, ModelDone):
            return ModelOutcome(message.model_id, message.message)
    raise ModelWorkStopped


def _died(gone: ChildGone) -> WorkerDied:
    return WorkerDied(
        f"The process that works on models died: {gone}.",
        hint="Try again; what was fetched so far is kept. Its log says more.",
    )

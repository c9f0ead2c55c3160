"""Carry out one order of the panel on the store, checks first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.errors import ModelUnsafe
from genai_fill_contract.models import ModelVerb
from genai_fill_server.models.add import AddModel
from genai_fill_server.models.catalogue import find_offer
from genai_fill_server.models.entries import Offer
from genai_fill_server.models.ports import Progress
from genai_fill_server.models.pull import PullModel
from genai_fill_server.models.store import ModelStore
from genai_fill_server.models.verify import Verdict, verify_model
from genai_fill_server.service.model_ports import ModelOrder, ModelOutcome

_MAX_NAMED = 3


@dataclass(frozen=True)
class CarryOut:
    """The verbs by their orders. ``puller`` is made only when something is to be pulled."""

    store: ModelStore
    offers: tuple[Offer, ...]
    puller: Callable[[], PullModel]
    adder: AddModel
    began: Callable[[], None]

    def carry_out(self, order: ModelOrder, progress: Progress) -> ModelOutcome:
        """Do it. ``began`` is called once nothing speaks against a pull or a removal.

        Raises what the verbs do, and `ModelUnsafe` for files that are not as they came.
        """
        if order.verb is ModelVerb.PULL:
            return self._pull(order, progress)
        if order.verb is ModelVerb.ADD:
            path = self.adder.add(Path(order.path), progress=progress, link=order.link)
            return ModelOutcome(path.name, f"Installed: {path}")
        if order.verb is ModelVerb.VERIFY:
            return _judged(verify_model(self.store.find(order.model_id), progress))
        return self._remove(order.model_id)

    def _pull(self, order: ModelOrder, progress: Progress) -> ModelOutcome:
        offer = find_offer(self.offers, order.model_id)
        puller = self.puller()
        puller.check(offer, accepted=order.accept_licence)
        self.began()
        path = puller.pull(
            offer, accepted=order.accept_licence, progress=progress, revision=order.revision
        )
        return ModelOutcome(offer.id, f"Installed: {path}")

    def _remove(self, model_id: str) -> ModelOutcome:
        """Remove a model, or what a broken off pull or add left where there is none."""
        self.store.sweep()
        there = [model.id for model in self.store.models()]
        if model_id not in there and model_id in list(self.store.partials()):
            self.began()
            self.store.discard(model_id)
        else:
            model = self.store.find(model_id)
            self.began()
            self.store.remove(model)
        return ModelOutcome(model_id, "Removed.")


def _judged(verdict: Verdict) -> ModelOutcome:
    if verdict.is_good and not verdict.unrecorded:
        return ModelOutcome(verdict.id, "Every file is as it came.")
    if verdict.is_good:
        words = "No hashes were recorded when it came, so its files were not compared."
        return ModelOutcome(verdict.id, words)
    said = [
        f"{what}: {_few(names)}"
        for what, names in (
            ("changed", verdict.wrong),
            ("missing", verdict.missing),
            ("added", verdict.extra),
        )
        if names
    ]
    words = "; ".join(said) or verdict.problem
    raise ModelUnsafe(
        f"The files of {verdict.id!r} are not as they came: {words}.",
        hint="Remove the model and pull or add it again.",
    )


def _few(names: tuple[str, ...]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")

"""A stand-in for what is behind the panel: it behaves as the real thing does, at once.

It keeps one form a node, runs a fill step by step when told to (`start_frame`), makes takes,
and notes every call in `calls`. Nothing here waits, and nothing here knows Qt.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

from genai_fill.app.panel_state import ActivityView, FillForm, HeroRow, PanelState, TakeRow
from genai_fill_contract.engine import (
    ColourDomain,
    CommercialUse,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.job import JobState, Progress
from genai_fill_contract.models import ModelTask, ModelVerb
from genai_fill_contract.plate import InputRole
from tests.fakes.panel_models import catalogue_models


def png(
    width: int,
    height: int,
    pixel: Callable[[int, int], tuple[int, int, int]],
    claims: tuple[int, int] | None = None,
) -> bytes:
    """Return a small 8-bit RGB PNG made with the standard library alone.

    ``claims`` is a size that its header lies about.
    """

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    rows = b"".join(
        b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", *(claims or (width, height)), 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def thumbnail(seed: int, width: int = 168, height: int = 96) -> bytes:
    """Return a landscape-like picture that differs from seed to seed."""
    horizon = height * (0.45 + (seed * 37 % 20) / 100)
    warm = seed * 53 % 90

    def pixel(x: int, y: int) -> tuple[int, int, int]:
        if y < horizon:
            up = y / horizon
            return int(70 + warm + 70 * up), int(110 + 60 * up), int(160 + 40 * up - warm // 3)
        down = (y - horizon) / (height - horizon)
        ripple = 10 if (x // 7 + y // 3 + seed) % 5 == 0 else 0
        return int(70 - 30 * down + ripple), int(84 - 36 * down + ripple), int(58 - 30 * down)

    return png(width, height, pixel)


CLEAN_PLATE = EngineDescription(
    id="cleanplate",
    label="Clean plate",
    kind=EngineKind.SHOT,
    domain=ColourDomain.SCENE_LINEAR,
    help="Fills the matte with what other frames of the shot show behind it.",
    options=(
        EngineOption(
            "search_frames",
            "Search",
            OptionType.INT,
            24,
            "How many frames before and after are looked at.",
            minimum=0,
            maximum=240,
            step=1,
            unit="frames",
        ),
        EngineOption(
            "follow_light",
            "Follow light",
            OptionType.BOOL,
            True,
            "Match the brightness of the frame that is filled.",
        ),
    ),
    uses_seed=False,
    inputs=(InputRole.PATCH,),
    licence="Apache-2.0",
)

DIFFUSION = EngineDescription(
    id="diffusers:sdxl-inpaint",
    label="SDXL inpaint",
    kind=EngineKind.IMAGE,
    domain=ColourDomain.DISPLAY,
    help="Generates what the prompt says, one frame at a time.",
    options=(
        EngineOption(
            "steps",
            "Steps",
            OptionType.INT,
            30,
            "Denoising steps: more is slower and finer.",
            minimum=1,
            maximum=150,
            step=1,
        ),
        EngineOption(
            "guidance",
            "Guidance",
            OptionType.FLOAT,
            7.5,
            "How closely the prompt is followed.",
            minimum=0.0,
            maximum=30.0,
            step=0.1,
        ),
        EngineOption(
            "scheduler",
            "Scheduler",
            OptionType.CHOICE,
            "dpm",
            "The sampler of the denoising steps.",
            choices=(("dpm", "DPM++ 2M"), ("euler", "Euler"), ("ddim", "DDIM")),
        ),
        EngineOption(
            "tiling",
            "Tile large crops",
            OptionType.BOOL,
            False,
            "Uses less memory on large crops, and is slower.",
        ),
        EngineOption(
            "style",
            "Style words",
            OptionType.TEXT,
            "",
            "Words put in front of every prompt.",
            advanced=True,
        ),
        EngineOption(
            "lora",
            "LoRA file",
            OptionType.FILE,
            "",
            "A safetensors file laid over the model.",
            advanced=True,
        ),
    ),
    needs_prompt=True,
    size_multiple_px=8,
    native_size_px=1024,
    model="stabilityai/sdxl-inpaint",
    licence="OpenRAIL++-M",
    commercial_use=CommercialUse.WITH_LICENCE,
)

MISSING = EngineDescription(
    id="diffusers:flux-fill",
    label="FLUX.1 Fill",
    kind=EngineKind.IMAGE,
    domain=ColourDomain.DISPLAY,
    help="Generates what the prompt says.",
    needs_prompt=True,
    licence="FLUX.1-dev non-commercial",
    commercial_use=CommercialUse.NO,
    available=False,
    unavailable_reason="The weights are not in the model store. Run: genai-fill models add flux.",
)


MODELS = catalogue_models()


class FakeActions:
    """`PanelActions` without Nuke, network or disk."""

    def __init__(self, state: PanelState | None = None) -> None:
        self._state = state if state is not None else PanelState()
        self._forms: dict[str, FillForm] = {}
        self._listeners: list[Callable[[PanelState], None]] = []
        self.selected: str | None = self._state.node_name
        self.calls: list[tuple[str, object]] = []
        self.current_frame = 1001
        self.holds_edits = False
        self._held: list[dict[str, object]] = []

    @property
    def state(self) -> PanelState:
        return self._state

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def named(self, name: str) -> list[object]:
        """Return the arguments of every call of one action."""
        return [what for called, what in self.calls if called == name]

    def subscribe(self, listener: Callable[[PanelState], None]) -> Callable[[], None]:
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def tell(self, **changes: object) -> None:
        """Change the state from outside, as Nuke or the backend would."""
        self._state = replace(self._state, **changes)
        for listener in tuple(self._listeners):
            listener(self._state)

    def tell_form(self, **changes: object) -> None:
        """Change knobs from outside the panel."""
        self.tell(form=replace(self._state.form, **changes))

    def follow_selection(self) -> None:
        self.calls.append(("follow_selection", self.selected))
        if self.selected == self._state.node_name:
            return
        if self._state.node_name is not None:
            self._forms[self._state.node_name] = self._state.form
        form = self._forms.get(self.selected or "", FillForm())
        self.tell(node_name=self.selected, form=form)

    def create_node(self) -> None:
        self.calls.append(("create_node", None))
        self.selected = "GenAIFill1"
        self.follow_selection()

    def edit(self, **changes: object) -> None:
        self.calls.append(("edit", changes))
        if self.holds_edits:
            self._held.append(changes)
        else:
            self.tell_form(**changes)

    def release_edits(self) -> None:
        """Let edits held back reach the node."""
        self.holds_edits = False
        for changes in self._held:
            self.tell_form(**changes)
        self._held.clear()

    def set_option(self, name: str, value: OptionValue) -> None:
        self.calls.append(("set_option", (name, value)))
        self.tell_form(engine_options={**self._state.form.engine_options, name: value})

    def reset_options(self) -> None:
        self.calls.append(("reset_options", None))
        self.tell_form(engine_options={})

    def roll_seed(self) -> None:
        self.calls.append(("roll_seed", None))
        self.tell_form(seed=(self._state.form.seed * 1103515245 + 12345) % 2**31)

    def generate(self) -> None:
        self.calls.append(("generate", self._state.form))
        self.tell(
            error=None,
            activity=ActivityView(JobState.QUEUED, "Waiting in the queue", None, None, True),
        )

    def frame_done(self, frame: int, total: int, eta_s: float | None) -> None:
        """Let the running fill finish one more frame."""
        phase = f"Filling frame {frame} of {total}"
        self.tell(activity=ActivityView(JobState.RUNNING, phase, frame / total, eta_s, True))

    def fail(self, report: ErrorReport) -> None:
        """Let the running fill fail."""
        self.tell(error=report, activity=ActivityView(JobState.FAILED))

    def cancel(self) -> None:
        self.calls.append(("cancel", None))
        self.tell(activity=ActivityView(JobState.CANCELLING, "Cancelling", None, None, False))

    def choose_take(self, version: int | None) -> None:
        self.calls.append(("choose_take", version))
        takes = tuple(replace(t, chosen=t.version == version) for t in self._state.takes)
        self.tell(takes=takes)

    def forget_take(self, version: int) -> None:
        self.calls.append(("forget_take", version))
        self.tell(takes=tuple(t for t in self._state.takes if t.version != version))

    def restore_take_settings(self, version: int) -> None:
        self.calls.append(("restore_take_settings", version))
        take = next(t for t in self._state.takes if t.version == version)
        self.tell_form(prompt=take.prompt, seed=take.seed, engine_id=take.engine_id)

    def reveal_take(self, version: int) -> None:
        self.calls.append(("reveal_take", version))

    def add_hero(self, version: int, frame: int | None = None) -> None:
        self.calls.append(("add_hero", (version, frame)))
        take = next(t for t in self._state.takes if t.version == version)
        at = self.current_frame if frame is None else frame
        others = tuple(h for h in self._state.heroes if h.frame != at)
        self.tell(heroes=tuple(sorted((*others, HeroRow(at, take.label)), key=lambda h: h.frame)))

    def remove_hero(self, frame: int) -> None:
        self.calls.append(("remove_hero", frame))
        self.tell(heroes=tuple(h for h in self._state.heroes if h.frame != frame))

    def refresh_engines(self) -> None:
        self.calls.append(("refresh_engines", None))
        self.tell(engines=(CLEAN_PLATE, DIFFUSION, MISSING), backend="connected")

    def dismiss_error(self) -> None:
        self.calls.append(("dismiss_error", None))
        self.tell(error=None)

    def tell_models(self, **changes: object) -> None:
        """Change what is known of models, as the backend would."""
        self.tell(models=replace(self._state.models, **changes))

    def refresh_models(self) -> None:
        self.calls.append(("refresh_models", None))
        if not self._state.models.models:
            self.tell_models(models=MODELS, folders=("/studio/models", "/local/models"))

    def _work_on(self, verb: ModelVerb, model_id: str, words: str) -> None:
        task = ModelTask(
            f"t{len(self._state.models.tasks)}",
            model_id,
            verb,
            JobState.RUNNING,
            1.0,
            Progress(words, 0.0),
        )
        self.tell_models(tasks=(task, *self._state.models.tasks), error=None)

    def work_moves(self, **changes: object) -> None:
        """Let the latest task on a model move, or come to its end."""
        task, *others = self._state.models.tasks
        self.tell_models(tasks=(replace(task, **changes), *others))

    def pull_model(self, model_id: str, accept_licence: bool) -> None:
        self.calls.append(("pull_model", (model_id, accept_licence)))
        self._work_on(ModelVerb.PULL, model_id, "Fetching")

    def add_model(self, path: str) -> None:
        self.calls.append(("add_model", path))
        self._work_on(ModelVerb.ADD, path.rsplit("/", 1)[-1], "Copying")

    def verify_model(self, model_id: str) -> None:
        self.calls.append(("verify_model", model_id))
        self._work_on(ModelVerb.VERIFY, model_id, "Verifying")

    def remove_model(self, model_id: str) -> None:
        self.calls.append(("remove_model", model_id))
        left = tuple(model for model in self._state.models.models if model.id != model_id)
        self.tell_models(models=left)

    def cancel_model_task(self, task_id: str) -> None:
        self.calls.append(("cancel_model_task", task_id))
        self.work_moves(state=JobState.CANCELLING)

    def dismiss_model_error(self) -> None:
        self.calls.append(("dismiss_model_error", None))
        self.tell_models(error=None)


def make_take(version: int, *, chosen: bool = False, done: int = 48, prompt: str = "") -> TakeRow:
    """Return a take of 48 frames with a thumbnail."""
    return TakeRow(
        version=version,
        label=f"v{version:03d}",
        seed=4020 + version,
        engine_id=DIFFUSION.id,
        prompt=prompt or "an empty beach at dusk, wet sand, low sun",
        first=1001,
        last=1048,
        frames_done=done,
        frames_total=48,
        chosen=chosen,
        thumbnail_png=thumbnail(version) if done else b"",
    )


def ready_state() -> PanelState:
    """Return the state of a node that is ready to generate, with two takes."""
    return PanelState(
        node_name="GenAIFill1",
        form=FillForm(
            prompt="an empty beach at dusk, wet sand, low sun",
            engine_id=DIFFUSION.id,
            seed=4021,
            takes=2,
            first=1001,
            last=1048,
        ),
        engines=(CLEAN_PLATE, DIFFUSION, MISSING),
        takes=(make_take(1), make_take(2, chosen=True)),
        backend="connected",
        log=("Backend 0.1.0 on 127.0.0.1", "Model loaded in 4.1 s"),
    )

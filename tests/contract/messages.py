"""One rich and one plain example of every message, shared by the contract's tests."""

from __future__ import annotations

from genai_fill_contract.engine import (
    ColourDomain,
    CommercialUse,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.errors import DiskFull, EmptyMatte, ErrorReport
from genai_fill_contract.fill import (
    CropMode,
    CropPolicy,
    FillRequest,
    MatteShaping,
    OutputPlace,
    Provenance,
)
from genai_fill_contract.hello import EngineList, Hello, JobList
from genai_fill_contract.job import EventKind, FrameDone, Job, JobEvent, JobState, Progress
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelInfo,
    ModelList,
    ModelState,
    ModelTask,
    ModelTaskList,
    ModelVerb,
    PullRequest,
)
from genai_fill_contract.plate import (
    ColourSettings,
    FrameRange,
    InputRef,
    InputRole,
    MatteRef,
    PlateRef,
    Window,
)
from genai_fill_contract.take import Take

PLAIN_REQUEST = FillRequest(
    plate=PlateRef("/show/shot/plate.%04d.exr", FrameRange(1001, 1048)),
    matte=MatteRef("/show/shot/matte.%04d.exr", FrameRange(1001, 1048)),
    frame_range=FrameRange(1001, 1048),
    engine_id="cleanplate",
    output=OutputPlace("/show/shot/takes", "GenAIFill1"),
)

RICH_REQUEST = FillRequest(
    plate=PlateRef("/show/plate.####.exr", FrameRange(990, 1060), "ACEScg", "beauty", "left"),
    matte=MatteRef("/show/matte.exr", FrameRange(1001, 1001), "roto.a", invert=True, view="left"),
    frame_range=FrameRange(1001, 1048),
    engine_id="diffusers:sdxl-inpaint",
    output=OutputPlace("/show/takes", "wall"),
    prompt="eine alte Mauer, 壁, \u0627\u0644\u062c\u062f\u0627\u0631",
    negative_prompt="people",
    seed=1234,
    takes=3,
    engine_options={"steps": 20, "guidance": 7.5, "tiled": True, "sampler": "unipc"},
    shaping=MatteShaping(grow_px=6.0, feather_px=12.5, blend_px=0.0),
    crop=CropPolicy(CropMode.FOLLOW, 96),
    colour=ColourSettings("ocio://studio-config-latest", "ACEScg"),
    inputs=(
        InputRef(InputRole.PATCH, "/show/hero.1010.exr", FrameRange(1010, 1010), "ACEScg"),
        InputRef(InputRole.MOTION_FORWARD, "/show/mv.%04d.exr", FrameRange(990, 1060)),
    ),
    provenance=Provenance("ada", "lovelace", "ll_0010", "/show/comp.nk", "GenAIFill1", "ws12"),
)

TAKE = Take(
    job_id="j-1",
    index=1,
    version=4,
    seed=1235,
    path_pattern="/show/takes/wall_v004/wall_v004.%04d.exr",
    recipe_path="/show/takes/wall_v004/wall_v004.json",
    frame_range=FrameRange(1001, 1048),
    frames_done=(1001, 1002),
    crop=Window(-8, 16, 1016, 784),
)

JOB = Job(
    id="j-1",
    state=JobState.FAILED,
    request=RICH_REQUEST,
    takes=(TAKE,),
    created_s=1_700_000_000.25,
    progress=Progress("Filling frame 2 of 48", 0.04, 91.5),
    started_s=1_700_000_001.0,
    finished_s=1_700_000_002.0,
    queue_position=0,
    error=ErrorReport.of(
        EmptyMatte("The matte is empty on frames 1012-1015.", hint="Paint it.", first=1012)
    ),
    last_event_id=9,
)

ENGINE = EngineDescription(
    id="studio",
    label="Studio engine",
    kind=EngineKind.VIDEO,
    domain=ColourDomain.DISPLAY,
    help="What it is for.",
    options=(
        EngineOption("steps", "Steps", OptionType.INT, 20, "How many.", 1, 100, 1),
        EngineOption("cfg", "Guidance", OptionType.FLOAT, 7.5, "How much.", 0.0, 30.0, 0.1),
        EngineOption(
            "mode", "Mode", OptionType.CHOICE, "a", "Which.", choices=(("a", "A"), ("b", "B"))
        ),
        EngineOption("fast", "Fast", OptionType.BOOL, False, "Faster.", advanced=True),
        EngineOption("lora", "LoRA", OptionType.FILE, "", "A safetensors file."),
    ),
    needs_prompt=True,
    size_multiple_px=16,
    native_size_px=1024,
    frame_multiple=4,
    window_frames=81,
    inputs=(InputRole.REFERENCE, InputRole.CONTROL),
    licence="Apache-2.0",
    commercial_use=CommercialUse.WITH_LICENCE,
    available=False,
    unavailable_reason="No weights.",
)

EVENT = JobEvent(
    id=7,
    job_id="j-1",
    kind=EventKind.FRAME,
    time_s=1_700_000_003.5,
    state=JobState.RUNNING,
    progress=Progress("Filling", 0.5),
    frame=FrameDone(1, 1002, "/show/takes/wall_v004/wall_v004.1002.exr"),
    message="ok",
)

WHO = Provenance("ada", "calc", "sh010", "/s/a.nk", "GenAIFill1", "ws-7")

MODEL = ModelInfo(
    id="flux2-klein-4b",
    label="FLUX.2 klein 4B",
    state=ModelState.PARTIAL,
    family="flux2-klein",
    kind=EngineKind.IMAGE,
    licence="Apache-2.0",
    commercial_use=CommercialUse.YES,
    licence_note="One page disagrees.",
    licence_url="https://huggingface.co/black-forest-labs/FLUX.2-klein-4B",
    needs_agreement=True,
    unverified=("licence",),
    size_bytes=15_000_000_000,
    vram_gb=13.0,
    offloaded_gb=8.0,
    good_for="a still or a locked-off shot",
    folder="/models/flux2-klein-4b",
    engine_id="diffusers:flux2-klein-4b",
    what_to_do="Pull it again: it goes on where it stopped.",
    can_pull=True,
    can_verify=True,
    can_remove=True,
)

MODEL_TASK = ModelTask(
    id="t-1",
    model_id="flux2-klein-4b",
    verb=ModelVerb.PULL,
    state=JobState.FAILED,
    created_s=1_700_000_000.25,
    progress=Progress("Fetching FLUX.2 klein 4B: 3.0 of 15.0 GB", 0.18, 240.0),
    error=ErrorReport.of(DiskFull("The store's disk is full.", hint="Free some room.")),
    message="Broken off.",
)

MESSAGES: dict[str, object] = {
    "model_info": MODEL,
    "model_list": ModelList((MODEL,), ("/models", "/studio/models")),
    "model_pull_request": PullRequest(True, "main", WHO),
    "model_add_request": AddRequest("/mnt/incoming/model", True, WHO),
    "model_change_request": ChangeRequest(WHO),
    "model_task": MODEL_TASK,
    "model_task_list": ModelTaskList((MODEL_TASK,)),
    "fill_request_plain": PLAIN_REQUEST,
    "fill_request_rich": RICH_REQUEST,
    "take": TAKE,
    "job": JOB,
    "job_list": JobList((JOB,)),
    "job_event": EVENT,
    "engine_description": ENGINE,
    "engine_list": EngineList((ENGINE,), "cleanplate"),
    "hello": Hello("1.0", "0.1.0", "s-1", 4242, ("/show",)),
    "hello_proof": Hello("1.0", "0.1.0", "s-1", proof="0f" * 32),
    "error_report": JOB.error,
}

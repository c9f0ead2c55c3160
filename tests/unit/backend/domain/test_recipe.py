import json

import numpy as np

from genai_fill_contract import codec
from genai_fill_contract.engine import ColourDomain, EngineDescription, EngineKind
from genai_fill_contract.fill import FillRequest, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, Window
from genai_fill_contract.take import Take
from genai_fill_server.domain.recipe import TakeRecord, build_recipe, plain

FRAMES = FrameRange(1, 2)
REQUEST = FillRequest(
    PlateRef("/p.%04d.exr", FRAMES),
    MatteRef("/m.%04d.exr", FRAMES),
    FRAMES,
    "fake",
    OutputPlace("/out", "fill"),
    prompt='a "quoted" prompt\nwith two lines and ü',
    engine_options={"steps": 4},
)
ENGINE = EngineDescription("fake", "Fake", EngineKind.IMAGE, ColourDomain.DISPLAY, "", model="m")
TAKE = Take("job", 0, 1, 5, "/out/f_v001/f_v001.%04d.exr", "/out/f_v001/f_v001.json", FRAMES)


def test_a_recipe_is_json_and_holds_the_request_to_post_again():
    record = TakeRecord(TAKE, {1: Window(0, 0, 8, 8), 2: Window(2, 0, 10, 8)}, {2, 1}, {2: 9})
    recipe = build_recipe(REQUEST, ENGINE, {"steps": 4}, record, {"state": "done"})
    read = json.loads(json.dumps(recipe, allow_nan=False))
    assert codec.decode(FillRequest, read["request"]) == REQUEST
    assert codec.decode(EngineDescription, read["engine"]) == ENGINE
    assert read["crops"] == {"1": [0, 0, 8, 8], "2": [2, 0, 10, 8]}
    assert read["take"]["frames_done"] == [1, 2]
    assert read["unusable_fill_pixels"] == {"2": 9}
    assert read["state"] == "done"


def test_whatever_an_engine_notes_can_be_written():
    note = {
        "loss": float("nan"),
        "at": Window(0, 1, 2, 3),
        4: (1, {2}),
        "a": np.float32(2),
        "n": None,
    }
    assert json.loads(json.dumps(plain(note), allow_nan=False)) == {
        "loss": "nan",
        "at": [0, 1, 2, 3],
        "4": [1, [2]],
        "a": "2.0",
        "n": None,
    }

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_fill_contract import codec
from genai_fill_contract.errors import ErrorReport, InvalidRequest, MalformedMessage
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.hello import EngineList, Hello
from genai_fill_contract.job import Job, JobEvent
from tests.contract.messages import MESSAGES, PLAIN_REQUEST, RICH_REQUEST

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", MESSAGES)
def test_message_reads_and_writes_its_golden_json(name):
    message = MESSAGES[name]
    golden = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))

    assert codec.encode(message) == golden
    assert codec.decode(type(message), golden) == message


def test_every_message_of_the_contract_has_a_golden_file():
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(MESSAGES)


def test_defaults_are_left_out_on_the_wire():
    assert set(codec.encode(PLAIN_REQUEST)) == {
        "plate",
        "matte",
        "frame_range",
        "engine_id",
        "output",
    }


def test_text_in_any_script_survives():
    assert codec.loads(FillRequest, codec.dumps(RICH_REQUEST)).prompt == RICH_REQUEST.prompt


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("seed",), "7", "FillRequest.seed"),
        (("seed",), 7.0, "FillRequest.seed"),
        (("seed",), True, "FillRequest.seed"),
        (("plate",), None, "FillRequest.plate"),
        (("plate", "frame_range", "first"), [], "FillRequest.plate.frame_range.first"),
        (("crop", "mode"), "sideways", "FillRequest.crop.mode"),
        (("engine_options", "steps"), None, "FillRequest.engine_options.steps"),
        (("engine_options", "steps"), {}, "FillRequest.engine_options.steps"),
        (("prompt",), 3, "FillRequest.prompt"),
        (("surprise",), 3, "FillRequest.surprise"),
    ],
)
def test_a_wrong_field_is_named(path, value, named):
    wire = codec.encode(RICH_REQUEST)
    target = wire
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value

    with pytest.raises(MalformedMessage) as caught:
        codec.decode(FillRequest, wire)

    assert caught.value.context["field"] == named
    assert caught.value.hint


def test_a_missing_field_is_named():
    wire = codec.encode(RICH_REQUEST)
    del wire["engine_id"]

    with pytest.raises(MalformedMessage, match=r"FillRequest\.engine_id is missing"):
        codec.decode(FillRequest, wire)


def test_a_client_ignores_what_a_later_server_adds():
    wire = codec.encode(MESSAGES["hello"]) | {"mood": "good"}

    assert codec.decode(Hello, wire, unknown="ignore") == MESSAGES["hello"]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "NaN", '"x"', b"\xff\xfe{"])
def test_hostile_text_is_malformed_and_nothing_else(text):
    with pytest.raises(MalformedMessage):
        codec.loads(FillRequest, text)


def test_oversized_text_is_refused_before_parsing():
    with pytest.raises(MalformedMessage, match="larger than"):
        codec.loads(FillRequest, "x" * (codec.MAX_MESSAGE_BYTES + 1))


def test_non_finite_numbers_travel_in_neither_direction():
    wire = codec.encode(RICH_REQUEST)
    wire["shaping"]["grow_px"] = float("inf")
    with pytest.raises(MalformedMessage):
        codec.decode(FillRequest, wire)
    with pytest.raises(ValueError, match="not JSON compliant"):
        codec.dumps(dataclasses.replace(RICH_REQUEST, engine_options={"x": float("nan")}))


def test_values_out_of_bounds_are_an_invalid_request_not_a_crash():
    wire = codec.encode(RICH_REQUEST) | {"takes": 0}

    with pytest.raises(InvalidRequest):
        codec.decode(FillRequest, wire)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["plate", "matte", "frame_range", "first", "seed", "id", "code"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_no_json_value_crashes_the_decoder(wire):
    for cls in (FillRequest, Job, JobEvent, EngineList, ErrorReport, Hello):
        with pytest.raises((MalformedMessage, InvalidRequest)):
            codec.decode(cls, wire)


@pytest.mark.parametrize(
    "path", [("shaping", "grow_px"), ("engine_options", "strength"), ("seed",)]
)
def test_a_whole_number_that_no_machine_holds_is_malformed_not_a_crash(path):
    wire = codec.encode(RICH_REQUEST)
    place = wire
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = 10**400

    with pytest.raises(MalformedMessage, match="64 bits"):
        codec.decode(FillRequest, wire)

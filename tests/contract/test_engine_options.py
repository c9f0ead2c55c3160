import pytest

from genai_fill_contract.errors import InvalidOption
from tests.contract.messages import ENGINE


def test_defaults_fill_what_was_not_given():
    assert ENGINE.resolve({"steps": 5}) == {
        "steps": 5,
        "cfg": 7.5,
        "mode": "a",
        "fast": False,
        "lora": "",
    }


def test_a_whole_number_is_a_float_where_a_float_is_wanted():
    value = ENGINE.resolve({"cfg": 8})["cfg"]

    assert value == 8.0
    assert isinstance(value, float)


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 0},
        {"steps": 101},
        {"steps": 5.0},
        {"steps": True},
        {"cfg": "8"},
        {"cfg": float("nan")},
        {"cfg": float("inf")},
        {"mode": "c"},
        {"fast": 1},
        {"lora": 3},
        {"stepz": 5},
    ],
)
def test_a_bad_option_is_refused_with_a_hint(given):
    with pytest.raises(InvalidOption) as caught:
        ENGINE.resolve(given)

    assert caught.value.context["option"] == next(iter(given))
    assert caught.value.hint

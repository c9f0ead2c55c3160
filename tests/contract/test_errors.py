import pytest

from genai_fill_contract import codec
from genai_fill_contract import errors as errors_module
from genai_fill_contract.errors import ErrorCode, ErrorReport, GenAIFillError
from genai_fill_contract.version import CONTRACT_VERSION, require_same_major


def leaves(cls=GenAIFillError):
    children = cls.__subclasses__()
    if not children:
        return {cls}
    return set().union(*(leaves(child) for child in children))


def test_every_code_has_exactly_one_class():
    codes = [cls.code for cls in leaves()]

    assert sorted(codes) == sorted(set(codes))
    assert set(codes) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_comes_back_as_itself_over_the_wire(code):
    cls = next(cls for cls in leaves() if cls.code is code)
    error = cls("What, where.", hint="What to do.", path="/a", frame=3, ok=True, nothing=None)

    report = codec.loads(ErrorReport, codec.dumps(ErrorReport.of(error)))
    back = report.to_error()

    assert type(back) is cls
    assert (back.message, back.hint, back.context) == (error.message, error.hint, error.context)
    assert report.retryable is cls.retryable


def test_the_tree_in_the_docstring_names_every_class():
    drawn = errors_module.__doc__

    for cls in leaves():
        assert cls.__name__ in drawn


def test_an_error_says_what_and_what_to_do():
    error = errors_module.EmptyMatte("The matte is empty.", hint="Paint it.")

    assert str(error) == "The matte is empty. Paint it."


def test_a_hint_cannot_be_forgotten():
    with pytest.raises(TypeError):
        errors_module.EmptyMatte("The matte is empty.")


def test_minor_versions_may_talk():
    major = CONTRACT_VERSION.split(".")[0]

    require_same_major(f"{major}.99", who="The backend")


@pytest.mark.parametrize("theirs", ["2.0", "0.9", "", "nonsense"])
def test_other_majors_are_refused_by_name(theirs):
    with pytest.raises(errors_module.VersionMismatch) as caught:
        require_same_major(theirs, who="The backend")

    assert CONTRACT_VERSION in caught.value.message
    assert theirs in caught.value.message

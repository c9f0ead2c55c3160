from __future__ import annotations

import pytest

from genai_fill_contract.errors import ErrorCode, ErrorReport
from genai_fill_server.http.errors import STATUS, from_http, to_http


def error_of(code: ErrorCode):
    return ErrorReport(code, "What, where.", "What to do.", context={"frame": 3}).to_error()


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_goes_over_the_wire_and_comes_back(code):
    error = error_of(code)
    status, body = to_http(error)
    assert 400 <= status < 600
    back = from_http(status, body)
    assert type(back) is type(error)
    assert (back.code, back.message, back.hint) == (code, "What, where.", "What to do.")
    assert back.context == {"frame": 3}


def test_no_code_is_mapped_that_does_not_exist_and_none_is_missing():
    assert set(STATUS) == set(ErrorCode)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 418, 500, 502, 503])
@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b'{"detail": "no"}', b"\xff"])
def test_an_answer_of_another_program_is_an_error_in_words(status, body):
    error = from_http(status, body)
    assert str(status) in error.message
    assert error.hint


def test_a_later_releases_extra_fields_do_not_hide_its_error():
    body = b'{"code": "disk_full", "message": "m", "hint": "h", "added_later": 1}'
    assert from_http(507, body).code is ErrorCode.DISK_FULL

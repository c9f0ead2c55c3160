from __future__ import annotations

import pytest

from genai_fill_server.http.security import Gate, allowed_host_names


def test_loopback_is_always_allowed_and_a_wildcard_is_no_name():
    assert allowed_host_names("0.0.0.0", ()) == {"127.0.0.1", "localhost", "::1"}
    assert allowed_host_names("::", ()) == {"127.0.0.1", "localhost", "::1"}


def test_the_address_listened_on_and_configured_names_are_allowed_in_any_case():
    assert allowed_host_names("10.0.0.7", ("Farm-01",)) >= {"10.0.0.7", "farm-01"}


def test_a_gate_without_a_token_cannot_be_built():
    with pytest.raises(ValueError, match="token"):
        Gate(None, token="", host_names=frozenset())

"""Contract messages in HTTP bodies and queries."""

from __future__ import annotations

from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from genai_fill_contract import codec
from genai_fill_contract.errors import MalformedMessage

T = TypeVar("T")


def json_response(message: object, status: int = 200) -> Response:
    """Return a contract message as an answer."""
    return Response(codec.dumps(message), status_code=status, media_type="application/json")


async def read_message(request: Request, cls: type[T]) -> T:
    """Return the message in the body; a field that this version has not is refused.

    Raises `MalformedMessage`, also as soon as the body grows beyond the codec's limit.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > codec.MAX_MESSAGE_BYTES:
            raise MalformedMessage(
                f"The {cls.__name__} is larger than {codec.MAX_MESSAGE_BYTES} bytes.",
                hint="Pixels stay on disk; a request only names them.",
            )
    message = codec.loads(cls, bytes(body), unknown="reject")
    _require_text(message)
    return message


def _require_text(message: object) -> None:
    """Raise `MalformedMessage` if a text of the message holds half a character.

    JSON can spell one half of a surrogate pair; no file and no database takes it.
    """
    try:
        codec.dumps(message).encode()
    except UnicodeEncodeError:
        raise MalformedMessage(
            f"A text in the {type(message).__name__} holds half a character.",
            hint="Type the prompt anew instead of pasting it.",
        ) from None


def whole_number(name: str, text: str, *, low: int, high: int) -> int:
    """Return a number of a query, a path or a header. Raises `MalformedMessage`."""
    digits = text.strip()
    if len(digits) <= 20 and digits.removeprefix("-").isdecimal():
        number = int(digits)
        if low <= number <= high:
            return number
    raise MalformedMessage(
        f"{name} is {text[:40]!r}.", hint=f"It must be a whole number from {low} to {high}."
    )

"""A server that echoes the key: no frame of the error that is raised has it, which error trackers would send.

Then: 59 places in 21 cases, and 92 with escaped echoes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType, TracebackType
from typing import Any
from urllib.parse import quote

import pytest
from support.raw_server import Exchange, raw_server
from support.recordings import SPEECH, TEXT

from siliconflow_voice import APIStatusError, RetryPolicy, SiliconFlowError, VoiceClient
from siliconflow_voice.api.answers import Answer, Redactor
from siliconflow_voice.api.responses import parse_uri

KEY = 'sk-Xy7/+"\\q9ZkW'
ESCAPES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "as JSON": lambda key: json.dumps(key)[1:-1],
    "as JSON in JSON": lambda key: json.dumps(json.dumps(key))[1:-1],
    "as code points": lambda key: "".join(f"\\u{ord(letter):04X}" for letter in key),
    "as in a URL": lambda key: quote(key, safe=""),
    "as in HTML": lambda key: "".join(f"&#{ord(letter)};" for letter in key),
}
# As little as this much of it is a leak.
PARTS = [KEY[3:8], KEY[-5:]]
DEEP = 2


def chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """Yield an error and all that it came from."""
    if error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        yield from chain(error.__cause__, seen)
        yield from chain(error.__context__, seen)


def frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield what an error tracker sends of a value: its repr, and those of what it holds."""
    yield repr(value)
    if isinstance(value, bytes | bytearray):
        yield bytes(value).decode("latin-1")
    if depth == DEEP:
        return
    if isinstance(value, dict):
        held = list(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        held = list(value)
    else:
        held = list(getattr(value, "__dict__", {}).values())
    for one in held:
        yield from texts(one, depth + 1)


def leaks(error: BaseException) -> list[str]:
    """Return where the key, or a part of it, is seen; the frames of this file, which has it, left out."""
    found: list[str] = []
    for one in chain(error, set()):
        if any(part in text for text in [*texts(one), str(one)] for part in PARTS):
            found.append(type(one).__name__)
        for frame in frames(one.__traceback__):
            if frame.f_code.co_filename == __file__:
                continue
            for name, value in frame.f_locals.items():
                if any(part in text for text in texts(value) for part in PARTS):
                    found.append(f"{frame.f_code.co_qualname}: {name}")
    return found


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 500, 503])
@pytest.mark.parametrize("call", ["upload", "list"])
async def test_no_frame_of_an_error_has_a_key_that_was_echoed(
    escape: Callable[[str], str], status: int, call: str
) -> None:
    echoed = escape(KEY)
    plain = echoed if echoed.isprintable() and "\\" not in echoed else "x"
    body = f'{{"code": 1, "message": "the key {echoed} is bad", "data": "{echoed}"}}'.encode()

    async def echo(exchange: Exchange) -> None:
        await exchange.read_request()
        head = f"HTTP/1.1 {status} {plain}\r\nLocation: /{plain}\r\nx-siliconcloud-trace-id: {plain}\r\n"
        exchange.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await exchange.writer.drain()
        exchange.writer.close()

    async with raw_server(echo, echo, echo) as server:
        async with VoiceClient(KEY, base_url=server.base_url, retry=RetryPolicy.none()) as client:
            uploaded = partial(client.upload_voice, SPEECH, custom_name="a", text=TEXT, on_ambiguous="raise")
            called = client.list_voices if call == "list" else uploaded
            with pytest.raises(SiliconFlowError) as caught:
                await called()
    assert leaks(caught.value) == []


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
@pytest.mark.parametrize("separator", ["", " ", "慢"])
def test_no_part_is_left_of_a_key_that_is_cut_off_where_an_answer_is(
    escape: Callable[[str], str], separator: str
) -> None:
    # Then: of a body of nothing but keys, the last one's beginning.
    key = KEY * 4
    redact, part = Redactor(key), escape(KEY)[:12]
    for shift in range(0, 40, 3):
        for count in (60, 600):
            body = "x" * shift + (escape(key) + separator) * count
            for whole in (body, f'{{"message": "{body}"}}', f'"{body}"'):
                error = parse_uri(Answer(500, {}, whole.encode(), redact=redact))
                assert isinstance(error, APIStatusError)
                assert part not in str(error.body)
                assert part not in str(error)


def test_a_leak_would_be_found() -> None:
    def leaking(echoed: dict[str, bytes]) -> None:
        raise SiliconFlowError(f"{len(echoed)}")

    # As of another file, since this one's frames are passed over.
    leaking.__code__ = leaking.__code__.replace(co_filename="another.py")
    with pytest.raises(SiliconFlowError) as caught:
        leaking({"body": KEY.encode()})
    assert leaks(caught.value) == ["test_a_leak_would_be_found.<locals>.leaking: echoed"]

"""What is recorded of an answer: its shape, never a text, an id, a secret or a byte of audio."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
_BEGINNINGS = ((b"ID3", "mp3"), (b"\xff", "mp3"), (b"RIFF", "wav"), (b"OggS", "ogg"))


def shape_of(value: object) -> Any:
    """Return the keys and types of a JSON value; of a list, each shape that its items have, once."""
    match value:
        case dict():
            return {_name(str(key)): shape_of(item) for key, item in sorted(value.items())}
        case list():
            shapes = {json.dumps(shape_of(item)): shape_of(item) for item in value}
            return [shapes[key] for key in sorted(shapes)]
        case _:
            return _TYPES[type(value)]


def described(body: bytes, requested: str | None) -> dict[str, Any]:
    """Return what a body is: JSON by its shape and code, audio by its first bytes.

    Args:
        body: The answer's.
        requested: The format of audio that was asked for, if any was.
    """
    try:
        document: object = json.loads(body)
    except ValueError:
        return _sound(body, requested) if requested else {"kind": "text" if body else "nothing"}
    code = document.get("code") if isinstance(document, dict) else None
    coded = {"code": code} if isinstance(code, int) else {}
    return {"kind": "json", "shape": shape_of(document), **coded}


def headers_of(headers: Mapping[str, str]) -> list[str]:
    """Return the headers' names."""
    return sorted({name.lower() for name in headers})


def media_type_of(headers: Mapping[str, str]) -> str | None:
    """Return the media type without its parameters; None if there is none."""
    found = _MEDIA_TYPE.match(headers.get("Content-Type", "").lower())
    return found and found[0]


def differences(service: Mapping[str, Any], emulator: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield a line for everything but times that two recordings have different."""
    for key in dict.fromkeys((*service, *emulator)):
        one, other = service.get(key, "nothing"), emulator.get(key, "nothing")
        path = f"{where}{key}"
        if key.endswith("seconds") or one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, f"{path}: ")
        else:
            yield f"{path}: the service has {json.dumps(one)}, the emulator {json.dumps(other)}"


def _sound(body: bytes, requested: str) -> dict[str, Any]:
    found = next((kind for magic, kind in _BEGINNINGS if body.startswith(magic)), "unknown")
    if requested != "wav" or found != "wav":
        return {"kind": "audio", "format": found, "empty": not body}
    true_size = int.from_bytes(body[4:8], "little") == len(body) - 8
    before_data = body[:200].partition(b"data")[0]
    return {"kind": "audio", "format": found, "true_size": true_size, "list_chunk": b"LIST" in before_data}


def _name(key: str) -> str:
    return key if _NAME.fullmatch(key) else "…"

"""The whole cycle of a voice, on the wire, and how each of its requests is answered."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from attrs import define, field

from live.shapes import described, headers_of, media_type_of

RECORDING = Path(__file__).parents[2] / "examples" / "recordings" / "patience-zh.mp3"
TEXT = "慢工出细活，再给我两分钟"
COSY, SENSE = "FunAudioLLM/CosyVoice2-0.5B", "FunAudioLLM/SenseVoiceSmall"
RATES = {"mp3": 32_000, "opus": 48_000, "wav": 24_000, "pcm": 24_000}
_STEP_SECONDS = 120.0


@define
class _Cycle:
    session: aiohttp.ClientSession
    base_url: str
    steps: dict[str, Any] = field(factory=dict[str, Any])
    made: list[str] = field(factory=list[str])
    """The uris of its uploads."""

    async def step(
        self, name: str, method: str, path: str, *, audio: str | None = None, **options: Any
    ) -> bytes:
        """Make a request, record what it is answered with, and return the body of a success."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        url = f"{self.base_url}{path}"
        try:
            async with self.session.request(method, url, allow_redirects=False, **options) as response:
                first = await response.content.readany()
                first_after = loop.time() - began
                body = first + await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.steps[name] = {"error": type(error).__name__, "seconds": round(loop.time() - began, 3)}
            return b""
        self.steps[name] = {
            "status": response.status,
            "media_type": media_type_of(response.headers),
            "headers": headers_of(response.headers),
            "body": described(body, audio if response.status == 200 else None),
            "first_byte_seconds": round(first_after, 3),
            "seconds": round(loop.time() - began, 3),
        }
        return body if response.status == 200 else b""


async def record(base_url: str, api_key: str) -> dict[str, Any]:
    """Go through the cycle, and return how each step was answered; what it made is always deleted."""
    timeout = aiohttp.ClientTimeout(total=_STEP_SECONDS)
    headers = {"Authorization": f"Bearer {api_key}"}
    name = f"live-check-{secrets.token_hex(8)}"
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        cycle = _Cycle(session, base_url)
        try:
            await _live(cycle, name)
        finally:
            await _delete(cycle, name)
    return cycle.steps


async def _live(cycle: _Cycle, name: str) -> None:
    recording = RECORDING.read_bytes()
    fields = {"model": COSY, "customName": name, "text": TEXT}
    for kind in ("text-to-speech", "speech-to-text"):
        await cycle.step(f"models {kind}", "GET", "/models", params={"sub_type": kind})
    form = _form(fields, recording)
    uploaded = await cycle.step("upload as multipart", "POST", "/uploads/audio/voice", data=form)
    cycle.made.extend(_uri(uploaded))
    uri = f"data:audio/mpeg;base64,{base64.b64encode(recording).decode()}"
    body = {**fields, "audio": uri}
    again = await cycle.step("upload as base64", "POST", "/uploads/audio/voice", json=body)
    cycle.made.extend(_uri(again))
    await cycle.step(
        "upload without a text", "POST", "/uploads/audio/voice", data=_form({"model": COSY}, recording)
    )
    await cycle.step("list", "GET", "/audio/voice/list")
    voice = cycle.made[0] if cycle.made else f"{COSY}:anna"
    for format_, rate in RATES.items():
        order = {
            "model": COSY,
            "input": TEXT,
            "voice": voice,
            "response_format": format_,
            "sample_rate": rate,
        }
        await cycle.step(f"speak {format_}", "POST", "/audio/speech", audio=format_, json=order)
    order = {"model": COSY, "input": TEXT, "voice": "anna"}
    await cycle.step("speak with a bare preset", "POST", "/audio/speech", audio="mp3", json=order)
    form = _form({"model": SENSE}, recording)
    await cycle.step("transcribe", "POST", "/audio/transcriptions", data=form)
    await cycle.step("a path that is not there", "GET", "/audio/nothing")
    await cycle.step("no key", "GET", "/audio/voice/list", headers={"Authorization": ""})


async def _delete(cycle: _Cycle, name: str) -> None:
    """Delete what the cycle made: by the answers, and by its name in the list."""
    listed = await cycle.step("list before the deletions", "GET", "/audio/voice/list")
    uris = _read(listed, lambda document: _uris(document, name)) or []
    for number, uri in enumerate(dict.fromkeys([*cycle.made, *uris]), 1):
        await cycle.step(f"delete {number}", "POST", "/audio/voice/deletions", json={"uri": uri})
    await cycle.step("delete once more", "POST", "/audio/voice/deletions", json={"uri": f"speech:{name}:a:b"})
    await cycle.step("list at the end", "GET", "/audio/voice/list")


def _uri(body: bytes) -> list[str]:
    return _read(body, lambda document: [document["uri"]]) or []


def _uris(document: dict[str, Any], name: str) -> list[str]:
    voices = document.get("result") or document.get("results") or []
    return [voice["uri"] for voice in voices if voice["customName"] == name]


def _read(body: bytes, find: Callable[[Any], Any]) -> Any:
    try:
        return find(json.loads(body))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _form(fields: dict[str, str], recording: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData(fields)
    form.add_field("file", recording, filename="audio.mp3", content_type="audio/mpeg")
    return form

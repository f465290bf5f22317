"""The emulator's status page: voices with players, quota, faults and the last requests."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections import deque
from html import escape
from typing import TYPE_CHECKING

from aiohttp import web
from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siliconflow_voice.emulator.account import Account
    from siliconflow_voice.emulator.faults import FaultPlan
    from siliconflow_voice.emulator.kept import KeptRecordings
    from siliconflow_voice.emulator.records import RequestRecord, StoredVoice

__all__ = ["StatusPage"]

_MOST_VOICES = 50
_MOST_REQUESTS = 30
_MOST_CHARACTERS = 120
_RECORDINGS = "/recordings/"
_MEDIA_TYPES = ((b"RIFF", "audio/wav"), (b"OggS", "audio/ogg"))

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: light-dark(#666, #aaa); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
p { color: var(--faint); margin: .25rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { color: var(--faint); font-weight: normal; }
audio { height: 2rem; width: 15rem; vertical-align: middle; }
"""
# What plays is not cut off.
_SCRIPT = """
setInterval(() => {
  const plays = [...document.querySelectorAll("audio")].some((player) => !player.paused);
  if (!plays && !document.hidden) location.reload();
}, 5000);
"""


def _hash_of(source: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


# Whatever a client has sent, a browser must run nothing of it, and no other site may use what is shown here.
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash_of(_STYLE)}; script-src {_hash_of(_SCRIPT)}; "
        "media-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@frozen
class _Visit:
    record: RequestRecord
    target: str
    """Method and path, without the query."""
    user_agent: str


@define
class StatusPage:
    """What the account has, and who asked for what, for a person to look at."""

    _account: Account
    _plan: FaultPlan
    _kept: KeptRecordings
    _visits: deque[_Visit] = field(init=False, factory=lambda: deque[_Visit](maxlen=_MOST_REQUESTS))
    _visited: int = field(init=False, default=0)

    def note(self, request: web.Request, record: RequestRecord) -> None:
        """Note a request to the API, whose record is completed later."""
        target, user_agent = f"{request.method} {request.path}", request.headers.get("User-Agent", "")
        self._visits.appendleft(_Visit(record, _bounded(target), _bounded(user_agent)))
        self._visited += 1

    def answer(self, request: web.Request) -> web.Response | None:
        """Return the page, or a recording that it plays; None for any other request."""
        if request.method != "GET":
            return None
        if request.path == "/":
            page = "".join(self._page())
            return web.Response(text=page, content_type="text/html", charset="utf-8", headers=_HEADERS)
        recording = self._kept.get(request.path.removeprefix(_RECORDINGS))
        if recording is None:
            return None
        media_type = next((kind for magic, kind in _MEDIA_TYPES if recording.startswith(magic)), "audio/mpeg")
        return web.Response(body=recording, content_type=media_type, headers=_HEADERS)

    def _page(self) -> Iterator[str]:
        voices = self._account.voices
        yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Voice API emulator</title>'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f'<link rel="icon" href="data:,"><style>{_STYLE}</style><script>{_SCRIPT}</script></head><body>'
        yield "<h1>Voice API emulator</h1>"
        yield f"<p>{len(voices):,} voices, {self._visited:,} requests. Looks again every 5 seconds.</p>"
        yield "<h2>Voices</h2>"
        yield from _table(
            ("name", "model", "text", "recording", "bytes"),
            (self._voice_row(voice) for voice in reversed(voices[-_MOST_VOICES:])),
        )
        if len(voices) > _MOST_VOICES:
            yield f"<p>The latest {_MOST_VOICES}.</p>"
        yield "<h2>Quota</h2>"
        yield from _table(("endpoint", "model", "requests", "tokens", "window"), self._quota_rows())
        yield "<h2>Faults</h2>"
        yield from _table(
            ("fault", "share", "met"),
            (
                (_text(str(fault)), f"{fault.share:.0%}", f"{met:,} of {_limit(fault.times)}")
                for fault, met in self._plan.met
            ),
        )
        yield "<h2>Last requests</h2>"
        yield from _table(("ago", "request", "status", "code", "user agent"), self._request_rows())
        yield "</body></html>\n"

    def _voice_row(self, voice: StoredVoice) -> tuple[str, ...]:
        player = "not kept"
        if self._kept.get(voice.sha256) is not None:
            player = f'<audio controls preload="none" src="{_RECORDINGS}{voice.sha256}"></audio>'
        return (_text(voice.custom_name), _text(voice.model), _text(voice.text), player, f"{voice.size:,}")

    def _quota_rows(self) -> Iterator[tuple[str, ...]]:
        now = asyncio.get_running_loop().time()
        for (endpoint, model), meter in self._account.meters.items():
            quota, (requests, tokens) = meter.quota, meter.used(now)
            yield (
                endpoint,
                _text(model),
                f"{requests:,.0f} of {_limit(quota.requests)}",
                f"{tokens:,.0f} of {_limit(quota.tokens)}",
                f"{quota.window:g} s, {quota.kind}",
            )

    def _request_rows(self) -> Iterator[tuple[str, ...]]:
        now = asyncio.get_running_loop().time()
        for visit in self._visits:
            record = visit.record
            yield (
                f"{now - record.at:.0f} s",
                _text(visit.target),
                "none" if record.status is None else str(record.status),
                "" if record.code is None else str(record.code),
                _text(visit.user_agent),
            )


def _table(names: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table of cells that are HTML already, or a word if there are none."""
    cells = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    if not cells:
        yield "<p>None.</p>"
        return
    yield f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    yield from (f"<tr>{row}</tr>" for row in cells)
    yield "</table>"


def _limit(limit: int | None) -> str:
    return "∞" if limit is None else f"{limit:,}"


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _text(text: str) -> str:
    """Return what a client sent as HTML, isolated, without what turns lines around or can't be encoded."""
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in _bounded(text))
    return f"<bdi>{escape(shown)}</bdi>"

"""The HTML report of a run: one file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from siliconflow_voice.cli.chart import LEGEND, draw
from siliconflow_voice.cli.outputs import FailedRow
from siliconflow_voice.cli.summary import Summary
from siliconflow_voice.cli.tally import KINDS, STYLES, Kind
from siliconflow_voice.cli.words import amount, clock, harmless

__all__ = ["write_report"]

# Whatever might stand in it, a browser is to run and to fetch nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #6b7280; --line: #d9dce1; --paper: #fff;
  --accepted: #2f9e6e; --limited: #e0a100; --overloaded: #e06c1f; --lost: #8457c8; --refused: #d03b3b;
  --limit: #2460c0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --faint: #9aa1ab; --line: #3a3f47;
  --paper: #16181c; --limit: #7db0ff; --lost: #a584dd; --refused: #ee6b6b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.faint { color: var(--faint); } .bad { color: var(--refused); }
dl { display: flex; flex-wrap: wrap; gap: .75rem 2.25rem; } dt { color: var(--faint); font-size: .85rem; }
dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } svg text { fill: var(--faint); font-size: 11px; }
.grid { stroke: var(--line); } .limit { stroke: var(--limit); fill: none; stroke-width: 1.5; }
.accepted { fill: var(--accepted); } .limited { fill: var(--limited); }
.overloaded { fill: var(--overloaded); } .lost { fill: var(--lost); } .refused { fill: var(--refused); }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; font-size: .85rem; }
.key svg { width: .8rem; height: .8rem; vertical-align: -1px; margin-right: .35rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td:nth-child(2), td:nth-child(3) { min-width: 9rem; }
th:first-child, td:first-child { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
"""


def write_report(path: Path, summary: Summary, failures: Sequence[FailedRow]) -> None:
    """Write it.

    Args:
        path: The file.
        summary: Of the run.
        failures: Those that are shown: all, or the first.

    Raises:
        OSError: The file can't be written.
    """
    path.write_text("".join(_page(summary, failures)), encoding="utf-8")


def _page(summary: Summary, failures: Sequence[FailedRow]) -> Iterable[str]:
    tally = summary.tally
    name = _text(summary.manifest.name)
    began = datetime.fromtimestamp(tally.began, UTC)
    yield "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
    yield f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
    yield '<meta name=viewport content="width=device-width, initial-scale=1">'
    yield f"<title>{name}: voices uploaded</title><style>{_STYLE}</style></head>\n<body><h1>{name}</h1>\n"
    yield f"<p class=faint>{_text(summary.address)}, from {began:%Y-%m-%d %H:%M:%S} UTC</p>\n"
    if summary.ending.reason is not None:
        yield f"<p class=bad>Stopped early: {_text(summary.ending.reason)}</p>\n"
    yield "<dl>"
    for status in STYLES:
        yield _figure(status, f"{tally.statuses[status]:,}")
    yield _figure("left", f"{summary.left:,}")
    yield _figure("audio", amount(tally.sent_bytes))
    yield _figure("time", clock(tally.seconds))
    yield "</dl>\n<h2>Attempts</h2>\n"
    if tally.attempts.total():
        yield draw(tally.timeline)
        items = (f"<li>{_swatch(kind)}{LEGEND[kind]}: {tally.attempts[kind]:,}</li>" for kind in KINDS)
        yield f"<ul class=key>{''.join(items)}</ul>\n"
    else:
        yield "<p class=faint>There were none.</p>\n"
    if failures:
        yield from _failures(failures, tally.statuses["failed"])
    yield f"<p class=faint>Journal: {_text(str(summary.journal))}</p>\n</body></html>\n"


def _text(text: str) -> str:
    return escape(harmless(text))


def _figure(name: str, value: str) -> str:
    return f"<div><dt>{name}</dt><dd>{value}</dd></div>"


def _swatch(kind: Kind) -> str:
    return f'<svg viewBox="0 0 8 8"><rect class={kind} width=8 height=8 rx=1></rect></svg>'


def _failures(failures: Sequence[FailedRow], count: int) -> Iterable[str]:
    first = f", the first {len(failures):,} of {count:,}" if len(failures) < count else ""
    yield f"<h2>Failures{first}</h2>\n<table>"
    yield "<tr><th>line</th><th>name</th><th>audio</th><th>error</th></tr>\n"
    for row in sorted(failures, key=lambda row: row.line):
        cells = (f"{row.line}", row.custom_name, row.audio, row.error)
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>\n"
    yield "</table>\n"

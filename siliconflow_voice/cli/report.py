"""The HTML report of a run: one file that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from siliconflow_voice.bulk.tables import write_anew
from siliconflow_voice.cli import chart
from siliconflow_voice.cli.outputs import FailedRow
from siliconflow_voice.cli.stats import ATTEMPTS, STATUSES, Kind
from siliconflow_voice.cli.summary import Summary
from siliconflow_voice.cli.terminal import escaped, format_bytes, format_duration

__all__ = ["write_report"]

# Whatever a name or an error has in it, a browser must run and fetch nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
svg { width: 100%; height: auto; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.faint { color: var(--faint); } .bad { color: var(--other_error); }
dl { display: flex; flex-wrap: wrap; gap: .75rem 2.25rem; } dt { color: var(--faint); font-size: .85rem; }
dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; font-size: .85rem; }
.key svg { width: .8rem; height: .8rem; vertical-align: -1px; margin-right: .35rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td:nth-child(2), td:nth-child(3) { min-width: 9rem; }
th:first-child, td:first-child { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
"""


def write_report(path: Path, summary: Summary, failures: Sequence[FailedRow]) -> None:
    """Write the report.

    Args:
        path: The file.
        summary: Of the run.
        failures: The failures that it lists: all, or the first.

    Raises:
        OSError: The file can't be written.
    """
    write_anew(path, "".join(_page(summary, failures)))


def _page(summary: Summary, failures: Sequence[FailedRow]) -> Iterable[str]:
    stats = summary.stats
    name = _text(summary.manifest.name)
    began = datetime.fromtimestamp(stats.began, UTC)
    yield "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
    yield f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
    yield '<meta name=viewport content="width=device-width, initial-scale=1">'
    yield f"<title>{name}: upload report</title><style>{chart.STYLE}{_STYLE}</style></head>\n"
    yield f"<body><h1>{name}</h1>\n"
    yield f"<p class=faint>{_text(summary.address)}, from {began:%Y-%m-%d %H:%M:%S} UTC</p>\n"
    if summary.exit.reason is not None:
        yield f"<p class=bad>Stopped early: {_text(summary.exit.reason)}</p>\n"
    yield "<dl>"
    for status in STATUSES:
        yield _figure(status, f"{stats.statuses[status]:,}")
    yield _figure("left", f"{summary.left:,}")
    yield _figure("audio", format_bytes(stats.sent_bytes))
    yield _figure("time", format_duration(stats.seconds))
    yield "</dl>\n<h2>Attempts</h2>\n"
    if stats.attempts.total():
        yield chart.draw(stats.timeline)
        yield f"<p class=faint>{chart.caption(stats.timeline)}</p>\n"
        items = (
            f"<li>{_swatch(kind)}{label}: {stats.attempts[kind]:,}</li>" for kind, label in ATTEMPTS.items()
        )
        yield f"<ul class=key>{''.join(items)}</ul>\n"
    else:
        yield "<p class=faint>No upload was attempted.</p>\n"
    if failures:
        yield from _failures(failures, stats.statuses["failed"])
    yield f"<p class=faint>Journal: {_text(str(summary.journal))}</p>\n</body></html>\n"


def _text(text: str) -> str:
    return escape(escaped(text))


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

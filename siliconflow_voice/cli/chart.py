"""Charts of attempts over time, as SVG: stacked bars, and the rate limit as a line over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from attrs import frozen

from siliconflow_voice.cli.stats import ATTEMPTS, Bucket, Timeline
from siliconflow_voice.cli.terminal import format_duration

__all__ = ["STYLE", "Panel", "caption", "document", "draw"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #6b7280; --line: #d9dce1; --paper: #fff;
  --accepted: #2f9e6e; --rate_limited: #e0a100; --overloaded: #e06c1f; --no_answer: #8457c8;
  --other_error: #d03b3b; --limit: #2460c0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --faint: #9aa1ab; --line: #3a3f47;
  --paper: #16181c; --limit: #7db0ff; --no_answer: #a584dd; --other_error: #ee6b6b; } }
svg text { fill: var(--faint); font: 11px system-ui, sans-serif; }
svg .title { fill: var(--ink); font-size: 13px; }
.paper { fill: var(--paper); } .grid { stroke: var(--line); }
.limit { stroke: var(--limit); fill: none; stroke-width: 1.5; }
.true-limit { stroke: var(--ink); stroke-dasharray: 4 3; }
.accepted { fill: var(--accepted); } .rate_limited { fill: var(--rate_limited); }
.overloaded { fill: var(--overloaded); } .no_answer { fill: var(--no_answer); }
.other_error { fill: var(--other_error); }
"""
"""The colours of a page or document with charts, for light and dark displays."""

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 280, 64, 24, 16, 32
_FLOOR = _HEIGHT - _BOTTOM
_TITLE = 24
# With fewer, a few wide bars would look like much.
_LEAST_BUCKETS = 20
# A limit so many times the highest bar is left out: it would flatten the bars.
_FAR = 3.0
# Seconds between the times that are labelled.
_TIMES = [
    *(1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 3, 6, 12)),
]


@frozen
class Panel:
    """One chart of several in a document."""

    title: str
    timeline: Timeline
    true_limit: float | None = None
    """Requests a minute that the service allows, where that is known."""


def draw(timeline: Timeline) -> str:
    """Return a chart for an HTML page with :data:`STYLE`; there must be an attempt."""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="attempts a minute over time">'
        f"{''.join(_Picture(timeline).parts())}</svg>\n"
    )


def caption(timeline: Timeline) -> str:
    """Return what a chart shows, as a sentence."""
    picture = _Picture(timeline)
    limits = [bucket.limit for bucket in timeline.buckets if bucket.limit is not None]
    words = f"Attempts a minute, in steps of {timeline.width:,.0f} s"
    if any(limit <= picture.top for limit in limits):
        words += "; the line is the rate limit, learned or declared"
        words += ", whose minute may be used up in one burst" if timeline.width < 60 else ""
    if any(limit > picture.top for limit in limits):
        words += f"; a limit of up to {max(limits):,.0f} is above the chart"
    return f"{words}."


def document(panels: Sequence[Panel]) -> str:
    """Return an SVG document of charts below each other, on one scale of time; each must have an attempt.

    Limits have a scale of their own there, so that learned and true ones can be compared beneath bursts.
    """
    seconds = max(len(panel.timeline.buckets) * panel.timeline.width for panel in panels)
    height = _HEIGHT + _TITLE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height * len(panels)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height * len(panels)}"></rect>',
    ]
    for place, panel in enumerate(panels):
        picture = _Picture(panel.timeline, seconds=seconds, true_limit=panel.true_limit, own_scale=True)
        parts.append(
            f'<g transform="translate(0 {place * height + _TITLE})">'
            f'<text class="title" x="{_LEFT}" y="0">{escape(panel.title)}</text>'
            f"{''.join(picture.parts())}</g>"
        )
    return "\n".join([*parts, "</svg>\n"])


class _Picture:
    def __init__(
        self,
        timeline: Timeline,
        *,
        seconds: float = 0.0,
        true_limit: float | None = None,
        own_scale: bool = False,
    ) -> None:
        self._width = timeline.width
        self._buckets = timeline.buckets
        self._minute = 60.0 / timeline.width
        self._true_limit = true_limit
        bars = max(bucket.attempts.total() for bucket in self._buckets) * self._minute
        limits = [bucket.limit for bucket in self._buckets if bucket.limit]
        near = [] if own_scale else [limit for limit in limits if limit <= _FAR * bars]
        most = max([bars, *near])
        self._step = _round_step(most / 4)
        self.top = self._step * max(1, -(-most // self._step))
        """Attempts a minute at the upper edge."""
        self._limit_top = self.top
        if own_scale and (limits or true_limit):
            highest = max([*limits, true_limit or 0.0])
            self._limit_top = 1.25 * min(highest, _FAR * (true_limit or highest))
        self._slots = max(len(self._buckets), _LEAST_BUCKETS, -int(-seconds // timeline.width))
        self._wide = (_WIDTH - _LEFT - _RIGHT) / self._slots

    def parts(self) -> Iterable[str]:
        """Yield the grid, the bars upon it, and the limits over these."""
        for line in range(round(self.top / self._step) + 1):
            y, label = self._y(line * self._step / self.top), f"{line * self._step:,.0f}"
            yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"></line>'
            yield f'<text x="{_LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{label}</text>'
        yield from self._times()
        for place, bucket in enumerate(self._buckets):
            yield from self._bar(place, bucket)
        for points in self._limits():
            yield f'<polyline class="limit" points="{points}"></polyline>'
        if self._true_limit is not None:
            y = self._y(self._true_limit / self._limit_top)
            yield f'<line class="true-limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"></line>'

    def _y(self, share: float) -> str:
        """Return the height of a share of the chart."""
        return f"{_FLOOR - share * (_FLOOR - _TOP):.1f}"

    def _times(self) -> Iterable[str]:
        seconds = self._slots * self._width
        step = next((step for step in _TIMES if seconds / step <= 8), 86400 * -(-seconds // (8 * 86400)))
        for count in range(int(seconds / step) + 1):
            x = _LEFT + count * step / self._width * self._wide
            label = format_duration(count * step)
            yield f'<text x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{label}</text>'

    def _bar(self, place: int, bucket: Bucket) -> Iterable[str]:
        """Yield a bucket, one kind of attempts on top of the other."""
        x, width, y = _LEFT + place * self._wide, max(self._wide - 0.5, 0.5), float(_FLOOR)
        for kind, label in ATTEMPTS.items():
            count = bucket.attempts[kind]
            if count:
                height = count * self._minute / self.top * (_FLOOR - _TOP)
                y -= height
                title = f"{format_duration(place * self._width)}: {count:,} {label}"
                yield (
                    f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
                    f"<title>{title}</title></rect>"
                )

    def _limits(self) -> Iterable[str]:
        """Yield the limit's points, in a line for each time that it was known and within the chart."""
        for shown, group in groupby(enumerate(self._buckets), lambda item: self._shows(item[1].limit)):
            if shown:
                yield " ".join(
                    f"{_LEFT + edge * self._wide:.1f},{self._y((bucket.limit or 0.0) / self._limit_top)}"
                    for place, bucket in group
                    for edge in (place, place + 1)
                )

    def _shows(self, limit: float | None) -> bool:
        return limit is not None and limit <= self._limit_top


def _round_step(least: float) -> float:
    """Return a round number that is not less: 1, 2, 5, 10, 20 and so on."""
    step = 1.0
    while step < least:
        step *= 2.5 if f"{step:.0f}".startswith("2") else 2
    return step

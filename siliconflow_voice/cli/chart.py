"""The timeline of a report: attempts a minute, and the limit, as a picture in SVG."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from siliconflow_voice.cli.tally import KINDS, Bucket, Kind, Timeline
from siliconflow_voice.cli.words import clock

__all__ = ["LEGEND", "draw"]

LEGEND: dict[Kind, str] = {
    "accepted": "accepted",
    "limited": "429, rate limit",
    "overloaded": "503, overloaded",
    "lost": "no answer",
    "refused": "other errors",
}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 280, 64, 24, 16, 32
_FLOOR = _HEIGHT - _BOTTOM
# A few wide bars would look like much.
_LEAST_BUCKETS = 20
# A limit so many times the highest bar is left out: the bars could not be seen.
_FAR = 3.0
# Seconds between the times that are named.
_TIMES = [
    *(1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 3, 6, 12)),
]


def draw(timeline: Timeline) -> str:
    """Draw it, with what is to be said of it below; there must be an attempt."""
    picture = _Picture(timeline)
    limits = [bucket.limit for bucket in timeline.buckets if bucket.limit is not None]
    words = f"Attempts a minute, in steps of {timeline.width:,.0f} s"
    if any(limit <= picture.top for limit in limits):
        words += "; the line is the limit that was learned or declared"
        words += ", of which a minute's may be used up in a rush" if timeline.width < 60 else ""
    if any(limit > picture.top for limit in limits):
        words += f"; a limit of up to {max(limits):,.0f} is above the picture"
    return f"{''.join(picture.parts())}\n<p class=faint>{words}.</p>\n"


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self._width = timeline.width
        self._buckets = timeline.buckets
        self._minute = 60.0 / timeline.width
        bars = max(bucket.attempts.total() for bucket in self._buckets) * self._minute
        near = [bucket.limit for bucket in self._buckets if bucket.limit and bucket.limit <= _FAR * bars]
        most = max([bars, *near])
        self._step = _round_step(most / 4)
        self.top = self._step * max(1, -(-most // self._step))
        """Attempts a minute at the upper edge."""
        self._high = (_FLOOR - _TOP) / self.top
        self._slots = max(len(self._buckets), _LEAST_BUCKETS)
        self._wide = (_WIDTH - _LEFT - _RIGHT) / self._slots

    def parts(self) -> Iterable[str]:
        """Draw the grid, the bars upon it, and the limit over these."""
        yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="attempts a minute over time">'
        for line in range(round(self.top / self._step) + 1):
            y = _FLOOR - line * self._step * self._high
            yield f'<line class=grid x1={_LEFT} x2={_WIDTH - _RIGHT} y1="{y:.1f}" y2="{y:.1f}"></line>'
            yield f'<text x={_LEFT - 8} y="{y + 4:.1f}" text-anchor=end>{line * self._step:,.0f}</text>'
        yield from self._times()
        for place, bucket in enumerate(self._buckets):
            yield from self._bar(place, bucket)
        for points in self._limits():
            yield f'<polyline class=limit points="{points}"></polyline>'
        yield "</svg>"

    def _times(self) -> Iterable[str]:
        seconds = self._slots * self._width
        step = next((step for step in _TIMES if seconds / step <= 8), 86400 * -(-seconds // (8 * 86400)))
        for count in range(int(seconds / step) + 1):
            x = _LEFT + count * step / self._width * self._wide
            yield f'<text x="{x:.1f}" y={_HEIGHT - 10} text-anchor=middle>{clock(count * step)}</text>'

    def _bar(self, place: int, bucket: Bucket) -> Iterable[str]:
        """Draw a bucket, one kind over the other."""
        x, width, y = _LEFT + place * self._wide, max(self._wide - 0.5, 0.5), float(_FLOOR)
        for kind in KINDS:
            count = bucket.attempts[kind]
            if count:
                height = count * self._minute * self._high
                y -= height
                words = f"{clock(place * self._width)}: {count:,} {LEGEND[kind]}"
                yield (
                    f'<rect class={kind} x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
                    f"<title>{words}</title></rect>"
                )

    def _limits(self) -> Iterable[str]:
        """Give the limit's points, in a line for each time that it was known and within the picture."""
        for seen, group in groupby(enumerate(self._buckets), lambda item: self._sees(item[1].limit)):
            if seen:
                yield " ".join(
                    f"{_LEFT + edge * self._wide:.1f},{_FLOOR - (bucket.limit or 0.0) * self._high:.1f}"
                    for place, bucket in group
                    for edge in (place, place + 1)
                )

    def _sees(self, limit: float | None) -> bool:
        return limit is not None and limit <= self.top


def _round_step(least: float) -> float:
    """Give a round number that is not less, of 1, 2, 5, 10, 20 and so on."""
    step = 1.0
    while step < least:
        step *= 2.5 if f"{step:.0f}".startswith("2") else 2
    return step

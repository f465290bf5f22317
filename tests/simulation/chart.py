"""Draws a run as SVG: requests and refusals a second, and the learned limit against the true one."""

from __future__ import annotations

from xml.sax.saxutils import escape

from attrs import frozen

from simulation.scenarios import Result

WIDTH, HEIGHT = 860, 200
LEFT, TOP, BOTTOM = 50, 34, 26


@frozen
class Panel:
    """One run, and what is known of it."""

    title: str
    result: Result
    true_limit: float | None = None
    """Requests per window."""


def draw(panels: list[Panel]) -> str:
    """Draw the panels below each other, on one scale of time."""
    seconds = max(panel.result.seconds for panel in panels)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT * len(panels)}" '
            'font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT * len(panels)}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {number * HEIGHT})">{_panel(panel, seconds)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, seconds: float) -> str:
    width, height = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM
    columns = 172
    grain = seconds / columns
    accepted, refused = [0] * (columns + 1), [0] * (columns + 1)
    for at, was_refused in panel.result.requests:
        (refused if was_refused else accepted)[int(at / grain)] += 1
    most = max(*(a + b for a, b in zip(accepted, refused, strict=True)), 1)
    bar = width / columns
    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>']
    for column, (good, bad) in enumerate(zip(accepted, refused, strict=True)):
        x = LEFT + column * bar
        tall, red = good / most * height, bad / most * height
        if good:
            parts.append(_rect(x, TOP + height - tall, bar, tall, "#4c78a8"))
        if bad:
            parts.append(_rect(x, TOP + height - tall - red, bar, red, "#e45756"))
    top = max([panel.true_limit or 1.0, *(s.limit for s in panel.result.samples if s.limit is not None)])
    top = min(top, 3 * (panel.true_limit or top))

    def y(limit: float) -> float:
        return TOP + height - min(limit / top, 1) * height

    if panel.true_limit is not None:
        parts.append(
            f'<path d="M{LEFT} {y(panel.true_limit):.1f}h{width}" stroke="#333333" stroke-dasharray="4 3"/>'
        )
    points = [
        f"{LEFT + sample.at / seconds * width:.1f},{y(sample.limit):.1f}"
        for sample in panel.result.samples
        if sample.limit is not None
    ]
    if points:
        parts.append(
            f'<polyline fill="none" stroke="#f58518" stroke-width="1.6" points="{" ".join(points)}"/>'
        )
    base = TOP + height
    parts.append(f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{base}" y2="{base}" stroke="#333333"/>')
    parts.extend(
        f'<text x="{LEFT + at / seconds * width:.1f}" y="{base + 16}" text-anchor="middle">{at} s</text>'
        for at in range(0, int(seconds) + 1, 60)
    )
    parts.append(f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">{most / grain:.1f}/s</text>')
    return "".join(parts)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'

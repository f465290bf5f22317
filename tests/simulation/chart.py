"""Draws runs as SVG: what was sent and refused over time, and the learned limit against the true one."""

from __future__ import annotations

from attrs import frozen

from siliconflow_voice.cli import chart
from siliconflow_voice.cli.stats import Timeline
from simulation.scenarios import Result


@frozen
class Panel:
    """One run, and what is known of it."""

    title: str
    result: Result
    true_limit: float | None = None
    """Requests a minute."""


def draw(panels: list[Panel]) -> str:
    """Return the panels below each other, on one scale of time."""
    return chart.document(
        [chart.Panel(panel.title, _timeline(panel.result), panel.true_limit) for panel in panels]
    )


def _timeline(result: Result) -> Timeline:
    timeline = Timeline()
    for sample in result.samples:
        timeline.at(sample.at).limit = sample.limit
    for at, was_refused in result.requests:
        timeline.at(at).attempts["rate_limited" if was_refused else "accepted"] += 1
    return timeline

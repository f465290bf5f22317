from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.cli.chart import Panel, caption, document, draw
from siliconflow_voice.cli.stats import ATTEMPTS, Timeline

FLOOR, TOP, LEFT, RIGHT = 248, 16, 64, 936


def timeline_of(*counts: int, limit: float | None = None, every: float = 1.0) -> Timeline:
    """Give so many accepted attempts in each stretch of time."""
    timeline = Timeline()
    for place, count in enumerate(counts):
        bucket = timeline.at(place * every)
        bucket.attempts["accepted"] += count
        bucket.limit = limit
    return timeline


def bars(svg: str) -> list[tuple[float, float, float, float]]:
    """Give x, y, width and height of each."""
    found = re.findall(r'<rect class="\w+" x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)">', svg)
    return [(float(x), float(y), float(width), float(height)) for x, y, width, height in found]


def numbers(svg: str) -> list[str]:
    """Give what stands beside the grid, from below."""
    return re.findall(r'text-anchor="end">(.+?)<', svg)


def times(svg: str) -> list[str]:
    return re.findall(r'text-anchor="middle">(.+?)<', svg)


def lines(svg: str) -> list[str]:
    return re.findall(r'<polyline class="limit" points="(.+?)">', svg)


def test_a_bar_is_as_high_as_its_attempts_a_minute() -> None:
    svg = draw(timeline_of(5, 10))
    assert numbers(svg) == ["0", "200", "400", "600"]
    assert [round(height / (FLOOR - TOP), 2) for *_, height in bars(svg)] == [0.5, 1.0]


def test_kinds_stand_one_upon_the_other() -> None:
    timeline = Timeline()
    for kind in ATTEMPTS:
        timeline.at(0.0).attempts[kind] = 2
    tops = [y for _, y, _, _ in bars(draw(timeline))]
    bottoms = [y + height for _, y, _, height in bars(draw(timeline))]
    assert bottoms == pytest.approx([FLOOR, *tops[:-1]], abs=0.11)


def test_a_bar_says_what_it_is() -> None:
    timeline = timeline_of(0, 0, 1234)
    assert "<title>0:00:02: 1,234 accepted</title>" in draw(timeline)


def test_one_bucket_is_no_wall() -> None:
    ((x, _, width, _),) = bars(draw(timeline_of(40)))
    assert (x, width < 50) == (LEFT, True)


@pytest.mark.parametrize(
    ("counts", "every", "labels"),
    [
        ([1], 1.0, ["0:00:00", "0:00:05", "0:00:10", "0:00:15", "0:00:20"]),
        ([1] * 60, 1.0, [f"0:00:{second:02}" for second in range(0, 60, 10)] + ["0:01:00"]),
        ([1] * 60, 60.0, [f"0:{minute:02}:00" for minute in range(0, 60, 10)]),
        ([1] * 200, 3600.0, [f"{hour}:00:00" for hour in range(0, 200, 48)]),
    ],
)
def test_round_times_are_named(counts: list[int], every: float, labels: list[str]) -> None:
    assert times(draw(timeline_of(*counts, every=every))) == labels


def test_large_numbers_are_written_out() -> None:
    assert numbers(draw(timeline_of(60_000))) == ["0", "1,000,000", "2,000,000", "3,000,000", "4,000,000"]


def test_a_limit_is_a_line() -> None:
    timeline = timeline_of(10, 10, limit=300.0)
    svg = draw(timeline)
    assert lines(svg) == ["64.0,132.0 107.6,132.0 107.6,132.0 151.2,132.0"]
    assert caption(timeline) == (
        "Attempts a minute, in steps of 1 s; the line is the rate limit, learned or declared, "
        "whose minute may be used up in one burst."
    )


def test_minutes_hide_no_rush() -> None:
    timeline = timeline_of(*[10] * 240, limit=10.0, every=60.0)
    assert caption(timeline).endswith("in steps of 64 s; the line is the rate limit, learned or declared.")


def test_a_limit_somewhat_above_the_bars_is_in_the_picture() -> None:
    svg = draw(timeline_of(10, limit=1500.0))
    assert (numbers(svg)[-1], len(lines(svg))) == ("1,500", 1)


def test_a_limit_far_above_the_bars_does_not_flatten_them() -> None:
    timeline = timeline_of(10, limit=20_000.0)
    svg = draw(timeline)
    assert (numbers(svg)[-1], lines(svg)) == ("600", [])
    assert caption(timeline) == (
        "Attempts a minute, in steps of 1 s; a limit of up to 20,000 is above the chart."
    )


def test_a_limit_that_comes_and_goes_is_several_lines() -> None:
    timeline = timeline_of(10, 10, 10, 10, 10)
    for place, limit in enumerate([300.0, None, 200.0, 90_000.0, 100.0]):
        timeline.buckets[place].limit = limit
    svg = draw(timeline)
    assert len(lines(svg)) == 3
    assert caption(timeline).endswith("burst; a limit of up to 90,000 is above the chart.")


def test_without_a_limit_there_is_no_line() -> None:
    timeline = timeline_of(10)
    assert (lines(draw(timeline)), caption(timeline)) == ([], "Attempts a minute, in steps of 1 s.")


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 10_000)), min_size=1, max_size=40),
    st.one_of(st.none(), st.floats(0.0, 1e6)),
)
def test_nothing_is_drawn_outside_the_picture(moments: list[tuple[float, int]], limit: float | None) -> None:
    timeline = Timeline()
    for moment, count in moments:
        bucket = timeline.at(moment)
        bucket.attempts["accepted"] += count
        bucket.limit = limit
    svg = draw(timeline)
    for x, y, width, height in bars(svg):
        assert (LEFT - 0.1 <= x <= x + width <= RIGHT + 0.6, TOP - 0.2 <= y <= y + height <= FLOOR + 0.2) == (
            True,
            True,
        )
    points = [point.split(",") for line in lines(svg) for point in line.split(" ")]
    assert all(TOP - 0.1 <= float(y) <= FLOOR for _, y in points)
    assert 2 <= len(numbers(svg)) <= 6
    assert 1 <= len(times(svg)) <= 9


def panels(svg: str) -> list[ET.Element]:
    """Return the charts of a document; parsing it shows that it is well-formed."""
    root = ET.fromstring(svg)  # noqa: S314 - ours
    return root.findall("{http://www.w3.org/2000/svg}g")


def limit_of(panel: ET.Element, name: str) -> list[float]:
    """Return the height of a limit of a chart, if it is there."""
    found = [element for element in panel.iter() if element.get("class") == name]
    points = [element.get("points") or f"0,{element.get('y1')}" for element in found]
    return [float(point.split(" ")[0].split(",")[1]) for point in points]


def test_a_document_has_a_chart_for_each_panel_with_its_title() -> None:
    timeline = timeline_of(1, 2)
    charts = panels(document([Panel("60 & <more>", timeline), Panel("second", timeline)]))
    assert [chart[0].text for chart in charts] == ["60 & <more>", "second"]
    assert [chart.get("transform") for chart in charts] == ["translate(0 24)", "translate(0 328)"]


def test_charts_of_a_document_have_one_scale_of_time() -> None:
    charts = document([Panel("short", timeline_of(*[1] * 10)), Panel("long", timeline_of(*[1] * 100))])
    short, long = (times(ET.tostring(chart, "unicode")) for chart in panels(charts))
    assert short == long != []


@pytest.mark.parametrize(
    ("learned", "true", "heights"),
    [
        (60.0, 60.0, ([62.4], [62.4])),
        (30.0, 60.0, ([155.2], [62.4])),
        (None, 60.0, ([], [62.4])),
        (60.0, None, ([62.4], [])),
        (None, None, ([], [])),
        (6000.0, 60.0, ([], [186.1])),
    ],
)
def test_a_learned_limit_can_be_compared_with_the_true_one_beneath_a_burst(
    learned: float | None, true: float | None, heights: tuple[list[float], list[float]]
) -> None:
    (chart,) = panels(document([Panel("burst", timeline_of(1000, limit=learned), true)]))
    assert (limit_of(chart, "limit"), limit_of(chart, "true-limit")) == heights

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import define, field

from siliconflow_voice.cli.exits import Exit
from siliconflow_voice.cli.outputs import FailedRow
from siliconflow_voice.cli.report import write_report
from siliconflow_voice.cli.stats import ATTEMPTS, Stats
from siliconflow_voice.cli.summary import Summary

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
VOID = {"meta"}
DONE = Exit(0)


@define
class Element:
    name: str
    attributes: dict[str, str | None]
    text: str = ""


@define(eq=False)
class Page(HTMLParser):
    """Reads a page, and makes sure that all that is opened is closed."""

    elements: list[Element] = field(factory=list)
    _open: list[Element] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data

    def close(self) -> None:
        super().close()
        assert self._open == []

    def texts(self, name: str) -> list[str]:
        return [element.text for element in self.elements if element.name == name]

    def of_class(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.attributes.get("class") == name]


def tally_of(*buckets: int) -> Stats:
    """Give a run with so many attempts of each kind in each second."""
    stats = Stats(100)
    for second, count in enumerate(buckets):
        bucket = stats.timeline.at(float(second))
        for kind in ATTEMPTS:
            bucket.attempts[kind] = stats.attempts[kind] = count
    return stats


def page_of(
    folder: Path,
    stats: Stats,
    *failures: FailedRow,
    ended: Exit = DONE,
    name: str = "voices.csv",
    address: str = "https://api.siliconflow.cn/v1",
) -> Page:
    path = folder / "report.html"
    summary = Summary(Path(name), address, Path(f"{name}.journal"), None, "", ended, stats)
    write_report(path, summary, failures)
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def failures(count: int) -> list[FailedRow]:
    return [FailedRow(line, EVIL, EVIL, EVIL) for line in range(2 + count, 2, -1)]


def test_it_says_what_the_run_came_to(tmp_path: Path) -> None:
    stats = tally_of(3)
    stats.statuses.update({"uploaded": 1234, "failed": 5})
    stats.total = 2000
    stats.sent_bytes = 5_000_000
    page = page_of(tmp_path, stats)
    figures = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert figures | {"time": ""} == {
        "uploaded": "1,234",
        "recovered": "0",
        "skipped": "0",
        "failed": "5",
        "left": "761",
        "audio": "5.0 MB",
        "time": "",
    }
    assert page.texts("title")[0] == "voices.csv: upload report"


def test_it_counts_each_kind_of_attempts(tmp_path: Path) -> None:
    page = page_of(tmp_path, tally_of(3))
    assert page.texts("li") == [f"{label}: 3" for label in ATTEMPTS.values()]


def test_why_it_was_stopped_is_told(tmp_path: Path) -> None:
    page = page_of(tmp_path, tally_of(3), ended=Exit(3, EVIL))
    assert [element.text for element in page.of_class("bad")] == [f"Stopped early: {EVIL}"]


@pytest.mark.parametrize("ended", [Exit(0), Exit(3, EVIL)])
def test_it_has_nothing_that_is_run_or_fetched(tmp_path: Path, ended: Exit) -> None:
    page = page_of(tmp_path, tally_of(3, 4), *failures(3), ended=ended, name=EVIL, address=EVIL)
    names = {element.name for element in page.elements}
    assert names & {"script", "img", "link", "iframe", "object", "a", "base", "form"} == set()
    attributes = {name for element in page.elements for name in element.attributes}
    assert {name for name in attributes if name.startswith("on") or name in {"src", "href", "style"}} == set()
    assert ("url(" in page.texts("style")[0], "@import" in page.texts("style")[0]) == (False, False)


def test_each_colour_that_is_used_is_one_that_there_is(tmp_path: Path) -> None:
    (style,) = page_of(tmp_path, tally_of(3)).texts("style")
    assert set(re.findall(r"var\(--([\w-]+)\)", style)) <= set(re.findall(r"--([\w-]+):", style))
    assert {*ATTEMPTS, "limit", "true-limit"} <= set(re.findall(r"\.([\w-]+) {", style))


def test_a_browser_is_told_to_run_and_fetch_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, tally_of(3))
    (policy,) = [
        element.attributes["content"] for element in page.elements if "http-equiv" in element.attributes
    ]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_names_and_errors_are_text(tmp_path: Path) -> None:
    page = page_of(tmp_path, tally_of(3), *failures(1), name=EVIL.replace("/", "|"))
    assert page.texts("td") == ["3", EVIL, EVIL, EVIL]
    assert page.texts("h1") == [EVIL.replace("/", "|")]


def test_control_characters_are_shown(tmp_path: Path) -> None:
    page = page_of(tmp_path, tally_of(3), name="\udcff\x1b\u202e.csv")
    assert page.texts("h1") == [r"\udcff\x1b\u202e.csv"]


def test_failures_are_in_the_order_of_their_lines(tmp_path: Path) -> None:
    assert page_of(tmp_path, tally_of(3), *failures(3)).texts("td")[::4] == ["3", "4", "5"]


def test_of_many_failures_it_says_that_it_has_the_first(tmp_path: Path) -> None:
    stats = tally_of(3)
    stats.statuses["failed"] = 1000
    page = page_of(tmp_path, stats, *failures(200))
    assert (page.texts("h2")[1], len(page.texts("td"))) == ("Failures, the first 200 of 1,000", 800)


def test_of_few_failures_it_has_all(tmp_path: Path) -> None:
    stats = tally_of(3)
    stats.statuses["failed"] = 2
    assert page_of(tmp_path, stats, *failures(2)).texts("h2") == ["Attempts", "Failures"]


def test_without_failures_there_is_no_table(tmp_path: Path) -> None:
    assert page_of(tmp_path, tally_of(3)).texts("h2") == ["Attempts"]


def test_without_attempts_there_is_no_picture(tmp_path: Path) -> None:
    stats = Stats(100)
    stats.sample(in_flight=0, limit=None)
    page = page_of(tmp_path, stats)
    assert ("No upload was attempted." in page.texts("p"), page.texts("svg")) == (True, [])


def test_without_anything_at_all_it_is_a_page(tmp_path: Path) -> None:
    assert "No upload was attempted." in page_of(tmp_path, Stats(0)).texts("p")


def test_with_attempts_there_is_a_picture_of_them(tmp_path: Path) -> None:
    page = page_of(tmp_path, tally_of(3))
    labels = [element.attributes.get("aria-label") for element in page.elements]
    assert "attempts a minute over time" in labels

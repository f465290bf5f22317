from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shutil
from collections.abc import Awaitable
from pathlib import Path
from types import CodeType
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from attrs import frozen
from support import recordings

from siliconflow_voice.emulator import Emulator

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]
# The names that the examples use for the bundled recordings.
RECORDINGS = {
    "narrator.mp3": "patience-zh.mp3",
    "dream.opus": "dream-zh.opus",
    "shells.mp3": "shells-en.mp3",
}
_BLOCK = re.compile(
    r"^(?P<not_run><!-- not run: \S[^\n]* -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@frozen
class Example:
    """A block of code on a page."""

    page: Path
    line: int
    source: str
    not_run: bool

    @property
    def is_test_module(self) -> bool:
        return "def test_" in self.source

    def compiled(self) -> CodeType:
        # Moved to where it stands, so that a traceback leads to the page.
        source = "\n" * self.line + self.source
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return cast("CodeType", compile(source, str(self.page), "exec", flags=flags, dont_inherit=True))


def pages() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(page for page in found if "```py" in page.read_text("utf-8"))


def examples(page: Path) -> list[Example]:
    text = page.read_text("utf-8")
    return [
        Example(page, text.count("\n", 0, block.start("code")), block["code"], bool(block["not_run"]))
        for block in _BLOCK.finditer(text)
    ]


def name(page: object) -> str:
    assert isinstance(page, Path)
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, recording in RECORDINGS.items():
        shutil.copy(recordings.FOLDER / recording, tmp_path / name)
    return tmp_path


@pytest.fixture(autouse=True)
def no_sleep_before_the_list_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siliconflow_voice.uploads.uploader._SETTLING", 0)


def test_the_pages_have_examples() -> None:
    names = {name(page) for page in pages()}
    assert {*READMES, "docs/tutorial.md", "docs/zh/tutorial.md"} <= names


def test_both_readmes_have_the_same_parts_in_the_same_order() -> None:
    # Headings, code, pictures, rows of tables and items of lists: all but the sentences.
    parts = re.compile(r"^(#+ |```\w*$|!\[|\| |- \*\*)", re.MULTILINE)
    english, chinese = (parts.findall((ROOT / name).read_text("utf-8")) for name in READMES)
    assert chinese == english


def handler_of(page: str) -> str:
    """Return the syntax of a page's handler for aiohttp, without the texts that callers are answered."""
    [source] = [example.source for example in examples(ROOT / page) if "\napp = web" in example.source]
    tree = ast.parse(source)
    for keyword in ast.walk(tree):
        if isinstance(keyword, ast.keyword) and isinstance(keyword.value, ast.Constant):
            keyword.value = ast.Constant("…")
    return ast.unparse(tree)


@pytest.mark.parametrize("readme", READMES)
def test_the_handler_of_a_readme_is_that_of_the_page_on_services(readme: str) -> None:
    assert handler_of(readme) == handler_of("docs/howto/service.md")


# What people look for, and the page that is about it.
LOOKED_FOR = {
    "429": "throttling.md",
    "base64": "tutorial.md",
    "Celery": "howto/processes.md",
    "deadline": "howto/service.md",
    "event loop": "howto/processes.md",
    "FastAPI": "howto/service.md",
    "fork": "howto/processes.md",
    "graceful shutdown": "howto/service.md",
    "idempotency key": "failures.md",
    "logging": "howto/observing.md",
    "metrics": "howto/observing.md",
    "mock": "howto/testing.md",
    "proxy": "howto/session.md",
    "pytest": "howto/testing.md",
    "rate limit": "throttling.md",
    "request id": "howto/observing.md",
    "resume": "howto/batch.md",
    "retry": "failures.md",
    "Retry-After": "failures.md",
    "S3": "howto/streams.md",
    "Sentry": "howto/observing.md",
    "SIGTERM": "howto/service.md",
    "SSL": "howto/session.md",
    "thread": "howto/processes.md",
    "timeout": "howto/service.md",
    "trace id": "howto/observing.md",
    "upgrade": "howto/upgrading.md",
}


def glossary() -> dict[str, list[str]]:
    """Return the targets of the links behind each word of the glossary."""
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    entries = re.findall(r"^((?:\S.*\n)+)((?: {4}.*\n)+)", text.partition("{glossary}\n")[2], re.MULTILINE)
    return {
        word: re.findall(r"\]\(([^)]+)\)", meaning)
        for words, meaning in entries
        for word in words.splitlines()
    }


@pytest.mark.parametrize(("word", "page"), LOOKED_FOR.items())
def test_a_word_that_is_looked_for_leads_to_its_page(word: str, page: str) -> None:
    assert page in {target.partition("#")[0] for target in glossary()[word]}


def test_every_word_of_the_glossary_leads_to_a_heading_that_is_there() -> None:
    for word, targets in glossary().items():
        assert targets, word
        for target in targets:
            page, _, anchor = target.partition("#")
            headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor.replace("on-ambiguous", "on_ambiguous") in {"", *anchors}, (word, target)


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=name)
def test_a_relative_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_example_is_found_and_compiles(page: Path) -> None:
    found = examples(page)
    assert len(found) == page.read_text("utf-8").count("```py")
    for example in found:
        example.compiled()


@pytest.mark.parametrize("page", pages(), ids=name)
async def test_the_examples_of_a_page_run_one_after_the_other(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    async with Emulator() as emulator:
        monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test")
        monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)
        names: dict[str, Any] = {"__name__": "__main__"}
        for example in examples(page):
            if not example.not_run:
                await run(example.compiled(), names)
            app = names.pop("app", None)
            if isinstance(app, web.Application):
                assert await post_a_recording(app) == emulator.voices[-1].uri
                assert emulator.voices[-1].size == len(recordings.SPEECH)


async def run(code: CodeType, names: dict[str, Any]) -> None:
    if code.co_flags & inspect.CO_COROUTINE:
        await cast("Awaitable[None]", eval(code, names))  # noqa: S307 - our own documentation
    else:
        # In a thread, where there is no running loop: a whole program has `asyncio.run` in it.
        await asyncio.to_thread(exec, code, names)


async def post_a_recording(app: web.Application) -> str:
    """Use a service that an example has defined; give the uri that it answers."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        form = aiohttp.FormData({"name": "narrator", "text": recordings.TEXT})
        form.add_field("recording", recordings.SPEECH, filename="a.mp3", content_type="audio/mpeg")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{host}:{port}/voices", data=form) as response,
        ):
            assert response.status == 201
            return cast("str", (await response.json())["uri"])
    finally:
        await runner.cleanup()


def test_the_tests_that_a_page_shows_pass(pytester: pytest.Pytester, folder: Path) -> None:
    page = ROOT / "docs" / "howto" / "testing.md"
    modules = [example.source for example in examples(page) if example.is_test_module]
    assert modules
    for recording in RECORDINGS:
        shutil.copy(folder / recording, pytester.path)
    services = examples(ROOT / "docs" / "howto" / "service.md")
    [service] = [example.source for example in services if "\napp = FastAPI" in example.source]
    pytester.makepyfile(service=service)
    pytester.syspathinsert()
    pytester.makeconftest('pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]')
    pytester.makepyfile(**{f"test_{number}": module for number, module in enumerate(modules)})
    result = pytester.runpytest_inprocess(
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    )
    result.assert_outcomes(passed=len(modules))

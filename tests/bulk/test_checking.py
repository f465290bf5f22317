from __future__ import annotations

import asyncio
import json
import tracemalloc
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from support.manifests import HEADER, csv_file, json_file
from support.recordings import MP3, SPEECH, WAV

from siliconflow_voice import (
    AudioLimits,
    ConfigurationError,
    InvalidUploadError,
    SiliconFlowError,
    VoiceClient,
    upload_many,
)
from siliconflow_voice.bulk import checking
from siliconflow_voice.bulk.checking import CheckReport
from siliconflow_voice.bulk.manifest import Manifest

CONVERT_IT = "convert it first, for example with `ffmpeg -i FILE out.wav`"


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(SPEECH)
    (tmp_path / "b.wav").write_bytes(WAV.read_bytes())


CONVERT = "convert it first, for example with `ffmpeg -i FILE out.wav`"


async def problems(path: Path | Manifest, **options: Any) -> list[str]:
    """Return what is found, in its order, and see that it was counted."""
    manifest = Manifest(path) if isinstance(path, Path) else path
    check = manifest.check(**options)
    found = [problem async for problem in check]
    assert check.report.problems == len(found)
    return [str(problem) for problem in found]


async def report(path: Path) -> CheckReport:
    check = Manifest(path).check()
    assert check.report == CheckReport()
    async for _ in check:
        pass
    return check.report


async def test_what_is_right_is_added_up(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "a.mp3,a,text,",
        "b.wav,b,text,multipart",
        "a.mp3,c,text,base64",
        header=f"{HEADER},encoding",
    )
    mp3, wav = len(SPEECH), WAV.stat().st_size
    checked = await report(path)
    assert checked == CheckReport(
        rows=3,
        wrong=0,
        problems=0,
        audio_bytes=2 * mp3 + wav,
        body_bytes=mp3 + wav + -(-mp3 // 3) * 4,
        audio_seconds=checked.audio_seconds,
        unmeasured=0,
    )
    assert checked.audio_seconds == pytest.approx(5.6 + 3.6 + 5.6, abs=0.1)


async def test_audio_that_can_not_be_measured_is_counted(tmp_path: Path) -> None:
    (tmp_path / "c.bin").write_bytes(b"words")
    checked = await report(csv_file(tmp_path, "c.bin,a,text", "is-not-there,b,text"))
    assert checked == CheckReport(rows=2, wrong=2, problems=2, audio_bytes=5, body_bytes=5, unmeasured=1)


async def test_a_manifest_of_nothing_comes_to_nothing(tmp_path: Path) -> None:
    assert await report(csv_file(tmp_path)) == CheckReport()


async def test_all_that_is_wrong_with_a_row_is_told(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "is-not-there,a b,,\x7f,gzip", header=f"{HEADER},model,encoding")
    assert await problems(path) == [
        f"line 2, column audio: {tmp_path / 'is-not-there'} can't be read: no such file or directory",
        "line 2, column custom_name: 'a b' does not match [A-Za-z0-9_-]{1,64}: it has ' '",
        "line 2, column text: is empty; it must be what is spoken in the audio, word for word",
        "line 2, column model: has the control character '\\x7f'",
        "line 2, column encoding: 'gzip' is not one of multipart, base64",
    ]


async def test_all_that_is_wrong_with_a_recording_is_told(tmp_path: Path) -> None:
    name = tmp_path / "b.wav"
    limits = AudioLimits(formats=frozenset({"mp3"}), max_bytes=10, max_seconds=1)
    assert await problems(csv_file(tmp_path, "b.wav,a,text"), limits=limits) == [
        f"line 2, column audio: {name} is {name.stat().st_size:,} bytes; the limit is 10",
        f"line 2, column audio: {name} is wav; supported: mp3; {CONVERT_IT.replace('out.wav', 'out.mp3')}",
        f"line 2, column audio: {name} lasts 3.6 s; the limit is 1 s",
    ]


async def test_an_empty_recording_is_only_that(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    path = csv_file(tmp_path, "empty.mp3,a,text")
    told = [f"line 2, column audio: {tmp_path / 'empty.mp3'} is empty"]
    assert (await problems(path), await problems(path, limits=None)) == (told, told)


async def test_without_limits_only_what_could_not_be_sent_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "c.bin").write_bytes(b"words")
    path = csv_file(tmp_path, "c.bin,a b,", "is-not-there,c,text")
    assert [problem.partition(":")[0] for problem in await problems(path, limits=None)] == [
        "line 3, column audio"
    ]


async def test_names_may_have_another_rule(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,旁白,text", "a.mp3,narrator,text")
    assert await problems(path, limits=AudioLimits(name_pattern="旁白")) == [
        "line 3, column custom_name: 'narrator' does not match 旁白: it has 8 characters"
    ]


async def test_a_row_that_is_wrong_as_a_whole_is_told_once(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3", 'a.mp3,a,"text')
    assert await problems(path) == [
        "line 2 has 1 cell, and the header has 3: the columns custom_name, text are missing",
        "line 3 has a quote that is never closed",
    ]


async def test_values_that_are_no_texts_are_each_told_once(tmp_path: Path) -> None:
    path = json_file(tmp_path, '{"audio": "", "text": 5, "model": [], "encoding": "gzip"}')
    assert await problems(path) == [
        "line 1, column audio: is empty; it must be the path of a recording",
        "line 1, column custom_name: is missing",
        "line 1, column text: must be text, not a number (5)",
        "line 1, column model: must be text, not a list ([])",
        "line 1, column encoding: 'gzip' is not one of multipart, base64",
    ]


async def test_what_is_outside_is_told(tmp_path: Path) -> None:
    (told,) = await problems(csv_file(tmp_path, f"{MP3},a,text"))
    assert told == (
        f"line 2, column audio: {MP3} leads out of the folder {tmp_path}; allow_outside permits that"
    )


async def test_the_same_upload_is_told_for_every_row_but_the_first(tmp_path: Path) -> None:
    (tmp_path / "copy.mp3").write_bytes(SPEECH)
    path = csv_file(tmp_path, "a.mp3,a,text", "b.wav,b,text", "copy.mp3,a,text", "a.mp3,a,text")
    assert await problems(path) == [
        "line 4, column audio: the same upload as line 2",
        "line 5, column audio: the same upload as line 2",
    ]


@pytest.mark.parametrize("second", ["a.mp3,a,another text,m", "b.wav,a,text,m", "is-not-there,a,text,m"])
async def test_a_name_for_two_voices_is_told(tmp_path: Path, second: str) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text,m", second, header=f"{HEADER},model")
    assert (await problems(path))[-1] == "line 3, column custom_name: also on line 2"


@pytest.mark.parametrize("second", ["a.mp3,a,text,another", "a.mp3,b,text,m"])
async def test_the_same_recording_may_make_voices_of_other_names_and_models(
    tmp_path: Path, second: str
) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text,m", second, header=f"{HEADER},model")
    assert await problems(path) == []


async def test_the_same_upload_is_no_second_voice_of_its_name(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,one", "a.mp3,a,two", "a.mp3,a,one", "a.mp3,a,two")
    assert await problems(path) == [
        "line 3, column custom_name: also on line 2",
        "line 4, column audio: the same upload as line 2",
        "line 5, column audio: the same upload as line 3",
    ]


async def test_rows_without_a_name_do_not_share_one(tmp_path: Path) -> None:
    told = await problems(csv_file(tmp_path, "a.mp3,,one", "b.wav,,two"))
    assert told == [f"line {line}, column custom_name: is empty" for line in (2, 3)]


async def test_problems_come_in_the_order_of_the_rows_and_doubles_last(tmp_path: Path) -> None:
    count = 3 * checking._ROWS_AT_ONCE
    rows = ["a.mp3,a,text" if number % 2 else f"is-not-there,a{number},text" for number in range(count)]
    told = [problem async for problem in Manifest(csv_file(tmp_path, *rows)).check()]
    missing = [line for line in range(2, count + 2) if not line % 2]
    double = [line for line in range(2, count + 2) if line % 2][1:]
    assert [problem.line for problem in told] == missing + double
    assert {problem.reason for problem in told[len(missing) :]} == {"the same upload as line 3"}


async def test_rows_in_another_format_and_of_another_encoding_are_checked_too(tmp_path: Path) -> None:
    row = {"audio": "a.mp3", "custom_name": "a", "text": "慢"}
    path = tmp_path / "voices.jsonl"
    path.write_bytes(json.dumps(row, ensure_ascii=False).encode("gb18030"))
    assert await problems(Manifest(path, encoding="gb18030")) == []
    (told,) = await problems(path)
    assert told.startswith("line 1 is not utf-8: save the table as UTF-8")


async def test_a_file_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidUploadError, match="can't be read: no such file or directory"):
        await report(tmp_path / "is-not-there.csv")


async def test_limits_of_another_kind_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="limits must be AudioLimits or None, got dict"):
        Manifest("is-not-there.csv").check(limits={"max_bytes": 10})  # type: ignore[arg-type] # on purpose


async def test_each_rule_has_a_word_that_stays(tmp_path: Path) -> None:
    rows = [
        *("a.mp3", "is-not-there,b,text,", "a.mp3,bad name,,", "https://example.com/a.mp3,c,text,zip"),
        *(f"{MP3},d,text,", ",e,\x00,", "a.mp3,f,text,", "a.mp3,f,text,", "a.mp3,f,other,"),
    ]
    path = csv_file(tmp_path, *rows, header=f"{HEADER},encoding")
    assert [(problem.line, problem.field, problem.rule) async for problem in Manifest(path).check()] == [
        (2, "", "row"),
        (3, "audio", "source"),
        (4, "custom_name", "name"),
        (4, "text", "empty"),
        (5, "audio", "host"),
        (5, "encoding", "choice"),
        (6, "audio", "outside"),
        (7, "audio", "empty"),
        (7, "text", "text"),
        (9, "audio", "duplicate"),
        (10, "custom_name", "name_taken"),
    ]
    path = json_file(tmp_path, '{"audio": "a.mp3", "custom_name": 5, "encoding": 7}')
    assert [problem.rule async for problem in Manifest(path).check()] == ["type", "missing", "type"]


async def test_the_error_of_a_wrong_row_has_the_word_of_its_rule(tmp_path: Path, client: VoiceClient) -> None:
    path = csv_file(tmp_path, "a.mp3", ",a,text", f"{MP3},b,text")
    outcomes = [outcome async for outcome in upload_many(client, Manifest(path))]
    errors = [outcome.error for outcome in sorted(outcomes, key=lambda outcome: outcome.index)]
    assert [(error.field, error.rule) for error in errors if isinstance(error, InvalidUploadError)] == [
        ("manifest", "row"),
        ("audio", "empty"),
        ("audio", "outside"),
    ]


async def test_how_long_the_upload_takes_is_estimated_from_the_rows_that_are_not_wrong(
    tmp_path: Path,
) -> None:
    rows = [f"a.mp3,a{number},text" for number in range(90)]
    checked = await report(csv_file(tmp_path, *rows, "is-not-there,b,", "a.mp3,a0,text"))
    assert (checked.rows, checked.wrong, checked.problems) == (92, 1, 3)
    assert checked.upload_seconds(60) == 91.0


async def test_the_totals_grow_as_it_goes_on_and_begin_anew_the_next_time(tmp_path: Path) -> None:
    count = 3 * checking._ROWS_AT_ONCE
    check = Manifest(csv_file(tmp_path, *["is-not-there,a,text"] * count)).check()
    for _ in range(2):
        async with aclosing(aiter(check)) as problems:
            await anext(problems)
            assert (check.report.rows, check.report.problems) == (1, 1)
    found = [problem async for problem in check]
    assert (check.report.rows, check.report.wrong, check.report.problems) == (count, count, len(found))


async def test_a_full_disk_is_an_error_of_the_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_CREATE", f"PRAGMA max_page_count = 4; {checking._CREATE}")
    rows = [f"a.mp3,a{number},text" for number in range(1000)]
    with pytest.raises(SiliconFlowError, match=r"can't be compared in a temporary file: .* full"):
        await report(csv_file(tmp_path, *rows))


async def test_a_check_that_is_cancelled_ends(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text"] * 2000, ",a,text")
    check = asyncio.create_task(report(path))
    await asyncio.sleep(0)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check


async def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    async def peak(rows: int) -> int:
        path = csv_file(tmp_path, *(f",name-{number},text" for number in range(rows)))
        tracemalloc.start()
        try:
            await report(path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert await peak(4000) - await peak(1000) < 200_000

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.recordings import MP3, SPEECH, TEXT, WAV

from siliconflow_voice import AudioLimits, ConfigurationError, UploadProblem, VoiceUpload, check_upload


async def found(**changes: Any) -> list[str]:
    fields: dict[str, Any] = {"audio": SPEECH, "custom_name": "narrator", "text": TEXT} | changes
    return [str(problem) for problem in await check_upload(VoiceUpload(**fields))]


async def test_nothing_is_wrong_with_a_good_upload() -> None:
    assert await found() == []
    assert await found(audio=MP3) == []
    assert await found(audio=WAV, encoding="base64") == []


async def test_all_that_is_wrong_is_found() -> None:
    assert await found(audio="is-not-there.mp3", custom_name="a b", text=" ", model="", encoding="zip") == [
        "audio: is-not-there.mp3 can't be read: no such file or directory",
        "custom_name: 'a b' does not match [A-Za-z0-9_-]{1,64}: it has ' '",
        "text: is empty; it must be what is spoken in the audio, word for word",
        "model: is empty",
        "encoding: 'zip' is not one of multipart, base64",
    ]


async def test_it_has_the_field_the_rule_and_no_line() -> None:
    (problem,) = await check_upload(VoiceUpload(b"fLaC" + bytes(99), "narrator", TEXT))
    assert (problem.field, problem.rule, problem.line) == ("audio", "format", None)
    assert str(problem) == f"audio: {problem.reason}"


async def test_the_limits_are_those_that_are_passed() -> None:
    upload = VoiceUpload(WAV, "narrator", TEXT)
    problems = await check_upload(upload, limits=AudioLimits(max_bytes=10, max_seconds=1, formats=None))
    assert [problem.rule for problem in problems] == ["too_large", "too_long"]
    assert await check_upload(VoiceUpload(b"words", "a b", ""), limits=None) == ()


async def test_what_is_nothing_that_can_be_read_is_a_problem_too() -> None:
    assert [problem.partition(",")[0] for problem in await found(audio=5)] == ["audio: expected a path"]


async def test_a_file_object_can_be_uploaded_afterwards() -> None:
    file = io.BytesIO(SPEECH)
    assert await found(audio=file) == []
    assert file.tell() == 0


async def test_a_stream_is_checked_by_its_beginning() -> None:
    async def stream(data: bytes) -> AsyncIterator[bytes]:
        yield data

    assert await found(audio=stream(SPEECH)) == []
    (problem,) = await found(audio=stream(b"fLaC" + bytes(99)))
    assert "flac" in problem


async def test_a_row_s_problem_names_its_line_and_column(tmp_path: Path) -> None:
    assert str(UploadProblem("text", "empty", "is empty", 4)) == "line 4, column text: is empty"
    assert str(UploadProblem("", "row", "has 2 cells", 4)) == "line 4 has 2 cells"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"upload": "narrator.mp3"}, "upload must be VoiceUpload, got str"),
        ({"limits": 5}, "limits must be AudioLimits or None, got int"),
    ],
)
async def test_arguments_of_another_kind_are_refused(arguments: dict[str, Any], message: str) -> None:
    upload = VoiceUpload(SPEECH, "narrator", TEXT)
    with pytest.raises(ConfigurationError, match=message):
        await check_upload(**{"upload": upload} | arguments)

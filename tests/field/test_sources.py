"""What people pass for audio, and what is said to those who pass something else."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.made import frames, hum, wav

from siliconflow_voice import AudioSourceError, InvalidUploadError, SiliconFlowError, VoiceClient
from siliconflow_voice.emulator import Emulator

TEN = frames(10)
SILENCE_FIRST = wav(bytes(16_000 * 2 * 8) + hum(2))


async def upload(audio: Any) -> SiliconFlowError | None:
    async with Emulator() as emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        try:
            await client.upload_voice(audio, custom_name="probe", text="慢工出细活")
        except SiliconFlowError as error:
            return error
    return None


@pytest.mark.parametrize("data", [SILENCE_FIRST, TEN, wav(hum(29))])
async def test_the_output_of_a_process_is_read(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    process = await asyncio.create_subprocess_exec("cat", str(path), stdout=asyncio.subprocess.PIPE)
    assert await upload(process.stdout) is None
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        ("data:audio/mpeg;base64," + base64.b64encode(TEN).decode(), "a data URI of 212,"),
        ("data:audio/wav;base64,UklGRg==", "decode the base64 behind its comma, and pass the bytes"),
        (base64.b64encode(TEN).decode(), "not a path"),
        (
            "https://example.com/a.mp3?X-Amz-Signature=secret",
            "pass AudioSource.url(…), which fetches it, or download it",
        ),
        (b"https://example.com/a.mp3", "is an address as text, not audio"),
        (b"data:audio/mpeg;base64,//uQxAAA", "is a data URI as text, not audio"),
        (["a.mp3"], "expected a path, bytes"),
    ],
)
async def test_what_is_no_recording_is_said_on_a_short_line(audio: Any, said: str) -> None:
    error = await upload(audio)
    assert isinstance(error, InvalidUploadError)
    assert said in error.reason
    assert (len(str(error)) < 500, str(error).isprintable(), "secret" in str(error)) == (True, True, False)


@pytest.mark.parametrize("name", ["missing.mp3", "x" * 300, "\x1b[31mred.mp3", "\u202egnp.mp3"])
async def test_so_is_a_path_that_leads_nowhere(name: str, tmp_path: Path) -> None:
    error = await upload(tmp_path / name)
    assert isinstance(error, AudioSourceError)
    assert (len(str(error)) < 500, str(error).isprintable()) == (True, True)


async def test_what_a_callers_object_fails_with_is_said_on_a_short_line() -> None:
    class Fails:
        def read(self, count: int) -> bytes:
            raise ValueError("line\n" * 10_000)

    error = await upload(Fails())
    assert isinstance(error, AudioSourceError)
    assert (len(str(error)) < 500, str(error).isprintable()) == (True, True)


@pytest.mark.parametrize("seconds", [1, 28])
async def test_a_mount_that_numbers_files_anew_each_time_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: int
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(hum(seconds)))
    real, count = os.fstat, 0

    def fstat(descriptor: int) -> os.stat_result:
        nonlocal count
        count += 1
        status = real(descriptor)
        times = {name: getattr(status, name) for name in ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")}
        return os.stat_result((status.st_mode, status.st_ino + count, *status[2:]), times)

    monkeypatch.setattr(os, "fstat", fstat)
    assert await upload(path) is None
    assert count >= 2


async def test_a_file_that_another_process_appends_to_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(hum(28)))

    class Grows:
        """A file that grows as it is read."""

        def __init__(self) -> None:
            self.file = path.open("rb")
            self.grown = False

        def seek(self, *arguments: int) -> int:
            return self.file.seek(*arguments)

        def tell(self) -> int:
            return self.file.tell()

        def read(self, count: int) -> bytes:
            if self.file.tell() > 700_000 and not self.grown:
                self.grown = True
                subprocess.run(["sh", "-c", f"echo more >> {path}"], check=True)
            return self.file.read(count)

    audio = Grows()
    with audio.file:
        error = await upload(audio)
    assert error is not None
    assert "grew while it was being uploaded" in str(error)

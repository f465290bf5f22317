"""What machines do: clocks that are set, laptops that sleep within a run, locales without UTF-8."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from support.made import hum, wav
from support.patient_time import PatientLoop
from support.recordings import SPEECH
from support.terminal import expected, json_lines, names, run, started, stuck_after, until, voices

from siliconflow_voice import AudioSourceError, VoiceClient, VoiceUpload, inspect_audio, upload_many
from siliconflow_voice.bulk.paths import ListedSource
from siliconflow_voice.emulator import Emulator

TEN_DAYS = 864_000
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="file names of Windows are always Unicode")


@pytest.mark.parametrize("set_by", [-TEN_DAYS, TEN_DAYS])
async def test_a_clock_that_was_set_between_two_runs_loses_nothing(
    tmp_path: Path, emulator: Emulator, set_by: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)
    manifest = voices(tmp_path, 20)
    stuck_after(emulator, 5)
    async with started("bulk", manifest) as command:
        await until(lambda: len(emulator.voices) == 20)
        command.signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        await command.ended()
    emulator.clear_faults()
    program = (
        "import runpy, time; real = time.time; "
        f"time.time = lambda: real() + {set_by}; "
        "runpy.run_module('siliconflow_voice', run_name='__main__')"
    )
    again = await run("bulk", manifest, "--settle", "0.1", "--json", python=("-c", program))
    assert (again.status, again.err) == (0, "")
    assert names(emulator) == expected(20)
    assert json_lines(again.out)[-1]["failed"] == 0


def test_a_laptop_that_slept_within_a_run_loses_nothing_and_makes_nothing_twice(tmp_path: Path) -> None:
    uploads = [VoiceUpload(SPEECH, f"voice-{number}", f"text {number}") for number in range(60)]

    async def carry_out(client: VoiceClient, *, sleep_at: int | None = None) -> list[str]:
        statuses: list[str] = []
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PatientLoop)
        async with aclosing(
            upload_many(client, uploads, concurrency=8, journal=tmp_path / "voices.journal")
        ) as outcomes:
            async for outcome in outcomes:
                statuses.append(outcome.status)
                if len(statuses) == sleep_at:
                    loop.jump(8 * 3600)
        return statuses

    async def main() -> None:
        async with Emulator(latency=(0.5, 1.5)) as emulator:
            async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
                first = await carry_out(client, sleep_at=20)
            async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
                second = await carry_out(client)
        assert len(first) == len(second) == 60
        assert set(second) <= {"uploaded", "recovered", "skipped"}
        assert names(emulator) == expected(60)

    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        runner.run(main())


@posix
async def test_a_locale_without_utf_8_finds_recordings_by_their_names(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)
    (tmp_path / "配音.wav").write_bytes(wav(hum(8)))
    (tmp_path / "re\u0301cit.wav").write_bytes(wav(hum(9)))  # as a Mac writes it
    manifest = tmp_path / "声音.csv"
    manifest.write_text(
        "audio,custom_name,text\n配音.wav,voice-0,慢工\nr\u00e9cit.wav,voice-1,细活\n没有.wav,voice-2,没有\n",
        encoding="utf-8",
    )
    results = tmp_path / "结果.jsonl"
    ended = await run("bulk", manifest, "--results", results, environment=C_LOCALE)
    assert (ended.status, ended.err) == (1, "")
    assert names(emulator) == expected(2)
    assert [voice.text for voice in sorted(emulator.voices, key=lambda voice: voice.text)] == ["慢工", "细活"]
    reasons = {row["custom_name"]: row["error"] for row in json_lines(results.read_text(encoding="utf-8"))}
    assert "没有.wav can't be read: no such file or directory" in reasons["voice-2"]
    looked_at = await run("inspect", "--json", tmp_path / "配音.wav", environment=C_LOCALE)
    assert (looked_at.status, json_lines(looked_at.out)[0]["duration"]) == (0, 8.0)


@posix
async def test_a_name_that_no_encoding_has_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AudioSourceError, match="no such file or directory"):
        await inspect_audio(ListedSource("\ud800.wav", tmp_path, confined=True))

"""What a preparation returns: uploaded as it is, saved, and held to the text that fits it."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from support.made import frames

from siliconflow_voice import (
    AudioSource,
    InvalidUploadError,
    PreparationReport,
    PreparedAudio,
    SiliconFlowError,
    VoiceClient,
    VoiceUpload,
    check_upload,
    upload_many,
)
from siliconflow_voice.emulator import Emulator

DATA = frames(9)


def made(*, was_cut: bool = False) -> PreparedAudio:
    report = PreparationReport(
        source_format="mov,mp4,m4a,3gp,3g2,mj2",
        source_codec="aac",
        source_duration=180.0,
        source_channels=2,
        source_rate=48_000,
        speech=120.0,
        start=20.0,
        end=29.0,
        at_pauses=True,
        loudness_before=-31.0,
        loudness_after=-16.0,
        peak_before=-9.0,
        peak_after=-1.6,
        duration=9.0,
        sample_rate=44_100,
        size=len(DATA),
    )
    return PreparedAudio(DATA, filename="interview.m4a", format="mp3", was_cut=was_cut, report=report)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_it_is_shown_without_its_bytes() -> None:
    assert repr(made(was_cut=True)) == "PreparedAudio('interview.m4a', mp3, 9.00 s, cut)"
    assert repr(made()) == "PreparedAudio('interview.m4a', mp3, 9.00 s)"


def test_it_is_audio_as_it_is() -> None:
    prepared = made()
    assert AudioSource.of(prepared) is prepared
    assert (prepared.content_type, prepared.report.trimmed) == ("audio/mpeg", 171.0)


async def test_it_is_uploaded_as_it_is(emulator: Emulator) -> None:
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        await client.upload_voice(made(), custom_name="guest", text="anything", encoding="base64")
    assert [voice.size for voice in emulator.voices] == [len(DATA)]


async def test_a_text_for_the_whole_is_refused_where_it_was_cut(emulator: Emulator) -> None:
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        with pytest.raises(InvalidUploadError, match=r"9.0 s of 180.0 s.*prepared.says\(text\)") as caught:
            await client.upload_voice(made(was_cut=True), custom_name="guest", text="the whole")
        assert (caught.value.field, caught.value.rule) == ("text", "cut")
        said = made(was_cut=True).says("the part")
        with pytest.raises(InvalidUploadError):
            await client.ensure_voice(said, custom_name="guest", text="the whole")
    assert emulator.voices == []


async def test_a_text_that_was_stated_to_fit_is_accepted(emulator: Emulator, tmp_path: Path) -> None:
    prepared = made(was_cut=True).says("the part")
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        voice = await client.upload_voice(prepared, custom_name="guest", text="the part")
        uploads = [VoiceUpload(audio, "bulk", "the part") for audio in (prepared, made(was_cut=True))]
        journal = tmp_path / "journal"
        outcomes = [outcome async for outcome in upload_many(client, uploads, journal=journal)]
    assert voice.text == "the part"
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "uploaded"]


async def test_a_check_notes_a_text_for_the_whole() -> None:
    cut = made(was_cut=True)
    problems = await check_upload(VoiceUpload(cut, "guest", "the whole"))
    assert [(problem.field, problem.rule) for problem in problems] == [("text", "cut")]
    assert await check_upload(VoiceUpload(cut.says("the part"), "guest", "the part")) == ()


async def test_it_is_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.mp3"
    await made().save(path)
    await made().save(str(path))
    assert (path.read_bytes(), names(tmp_path)) == (DATA, ["out.mp3"])

    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SiliconFlowError, match=r"out.mp3 can't be written: No space left on device"):
        await made().save(path)
    assert (path.read_bytes(), names(tmp_path)) == (DATA, ["out.mp3"])


async def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept", tmp_path / "out.mp3"
    kept.write_bytes(b"kept")
    link.symlink_to(kept)
    await made().save(link)
    assert (kept.read_bytes(), link.is_symlink()) == (b"kept", False)


async def test_it_can_not_be_saved_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SiliconFlowError, match="No such file or directory"):
        await asyncio.create_task(made().save(tmp_path / "none" / "out.mp3"))


def test_it_is_not_pickled() -> None:
    prepared: Any = made()
    with pytest.raises(TypeError, match="save it, or pass its data"):
        pickle.dumps(prepared)

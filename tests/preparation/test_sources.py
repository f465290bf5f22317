"""What a preparation reads, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import struct
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support import spoken
from support.made import hum, wav

from siliconflow_voice import (
    AudioSource,
    AudioSourceError,
    ConfigurationError,
    InvalidUploadError,
    SiliconFlowError,
    SourceChangedError,
    prepare,
)
from siliconflow_voice.audio.preparation import decoding, listening, rendering
from siliconflow_voice.audio.preparation import prepare as module

pytestmark = spoken.needs_tools


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


async def test_bytes_files_and_streams_come_to_what_the_path_comes_to(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IN_MEMORY", 100_000)  # so that the copy is on the disk
    data = recorded.read_bytes()
    expected = (await prepare(recorded)).data
    assert (await prepare(data)).data == expected
    assert (await prepare(pieces(data))).data == expected
    with recorded.open("rb") as file:
        assert (await prepare(file)).data == expected
        assert file.read(4) == b"RIFF"


async def test_raw_samples_are_read_with_their_rate(recorded: Path) -> None:
    raw = bytes(spoken.samples(recorded, 16_000))
    prepared = await prepare(AudioSource.of(raw, content_type="audio/pcm;rate=16000"))
    assert (prepared.report.source_format, prepared.report.source_rate) == ("s16le", 16_000)
    twice = b"".join(raw[start : start + 2] * 2 for start in range(0, len(raw), 2))
    stereo = await prepare(twice, content_type="audio/pcm;rate=16000;channels=2")
    assert stereo.report.source_duration == pytest.approx(prepared.report.source_duration)
    with pytest.raises(InvalidUploadError, match="raw samples without their rate") as caught:
        await prepare(raw, content_type="audio/pcm")
    assert caught.value.rule == "media_type"


def header(rate: int, channels: int, data: bytes) -> bytes:
    fmt = struct.pack(
        "<HHIIHH", 1, channels, rate, rate * 2 * channels & 0xFFFFFFFF, 2 * channels & 0xFFFF, 16
    )
    return wav(data, fmt=fmt)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://%s\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\1", "can't be decoded: invalid data"),
        (b"<!DOCTYPE html><html>" * 50, "it is a page of HTML, not audio; it is probably"),
        (b"\x02#!SILK_V3" + bytes(999), "SILK, a voice message of WeChat or QQ; decode it first"),
        (os.urandom(1000), "can't be decoded"),
        (header(1, 1, hum(2)), "1 channels of 1 samples a second, which is not a recording"),
        (header(4_000_000_000, 1, hum(2)), "can't be decoded"),
        (header(16_000, 65_000, hum(2)), "has no sound in it"),
        (header(16_000, 200, hum(2)), "not a recording|can't be decoded"),
        (wav(b""), "no sound comes out|can't be decoded"),
        (b"fLaC" + bytes(4_000), "can't be decoded"),
    ],
    ids=[
        "byte",
        "html",
        "silk",
        "noise",
        "1 Hz",
        "4 GHz",
        "65,000 channels",
        "200 channels",
        "empty",
        "flac",
    ],
)
async def test_what_is_not_a_recording_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(AudioSourceError, match=message):
        await prepare(data)


async def test_a_recording_that_was_not_finished_is_refused(interview: Path) -> None:
    with pytest.raises(AudioSourceError, match="check that it is a whole recording"):
        await prepare(interview.read_bytes()[:100_000])


async def test_what_is_there_of_a_recording_is_used_whatever_its_header_claims(recorded: Path) -> None:
    data = bytearray(recorded.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 2 * 3600 * 44_100)
    assert (await prepare(bytes(data))).report.source_duration < 10


async def test_damage_in_the_middle_is_passed_over(recorded: Path, tmp_path: Path) -> None:
    path = spoken.through(recorded, tmp_path / "a.m4a", "-movflags", "+faststart")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = os.urandom(2_000)
    assert (await prepare(bytes(data))).report.source_duration > 5


async def test_what_is_damaged_all_the_way_is_refused(recorded: Path, tmp_path: Path) -> None:
    path = spoken.through(recorded, tmp_path / "a.flac")
    data = bytearray(path.read_bytes())
    data[9_000:] = bytes(len(data) - 9_000)
    with pytest.raises(SiliconFlowError):
        await prepare(bytes(data))


@pytest.mark.parametrize("name", ["list.m3u8", "list.txt"])
async def test_no_other_file_is_opened(recorded: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = (
        PLAYLIST % bytes(recorded)
        if name == "list.m3u8"
        else b"ffconcat version 1.0\nfile '%s'\n" % bytes(recorded)
    )
    path.write_bytes(text)
    with pytest.raises(AudioSourceError):
        await prepare(path)
    with pytest.raises(AudioSourceError):  # nor where it is not known as text
        await prepare(AudioSource.of(text + b"\0\xff" * 600))


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("anullsrc=r=48000:d=9", "no_speech"),
        ("sine=440:d=9", "no_speech"),
        ("anoisesrc=a=0.1:d=9:seed=1", "no_speech"),
        ("aevalsrc=if(between(t\\,2\\,2.3)\\,0.5*sin(2000*t)\\,0.0001*random(0)):d=9", "too_short"),
    ],
    ids=["silence", "tone", "noise", "blip"],
)
async def test_what_has_no_speech_is_refused(tmp_path: Path, source: str, rule: str) -> None:
    path = spoken.through(["-f", "lavfi", "-i", source], tmp_path / "a.wav")
    with pytest.raises(InvalidUploadError) as caught:
        await prepare(path)
    assert (caught.value.field, caught.value.rule) == ("audio", rule)


async def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    path = spoken.through(["-f", "lavfi", "-i", "testsrc=d=1:s=64x64"], tmp_path / "mute.mp4")
    with pytest.raises(AudioSourceError, match="has no sound in it; pass a recording with an audio track"):
        await prepare(path)


async def test_music_with_a_beat_is_taken_for_speech(tmp_path: Path) -> None:
    # As its documentation says: nothing but loudness is looked at.
    beat = "aevalsrc=(0.3*sin(2*PI*220*t)+0.2*sin(2*PI*330*t))*exp(-6*mod(t\\,0.5)):d=20"
    path = spoken.through(["-f", "lavfi", "-i", beat], tmp_path / "music.wav")
    assert (await prepare(path)).report.speech > 5


async def test_what_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioSourceError, match="no such file"):
        await prepare(tmp_path / "missing.mp3")
    with pytest.raises(AudioSourceError, match="a directory, not a regular file"):
        await prepare(tmp_path)
    with pytest.raises(InvalidUploadError, match="is empty"):
        await prepare(b"")


async def test_only_the_first_hours_are_looked_at(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MOST_SECONDS", 3)
    assert (await prepare(recorded)).report.source_duration == 3


async def test_a_file_that_changes_meanwhile_is_refused(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(recorded.read_bytes())
    work = module._work

    def changing(*arguments: Any) -> Any:
        prepared = work(*arguments)
        with path.open("ab") as file:
            file.write(b"more")
        return prepared

    monkeypatch.setattr(module, "_work", changing)
    with pytest.raises(SourceChangedError):
        await prepare(path)


async def test_a_stream_that_can_not_be_copied_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(tempfile.SpooledTemporaryFile[bytes]):
        def write(self, *arguments: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(AudioSourceError, match="can't be copied to a temporary file: No space left"):
        await prepare(pieces(bytes(20_000)))


async def test_a_cancelled_preparation_ends_its_work(
    interview: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    began, ended = asyncio.Event(), loop.create_future()
    work = module._work

    def watched(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        stop: threading.Event = arguments[3]
        stop.wait()
        try:
            return work(*arguments)
        finally:
            loop.call_soon_threadsafe(ended.set_result, type(sys.exception()).__name__)

    monkeypatch.setattr(module, "_work", watched)
    task = asyncio.create_task(prepare(interview))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ended == "_StoppedError"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "ogg"}, "format must be mp3 or wav"),
        ({"seconds": (10, 8)}, "seconds must be two numbers"),
        ({"seconds": 9}, "seconds must be two numbers"),
        ({"seconds": (0.1, 8)}, "at least 1"),
        ({"whole": 0}, "whole must be a number above 0"),
        ({"loudness": 16}, "loudness must be between -40 and -8"),
        ({"loudness": True}, "loudness must be between"),
        ({"peak": 1}, "peak must be between -20 and 0"),
    ],
)
async def test_an_invalid_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await prepare(b"", **options)


async def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "siliconflow_voice.audio.preparation.making", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'siliconflow-voice\[prepare\]'"):
        await prepare(wav(hum(2)))


async def test_a_recording_that_is_damaged_all_the_way_is_given_up(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_MOST_DAMAGE", 3)
    path = spoken.through(recorded, tmp_path / "a.m4a")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    data[at : data.index(b"moov") - 4] = bytes([0x55]) * (data.index(b"moov") - 4 - at)
    with pytest.raises(AudioSourceError, match="can't be decoded"):
        await prepare(bytes(data))


def not_stopped() -> None:
    """Let a decoder go on."""


def test_a_disk_that_fails_is_an_error_of_the_source(recorded: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell() > 50_000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(count)

    decoder = decoding.Decoder(Failing(recorded.read_bytes()), "a.wav", raw=None, stopped=not_stopped)
    with pytest.raises(AudioSourceError, match=r"a.wav can't be read: input/output error"):
        listening.listen(decoder, decoding.ALL_CHANNELS)


def test_a_part_ends_with_its_recording(recorded: Path) -> None:
    decoder = decoding.Decoder(io.BytesIO(recorded.read_bytes()), "a.wav", raw=None, stopped=not_stopped)
    seconds = len(rendering.kept(decoder, decoding.ALL_CHANNELS, 2, 99)) / rendering.RATE
    assert seconds == pytest.approx(float(spoken.probe(recorded)["format"]["duration"]) - 2, abs=0.01)


async def test_what_is_there_of_a_recording_that_breaks_off_is_used(recorded: Path, tmp_path: Path) -> None:
    data = spoken.through(recorded, tmp_path / "a.wv").read_bytes()
    assert (await prepare(data[: len(data) * 4 // 5])).report.source_duration > 2


async def test_a_recording_that_breaks_off_before_anything_is_heard_is_refused(
    recorded: Path, tmp_path: Path
) -> None:
    data = spoken.through(recorded, tmp_path / "a.wv").read_bytes()
    with pytest.raises(AudioSourceError, match="can't be decoded"):
        await prepare(data[:5_000])

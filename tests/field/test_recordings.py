"""Recordings as people's tools make them: taken if they are good, and never measured wrongly."""

from __future__ import annotations

import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.made import FRAME, ape, frames, hum, id3, info, mpeg, opus, page, wav

from siliconflow_voice import AudioLimits, AudioSource, InvalidUploadError, VoiceClient, inspect_audio
from siliconflow_voice.api.requests import upload_voice
from siliconflow_voice.emulator import Emulator

NOISE = random.Random(1).randbytes(320_000)  # noqa: S311 - to be the same each time
PICTURE = bytes(range(1, 251)) * 2_000
TEN = frames(10)
LOUDER = frames(1, 32) + frames(9, 320)
OPUS_HEADERS = opus(0)


def form(tag: int, rate: int, byte_rate: int, block: int, bits: int) -> bytes:
    return struct.pack("<HHIIHH", tag, 1, rate, byte_rate, block, bits)


ALAW = form(6, 8_000, 8_000, 1, 8)


class Case(NamedTuple):
    data: bytes
    seconds: float
    good: bool = True


CASES: dict[str, Case] = {
    # VBR without a frame that says so.
    "VBR, quiet at first": Case(LOUDER, 10),
    "VBR, loud at first": Case(frames(9, 320) + frames(10, 32), 19),
    "VBR, quiet for long": Case(frames(20, 32) + frames(9.9, 320), 29.9),
    "VBR, a loud minute behind a quiet second": Case(frames(1, 32) + frames(40, 64), 41, good=False),
    # Pictures and tags are not sound.
    "a picture in an APEv2 tag behind it": Case(TEN + ape(500_000), 10),
    "a picture in an ID3v2 tag before it": Case(id3(500_000) + TEN, 10),
    "a picture in an ID3v2 tag behind it": Case(TEN + id3(500_000, footer=True), 10),
    "a picture in an APEv1 tag behind it": Case(TEN + ape(500_000, header=False) + b"TAG" + bytes(125), 10),
    "a minute and a picture": Case(frames(60, 64) + ape(100_000), 60, good=False),
    # The frame in front tells of another recording.
    "the first part of a longer mp3": Case(info(2_297, size=960_000) + TEN, 10),
    "an mp3 with the frame of a shorter one": Case(info(2, size=900) + TEN, 10),
    "a frame in front that tells of nothing": Case(info(0) + TEN, 10),
    "a minute behind the frame of ten seconds": Case(
        info(383, size=160_000) + frames(60, 64), 60, good=False
    ),
    # What stands before the first frame.
    "512 zeros before it": Case(bytes(512) + TEN, 10),
    "a page of zeros before it": Case(bytes(4_096) + TEN, 10),
    "zeros behind a tag": Case(id3(300) + bytes(2_000) + TEN, 10),
    "the middle of a frame before it": Case(TEN[1234:], 9.9),
    "the last byte of a frame before it": Case(TEN[416:], 10),
    "the head of an answer before it": Case(b"ICY 200 OK\r\nicy-name: radio\r\n\r\n" + TEN, 10),
    "a tag with a footer": Case(id3(200, footer=True) + TEN, 10),
    "two tags": Case(id3(200) + id3(3_000) + TEN, 10),
    "a tag of each kind": Case(ape(500) + id3(200, footer=True) + TEN + b"TAG" + bytes(125), 10),
    # Cut by its encoder's own count.
    "30 s and an encoder's padding": Case(info(1_150, delay=1_105, padding=695) + mpeg() * 1_150, 30),
    "30 s without an encoder's word": Case(mpeg() * 1_150, 30.04),
    "30 s in Opus": Case(opus(30), 30),
    "30 s in wav": Case(wav(hum(30)), 30),
    "30 s and a sample": Case(wav(hum(30) + b"\0\0"), 30.00006, good=False),
    # Opus whose positions don't begin at 0.
    "Opus out of an hour": Case(opus(10, begin=3_600 * 48_000), 10),
    "Opus out of a day": Case(opus(29, begin=86_400 * 48_000), 29),
    "Opus of three parts": Case(opus(9, begin=99) + opus(9, serial=2) + opus(9, serial=1, begin=10**9), 27),
    "Opus of four parts": Case(b"".join(opus(10, serial=n) for n in range(4)), 40, good=False),
    "Opus out of an hour, a minute": Case(opus(60, begin=3_600 * 48_000), 60, good=False),
    "Opus without positions": Case(opus(10, granules=False), 10),
    "Opus without positions, a minute": Case(opus(60, granules=False), 60, good=False),
    # wav whose headers contradict what is there.
    "wav, a block align of 1": Case(wav(hum(20), fmt=form(1, 16_000, 16_000, 1, 16)), 20),
    "wav, a block align of 0": Case(wav(hum(20), fmt=form(1, 16_000, 0, 0, 16)), 20),
    "wav, a block align of 4": Case(wav(hum(20), fmt=form(1, 16_000, 64_000, 4, 16)), 20),
    "wav, a block align of 4, 50 s": Case(wav(hum(50), fmt=form(1, 16_000, 64_000, 4, 16)), 50, good=False),
    "wav of which the end is missing": Case(wav(hum(60))[: 44 + 320_000], 10),
    "wav of a stream": Case(wav(hum(10), size=0xFFFFFFFF), 10),
    "wav of a stream, a size of 0, a minute": Case(wav(hum(60), size=0), 60, good=False),
    "wav of a stream, a size of 2 GB, a minute": Case(wav(hum(60), size=0x7FFFFFFF), 60, good=False),
    "wav with a list in front": Case(
        wav(hum(10), front=b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf59.27.100\0"), 10
    ),
    "wav with an odd chunk in front": Case(wav(hum(10), front=b"id3 \x03\0\0\0abc"), 10),
    "A-law, no fact": Case(wav(b"\xd5" * 80_000, fmt=ALAW), 10),
    "A-law, no fact, a minute": Case(wav(b"\xd5" * 480_000, fmt=ALAW), 60, good=False),
    "A-law of a stream, a minute": Case(wav(b"\xd5" * 480_000, fmt=ALAW, size=0xFFFFFFFF), 60, good=False),
    "A tag before a wav": Case(id3(100) + wav(NOISE), 10),
    "A tag before a wav, behind it another": Case(id3(100) + wav(NOISE) + b"TAG" + bytes(125), 10),
    # Joined with cat.
    "nine mp3s": Case((info(191, size=80_000) + frames(5)) * 9, 45, good=False),
    "three mp3s": Case((info(191, size=80_000) + frames(5)) * 3, 15),
    "mp3s with tags": Case((id3(3_000) + frames(5) + b"TAG" + bytes(125)) * 5, 25),
    "nine mp3s with tags": Case((id3(300) + frames(5, 64) + b"TAG" + bytes(125)) * 9, 45, good=False),
    "mp3s of two rates": Case(frames(5) + (b"\xff\xf3\x80\xc4" + bytes(204)) * 191, 10),
}


async def refusal(audio: Any, **options: Any) -> InvalidUploadError | None:
    async with (
        Emulator() as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url, **options) as client,
    ):
        try:
            await client.upload_voice(audio, custom_name="probe", text="慢工出细活")
        except InvalidUploadError as error:
            assert emulator.voices == []
            return error
    assert len(emulator.voices) == 1
    return None


@pytest.mark.parametrize(("data", "seconds", "good"), CASES.values(), ids=CASES.keys())
async def test_a_recording_is_taken_if_it_is_good_and_never_measured_wrongly(
    data: bytes, seconds: float, good: bool
) -> None:
    error = await refusal(data)
    facts = await inspect_audio(data)
    assert facts.duration is None or facts.duration == pytest.approx(seconds, abs=0.25)
    assert (error.rule if error else None) == (None if good else "too_long")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_it_is_the_same_from_memory_a_path_and_a_file(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "recording.mp3"
    path.write_bytes(case.data)
    with path.open("rb") as file:
        said = [await inspect_audio(audio) for audio in (case.data, path, file)]
    assert said == [said[0]] * 3


REFUSED: dict[str, tuple[bytes, str]] = {
    "FLAC behind a picture": (id3(20_000) + b"fLaC" + b"\x80\0\0\x22" + bytes(4_000), "is flac"),
    "FLAC behind a large picture": (id3(300_000) + b"fLaC\x80\0\0\x22" + bytes(4_000), "is flac"),
    "m4a called mp3": (b"\0\0\0\x20ftypM4A " + bytes(200), "is m4a or mp4"),
    "AAC": ((b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 20, "is aac"),
    "noise": (NOISE, "is not a recognised audio format"),
    "noise behind a frame": (mpeg() + NOISE, "is not a recognised audio format"),
    "noise with headers in it": (b"\xff\xfb\x90\xc4".join([NOISE[:700]] * 50), "is not a recognised"),
    "text with 0xFF in it": (b"\xff\xfb".join([b"words "] * 500), "is not a recognised audio format"),
    "layer II": ((b"\xff\xfd\x80\xc4" + bytes(413)) * 100, "is MPEG audio layer II (mp2), not mp3"),
    "RF64": (wav(hum(1), magic=b"RF64", front=b"ds64\x1c\0\0\0" + bytes(28)), "is RF64"),
    "CAF": (b"caff\0\1\0\0desc" + bytes(90), "is Apple's Core Audio Format (caf)"),
    "WMA": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(90), "is wma"),
    "AMR": (b"#!AMR\n" + bytes(90), "is amr"),
    "SILK": (b"\x02#!SILK_V3" + bytes(90), "is SILK, a voice message of WeChat or QQ"),
    "WebM": (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webm" + bytes(90), "is WebM, as browsers"),
    "Vorbis": (page([b"\x01vorbis"], 0, flags=2), "is ogg without Opus in it"),
    "a page": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a page of HTML, not audio"),
    "an answer": (b'{"code":404,"message":"no such object"}', "is JSON, not audio"),
    "a picture": (b"\xff\xd8\xff\xe0" + NOISE, "is a picture (jpeg)"),
    "a data URI": (b"data:audio/mpeg;base64,//uQxAAA", "is a data URI as text, not audio"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n",
        "is a Git LFS",
    ),
    "a wav of a header": (wav(b""), "is empty: headers without any sound"),
    "a wav of a header and a list": (wav(b"") + b"LIST\x04\0\0\0INFO", "is empty: headers without any sound"),
    "Opus of headers": (OPUS_HEADERS, "is empty: headers without any sound"),
    "an mp3 of its first frame": (info(383, size=160_000), "is empty: headers without any sound"),
}


@pytest.mark.parametrize(("data", "said"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_not_a_recording_is_refused_by_its_name(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recording.mp3"
    path.write_bytes(data)
    with path.open("rb") as file:
        errors = [await refusal(audio) for audio in (data, path, file)]
    for error in errors:
        assert error is not None
        assert said in error.reason
        assert (len(error.reason) < 600, error.reason.isprintable()) == (True, True)


async def test_a_free_format_mp3_is_taken_where_it_is_declared() -> None:
    data = (b"\xff\xfb\x00\xc4" + bytes(600)) * 300
    assert await refusal(AudioSource.of(data, content_type="audio/mpeg")) is None


@pytest.mark.parametrize(
    ("data", "filename", "media_type"),
    [
        (b"fLaC\x80\0\0\x22" + bytes(400), "audio.flac", "audio/flac"),
        (b"\0\0\0\x20ftypM4A " + bytes(200), "audio.m4a", "audio/mp4"),
        (page([b"\x01vorbis"], 0, flags=2), "audio.ogg", "audio/ogg"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "audio.webm", "audio/webm"),
        (NOISE, "audio.bin", "application/octet-stream"),
    ],
)
async def test_formats_that_a_user_allows_go_by_their_own_names(
    data: bytes, filename: str, media_type: str
) -> None:
    assert await refusal(data, limits=AudioLimits(formats=None)) is None
    facts = await inspect_audio(data)
    assert (f"audio.{facts.extension}", facts.media_type) == (filename, media_type)
    request = upload_voice(
        model="m", custom_name="n", text="t", encoding="multipart", media_type=facts.media_type,
        extension=facts.extension,
    )  # fmt: skip
    assert request.envelope is not None
    assert f'filename="{filename}"\r\nContent-Type: {media_type}\r\n'.encode() in request.envelope.prologue


async def in_chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1_000, 10**6])
async def test_a_stream_is_known_as_far_as_it_is_read(size: int) -> None:
    known = {name: (await inspect_audio(in_chunks(case.data, size))).format for name, case in CASES.items()}
    whole = {name: (await inspect_audio(case.data)).format for name, case in CASES.items()}
    assert known == whole


def test_a_frame_lasts_as_long_as_the_tests_say() -> None:
    assert pytest.approx(0.0261, abs=0.0001) == FRAME

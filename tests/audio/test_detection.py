from __future__ import annotations

import base64
import random
import struct

import pytest
from support.made import ape, frames, hum, id3, mpeg, opus, page, wav

from siliconflow_voice.audio.detection import detect
from siliconflow_voice.audio.window import Window

FTYP = b"\0\0\0\x20ftyp"
NOISE = random.Random(3).randbytes(100_000)  # noqa: S311 - to be the same each time
LAYER_2 = (b"\xff\xfd\x80\xc4" + bytes(413)) * 20
LAYER_1 = (b"\xff\xff\x80\xc4" + bytes(272)) * 20
ADTS = (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 20
MPEG_2 = (b"\xff\xf3\x80\xc4" + bytes(204)) * 20
MPEG_2_5 = (b"\xff\xe3\x18\xc4" + bytes(68)) * 20

HEADS: dict[str, tuple[bytes, str | None]] = {
    "wav": (wav(hum(1)), "wav"),
    "another RIFF": (b"RIFF\x24\x00\x00\x00ACONLIST" + bytes(100), None),
    "AVI": (b"RIFF\x24\x00\x00\x00AVI LIST", "avi"),
    "RIFX": (wav(b"", magic=b"RIFX"), "rifx"),
    "RF64": (wav(b"", magic=b"RF64"), "rf64"),
    "BW64": (wav(b"", magic=b"BW64"), "rf64"),
    "opus": (opus(1), "opus"),
    "opus beside another stream": (page([b"fishead\0"], 0, serial=9, flags=2) + opus(1), "opus"),
    "vorbis": (page([b"\x01vorbis"], 0, flags=2) + page([b"\x03vorbis"], 0), "ogg"),
    "nothing but the beginnings of streams": (page([b"\x01vorbis"], 0, flags=2) * 20, "ogg"),
    "flac": (b"fLaC\x00\x00\x00\x22", "flac"),
    "webm": (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "webm"),
    "matroska": (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", "mkv"),
    "aiff": (b"FORM\x00\x00\x00\x00AIFF", "aiff"),
    "another FORM": (b"FORM\x00\x00\x00\x00ILBM\x01", None),
    "amr": (b"#!AMR\n\x3c", "amr"),
    "amr wide band": (b"#!AMR-WB\n", "amr"),
    "silk": (b"#!SILK_V3\x0c\x00", "silk"),
    "silk of WeChat": (b"\x02#!SILK_V3\x0c\x00", "silk"),
    "caf": (b"caff\x00\x01\x00\x00desc", "caf"),
    "wma": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "wma"),
    "m4a": (FTYP + b"M4A " + bytes(200), "m4a"),
    "3gp": (FTYP + b"3gp4" + bytes(200), "3gp"),
    "mp3, MPEG 1": (frames(1), "mp3"),
    "mp3, MPEG 2": (MPEG_2, "mp3"),
    "mp3, MPEG 2.5": (MPEG_2_5, "mp3"),
    "mp3 of one frame": (mpeg(), "mp3"),
    "mp3 of two frames": (mpeg() * 2, "mp3"),
    "mp3 of two frames and a part": (mpeg() * 2 + mpeg()[:2], "mp3"),
    "mp3 of two frames and zeros": (mpeg() * 2 + bytes(9), "mp3"),
    "mp3 with a tag": (id3(54) + frames(1), "mp3"),
    "mp3 with a tag with a footer": (id3(54, footer=True) + frames(1), "mp3"),
    "mp3 with many tags": (id3(54) + ape(500) + id3(7) + id3(300_000) + frames(1), "mp3"),
    "mp3 with an old APE tag's footer alone": (ape(0, header=False) + frames(1), "mp3"),
    "mp3 with a padded tag": (id3(54) + bytes(20) + frames(1), "mp3"),
    "mp3 with a tag whose size leads beyond the end": (id3(9_999)[:10] + b"TIT2" + frames(1)[:9_000], "mp3"),
    "mp3 behind an ID3v1 tag": (b"TAG" + bytes(125) + frames(1), "mp3"),
    "mp3 behind zeros": (bytes(512) + frames(1), "mp3"),
    "mp3 behind many zeros": (bytes(40_000) + frames(1), "mp3"),
    "mp3 behind half a frame": (frames(1)[200:], "mp3"),
    "mp3 behind the head of an answer": (b"HTTP/1.0 200 OK\r\nicy-br: 128\r\n\r\n" + frames(1), "mp3"),
    "mp3 behind 60 KB of noise": (NOISE[:60_000] + frames(1), "mp3"),
    "mp3 behind 70 KB of noise": (NOISE[:70_000] + frames(1), None),
    "mp3 in RIFF": (b"RIFF\0\0\0\0RMP3data", "mp3"),
    "wav with a tag": (id3(54) + wav(NOISE), "wav"),
    "flac with a tag": (id3(54) + b"fLaC" + NOISE, "flac"),
    "flac with a large tag": (id3(200_000) + b"fLaC" + NOISE, "flac"),
    "flac with a tag of over 2 MiB, as of pictures": (id3(2_200_000) + b"fLaC" + NOISE, "flac"),
    "text with a tag": (id3(54) + b"some words", "text"),
    "a tag alone": (id3(54), None),
    "a tag cut off in its size": (b"ID3\x03\x00\x00\x00", None),
    "aac": (ADTS, "aac"),
    "aac of two frames": (ADTS[:32], "aac"),
    "aac's sync word once": (ADTS[:16] + NOISE[:100], None),
    "layer 1": (LAYER_1, "mp1"),
    "layer 2": (LAYER_2, "mp2"),
    "layer 2 behind junk": (NOISE[:50] + LAYER_2, "mp2"),
    "a header and noise": (mpeg()[:4] + NOISE, None),
    "two frames and noise": (mpeg() * 2 + NOISE, None),
    "headers without their frames": (mpeg()[:4] * 5_000, None),
    "a reserved version": (b"\xff\xeb\x90\x64" * 200, None),
    "a bad bitrate": (b"\xff\xfb\xf0\x64" * 200, None),
    "a reserved rate": (b"\xff\xfb\x9c\x64" * 200, None),
    "another kind of frame behind the first": (mpeg() + MPEG_2[:208] + mpeg() + NOISE, None),
    "noise": (NOISE, None),
    "silence without a header": (bytes(100_000), None),
    "0xFF without end": (b"\xff" * 100_000, None),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF" + NOISE, "jpeg"),
    "png": (b"\x89PNG\r\n\x1a\n" + NOISE, "png"),
    "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "html"),
    "html in capitals": (b"<HTML><HEAD>", "html"),
    "html as UTF-16": ("\ufeff<html>".encode("utf-16-le"), "html"),
    "xml": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "xml"),
    "json": (b' {"code": 20012, "message": "no"}', "json"),
    "a list": (b"[1, 2]", "json"),
    "a string": (b'"Invalid token"\n', "json"),
    "a data URI": (b"data:audio/mpeg;base64," + base64.b64encode(frames(1)), "data-uri"),
    "base64": (base64.b64encode(frames(1)), "base64"),
    "base64 in lines": (base64.encodebytes(frames(1)), "base64"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git-lfs"),
    "an address": (b"https://example.com/a.mp3\n", "url"),
    "text": (b"Once upon a time", "text"),
    "Chinese text": ("慢工出细活，再给我两分钟".encode(), "text"),
    "Chinese text that is cut off": ("慢工出细活".encode() * 2_000, "text"),
    "Chinese text of old": ("慢工出细活，再给我两分钟".encode("gb18030"), "text"),
    "UTF-16 text": (b"\xff\xfeO\x00n\x00", "text"),
    "UTF-16 text that is cut off": (b"\xff\xfeO\x00n", "text"),
    "a mark alone": (b"\xef\xbb\xbf", None),
    "one byte that begins a letter": (b"\xe6", None),
    "controls": (b"abc\x01def", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("data", "expected"), HEADS.values(), ids=HEADS.keys())
def test_a_format_is_told_by_what_is_there(data: bytes, expected: str | None) -> None:
    assert detect(Window(data)).format == expected


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (frames(1), 0),
        (id3(54) + wav(b""), 64),
        (ape(500) + frames(1), 564),
        (bytes(512) + frames(1), 512),
        (frames(1)[200:], 217),
        (NOISE[:9_001] + frames(1), 9_001),
    ],
)
def test_it_tells_where_the_recording_begins(data: bytes, start: int) -> None:
    assert detect(Window(data)).start == start


def test_an_mp3_is_told_by_the_beginning_of_a_stream() -> None:
    beginnings = [mpeg()[:100], mpeg()[:4], frames(1)[:700], id3(9_000)[:4_096], id3(100) + mpeg()[:50]]
    found = [detect(Window(data, whole=False)).format for data in beginnings]
    assert found == ["mp3"] * len(beginnings)


def test_the_beginning_of_a_frame_alone_is_not_an_mp3() -> None:
    assert detect(Window(mpeg()[:100])).format is None


@pytest.mark.parametrize("bit", range(32))
def test_frames_that_do_not_agree_are_not_an_mp3(bit: int) -> None:
    header = int.from_bytes(mpeg()[:4], "big") ^ 1 << bit
    data = mpeg() + struct.pack(">I", header) + NOISE[:413] + NOISE
    assert detect(Window(data)).format in {None, "text"}

"""Recordings made fit for a reference, as ffmpeg's own tools see them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from support import spoken

from siliconflow_voice import PreparationReport, PreparedAudio, inspect_audio, prepare

pytestmark = spoken.needs_tools
Make = Callable[[Path, Path], Path]


async def saved(prepared: PreparedAudio, folder: Path) -> Path:
    path = folder / f"prepared.{prepared.format}"
    await prepared.save(path)
    return path


def power(samples: memoryview) -> float:
    """Return the mean power of samples in dBFS."""
    mean = sum(sample * sample for sample in samples) / max(len(samples), 1)
    return 10 * math.log10(max(mean, 1) / (1 << 30))


async def test_an_interview_is_cut_to_its_best_seconds(interview: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(interview.read_bytes()).digest()
    prepared = await prepare(interview)
    report = prepared.report
    path = await saved(prepared, tmp_path)
    assert hashlib.sha256(interview.read_bytes()).digest() == before
    assert prepared.was_cut
    assert report.at_pauses
    assert 8 <= report.duration <= 10
    assert report.duration == pytest.approx(report.end - report.start, abs=0.06)
    assert report.trimmed == pytest.approx(180 - report.duration, abs=0.2)
    assert (report.source_codec, report.source_channels, report.source_rate) == ("aac", 2, 44_100)
    assert report.size == path.stat().st_size < 300_000
    stream = spoken.probe(path)["streams"][0]
    assert (stream["codec_name"], stream["sample_rate"], stream["channels"]) == ("mp3", "44100", 1)
    assert int(stream["bit_rate"]) == 192_000


async def test_the_loudness_is_what_was_asked_for(interview: Path, tmp_path: Path) -> None:
    for loudness, peak in ((-16.0, -1.5), (-23.0, -6.0)):
        prepared = await prepare(interview, loudness=loudness, peak=peak)
        integrated, true_peak = spoken.loudness(await saved(prepared, tmp_path))
        assert integrated == pytest.approx(loudness, abs=1)
        assert integrated == pytest.approx(prepared.report.loudness_after, abs=0.11)
        assert true_peak <= peak + 0.1


async def test_a_cut_is_not_within_a_word(interview: Path) -> None:
    report = (await prepare(interview)).report
    samples = spoken.samples(interview, 8_000)
    part = samples[int(report.start * 8_000) : int(report.end * 8_000)]
    for place in (report.start, report.end):
        around = samples[int((place - 0.04) * 8_000) : int((place + 0.04) * 8_000)]
        assert power(around) < power(part) - 15


def converted(*options: str, suffix: str) -> Make:
    def make(source: Path, folder: Path) -> Path:
        return spoken.through(source, folder / f"made{suffix}", *options)

    return make


def video(source: Path, folder: Path) -> Path:
    inputs = ["-f", "lavfi", "-i", "testsrc=d=9:s=160x120:r=10", "-i", str(source)]
    return spoken.through(inputs, folder / "made.mp4", "-shortest")


@pytest.mark.parametrize(
    ("make", "sound"),
    [
        (converted(suffix=".flac"), ("flac", 1, 22_050)),
        (converted("-c:a", "libopus", suffix=".webm"), ("opus", 1, 48_000)),
        (converted("-c:a", "libvorbis", suffix=".ogg"), ("vorbis", 1, 22_050)),
        (converted("-ar", "8000", suffix=".wav"), ("pcm_s16le", 1, 8_000)),
        (converted("-ac", "2", "-ar", "48000", suffix=".m4a"), ("aac", 2, 48_000)),
        (converted("-af", "pan=5.1|FC=c0", suffix=".m4a"), ("aac", 6, 22_050)),
        (converted("-af", "pan=stereo|c0=c0|c1=-1*c0", suffix=".wav"), ("pcm_s16le", 2, 22_050)),
        (converted("-af", "volume=-58dB", "-c:a", "pcm_s24le", suffix=".wav"), ("pcm_s24le", 1, 22_050)),
        (converted("-af", "volume=30dB", suffix=".mp3"), ("mp3float", 1, 22_050)),
        (video, ("aac", 1, 22_050)),
    ],
    ids=["flac", "webm", "ogg", "8 kHz", "stereo", "5.1", "opposite", "quiet", "clipped", "video"],
)
async def test_whatever_ffmpeg_reads_is_made_fit(
    recorded: Path, tmp_path: Path, make: Make, sound: tuple[str, int, int]
) -> None:
    prepared = await prepare(make(recorded, tmp_path))
    report = prepared.report
    assert (report.source_codec, report.source_channels, report.source_rate) == sound
    assert not prepared.was_cut
    assert (report.start, report.end) == pytest.approx((0.8, 6.9), abs=0.2)
    assert report.loudness_after == pytest.approx(-16, abs=1)
    assert report.peak_after <= -1.5


async def test_a_short_recording_is_kept_whole_and_only_freed_of_silence(
    recorded: Path, tmp_path: Path
) -> None:
    prepared = await prepare(recorded, format="wav")
    path = await saved(prepared, tmp_path)
    assert not prepared.was_cut
    assert 1.2 < prepared.report.trimmed < 2
    stream = spoken.probe(path)["streams"][0]
    assert (stream["codec_name"], stream["sample_rate"], stream["channels"]) == ("pcm_s16le", "44100", 1)
    facts = await inspect_audio(path)
    assert (facts.format, facts.size) == ("wav", prepared.report.size)
    assert facts.duration == pytest.approx(prepared.report.duration, abs=0.001)


async def test_a_recording_is_cut_as_short_as_it_is_asked_for(interview: Path) -> None:
    prepared = await prepare(interview, seconds=(3, 5), whole=5)
    assert 3 <= prepared.report.duration <= 5


async def test_what_has_speech_of_more_than_the_best_seconds_is_kept_whole_up_to_the_limit(
    interview: Path, tmp_path: Path
) -> None:
    part = spoken.through(interview, tmp_path / "part.wav", "-t", "25")
    assert not (await prepare(part)).was_cut
    assert (await prepare(part, whole=12)).was_cut


async def test_the_kind_of_sound_may_change_in_the_middle(recorded: Path, tmp_path: Path) -> None:
    parts = [
        spoken.through(recorded, tmp_path / f"{rate}.aac", "-ar", rate, "-ac", channels)
        for rate, channels in (("22050", "1"), ("44100", "2"))
    ]
    chained = tmp_path / "chained.aac"
    chained.write_bytes(b"".join(part.read_bytes() for part in parts))
    report = (await prepare(chained)).report
    once = float(spoken.probe(recorded)["format"]["duration"])
    assert report.source_duration == pytest.approx(2 * once, abs=0.3)
    assert report.speech == pytest.approx(2 * (await prepare(recorded)).report.speech, abs=1.5)


async def test_the_same_recording_comes_to_the_same_bytes(recorded: Path) -> None:
    assert (await prepare(recorded)).data == (await prepare(recorded)).data


def test_what_is_left_out_is_never_less_than_nothing(recorded: Path) -> None:
    figures = dict.fromkeys(("loudness_before", "loudness_after", "peak_before", "peak_after"), -16.0)
    report = PreparationReport(
        "wav",
        "pcm_s16le",
        2.0,
        1,
        8_000,
        2.0,
        0.0,
        2.01,
        **figures,
        at_pauses=True,
        duration=2.01,
        sample_rate=44_100,
        size=1,
    )
    assert report.trimmed == 0

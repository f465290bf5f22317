"""Recordings from the tools themselves, each held against the seconds that ffmpeg decodes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from field.survey import decoded, run

from siliconflow_voice import AudioLimits, inspect_audio
from siliconflow_voice.audio.checks import audio_refusal

QUIET = ("ffmpeg", "-v", "error", "-y", "-i", "IN")

# What makes it, the seconds that go in, and why it would be refused, if it would.
MADE: dict[str, tuple[tuple[str, ...], float, str | None]] = {
    "ffmpeg.mp3": ((*QUIET, "OUT"), 10, None),
    "ffmpeg-30s.mp3": ((*QUIET, "-t", "30", "OUT"), 40, None),
    "ffmpeg-30s-8kHz.mp3": ((*QUIET, "-t", "30", "-ar", "8000", "OUT"), 40, None),
    "ffmpeg-31s.mp3": ((*QUIET, "-t", "31", "OUT"), 40, "too_long"),
    "piped-vbr.mp3": ((*QUIET, "-q:a", "0", "-f", "mp3", "pipe:1"), 10, None),
    "piped-30s.mp3": ((*QUIET, "-t", "30", "-f", "mp3", "pipe:1"), 40, None),
    "piped-30s-16kHz.mp3": ((*QUIET, "-t", "30", "-ar", "16000", "-f", "mp3", "pipe:1"), 40, None),
    "piped-60s.mp3": ((*QUIET, "-f", "mp3", "-b:a", "32k", "pipe:1"), 60, "too_long"),
    "ffmpeg-id3v1.mp3": ((*QUIET, "-write_id3v1", "1", "-metadata", "title=慢工", "OUT"), 10, None),
    "shine.mp3": ((*QUIET, "-ar", "44100", "-c:a", "libshine", "OUT"), 10, None),
    "lame-cbr.mp3": (("lame", "--quiet", "-b", "64", "IN", "OUT"), 10, None),
    "lame-vbr.mp3": (("lame", "--quiet", "-V", "0", "IN", "OUT"), 29.9, None),
    "lame-no-tag.mp3": (("lame", "--quiet", "-t", "IN", "OUT"), 10, None),
    "lame-free-format.mp3": (("lame", "--quiet", "--freeformat", "-b", "200", "IN", "OUT"), 10, "format"),
    "layer-2.mp3": ((*QUIET, "-c:a", "mp2", "-f", "mp2", "OUT"), 10, "format"),
    "ffmpeg.wav": ((*QUIET, "OUT"), 10, None),
    "ffmpeg-float.wav": ((*QUIET, "-c:a", "pcm_f32le", "OUT"), 10, None),
    "ffmpeg-24.wav": ((*QUIET, "-c:a", "pcm_s24le", "OUT"), 10, None),
    "ffmpeg-alaw.wav": ((*QUIET, "-ar", "8000", "-c:a", "pcm_alaw", "OUT"), 60, "too_long"),
    "ffmpeg-ima.wav": ((*QUIET, "-c:a", "adpcm_ima_wav", "OUT"), 10, None),
    "ffmpeg-yamaha.wav": ((*QUIET, "-c:a", "adpcm_yamaha", "OUT"), 10, None),
    "ffmpeg-mp3.wav": ((*QUIET, "-c:a", "libmp3lame", "OUT"), 10, None),
    "piped.wav": ((*QUIET, "-f", "wav", "pipe:1"), 10, None),
    "piped-60s.wav": ((*QUIET, "-ar", "16000", "-f", "wav", "pipe:1"), 60, "too_long"),
    "rf64.wav": ((*QUIET, "-rf64", "always", "OUT"), 10, "format"),
    "sox-ulaw.wav": (("sox", "IN", "-r", "8000", "-e", "mu-law", "OUT"), 10, None),
    "sox-gsm.wav": (("sox", "IN", "-r", "8000", "-e", "gsm-full-rate", "OUT"), 10, None),
    "sox-piped.wav": (("sox", "IN", "-t", "wav", "-"), 10, None),
    "sox-40s.wav": (("sox", "IN", "-r", "8000", "OUT"), 40, "too_long"),
    "opusenc.opus": (("opusenc", "--quiet", "IN", "OUT"), 29.9, None),
    "opusenc-60ms.opus": (("opusenc", "--quiet", "--framesize", "60", "IN", "OUT"), 10, None),
    "opusenc-60s.opus": (("opusenc", "--quiet", "--bitrate", "8", "IN", "OUT"), 60, "too_long"),
    "ffmpeg-30s.opus": ((*QUIET, "-t", "30", "-c:a", "libopus", "OUT"), 40, None),
    "a-packet-a-page.opus": (
        (*QUIET, "-c:a", "libopus", "-page_duration", "1", "-f", "ogg", "OUT"),
        10,
        None,
    ),
    "empty.wav": ((*QUIET, "-t", "0", "OUT"), 10, "empty"),
    **{
        f"other.{kind}": ((*QUIET, "OUT"), 3, "format")
        for kind in ("flac", "m4a", "aiff", "caf", "wma", "webm", "aac", "au", "w64", "ogg", "mka", "3gp")
    },
}


def needs(*tools: str) -> None:
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed here")


def make(folder: Path, name: str, command: tuple[str, ...], seconds: float) -> Path:
    """Have a tool make a recording of a tone, by itself or through a pipe."""
    needs("ffmpeg", command[0])
    tone, out = folder / "tone.wav", folder / name
    source = f"sine=f=220:r=44100:d={seconds}"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, str(tone)], check=True)
    if command[-1] == "OUT" and name.endswith("3gp"):
        command = (*command[:-1], "-c:a", "aac", "OUT")
    places = {"IN": str(tone), "OUT": str(out)}
    written = subprocess.run(
        [places.get(part, part) for part in command], check=True, stdout=subprocess.PIPE
    ).stdout
    if "OUT" not in command:
        out.write_bytes(written)
    return out


@pytest.mark.parametrize("name", MADE)
async def test_what_a_tool_makes_is_measured_as_ffmpeg_decodes_it(name: str, tmp_path: Path) -> None:
    command, seconds, rule = MADE[name]
    path = make(tmp_path, name, command, seconds)
    facts = await inspect_audio(path)
    refusal = audio_refusal(AudioLimits(), facts, name)
    assert (refusal.rule if refusal else None) == rule
    if facts.duration:
        # A decoder may leave out the first frame, and decode the last one though it is cut off.
        assert facts.duration == pytest.approx(decoded(path), abs=0.06)


@pytest.mark.parametrize("language", ["en", "cmn"])
async def test_what_a_synthesiser_speaks_is_measured(language: str, tmp_path: Path) -> None:
    needs("espeak-ng", "ffmpeg")
    path = tmp_path / "spoken.wav"
    path.write_bytes(run(("espeak-ng", "-v", language, "--stdout", "慢工出细活 slow work")))
    facts = await inspect_audio(path)
    assert facts.duration == pytest.approx(decoded(path), abs=0.01)


@pytest.mark.parametrize(
    "name", ["ffmpeg.mp3", "piped-vbr.mp3", "lame-no-tag.mp3", "opusenc.opus", "ffmpeg.wav"]
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_so_is_what_is_left_of_it_when_it_is_cut(name: str, share: float, tmp_path: Path) -> None:
    command, seconds, _ = MADE[name]
    path = make(tmp_path, name, command, seconds)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert (await inspect_audio(path)).duration == pytest.approx(decoded(path), abs=0.06)


@pytest.mark.parametrize("name", ["piped-vbr.mp3", "lame-no-tag.mp3"])
@pytest.mark.parametrize("share", [0.1, 0.5])
async def test_so_is_what_is_cut_out_of_its_middle(name: str, share: float, tmp_path: Path) -> None:
    command, seconds, _ = MADE[name]
    path = make(tmp_path, name, command, seconds)
    data = path.read_bytes()
    path.write_bytes(data[int(len(data) * share) :])
    facts = await inspect_audio(path)
    assert facts.format == "mp3"
    assert facts.duration == pytest.approx(decoded(path), abs=0.08)

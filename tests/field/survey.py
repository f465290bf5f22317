"""Make some two hundred recordings with the tools that people use, and compare what is said of each.

    python tests/field/survey.py [FOLDER]

For each, the seconds that ffmpeg decodes, those that ``inspect_audio`` says, and whether it would be refused;
at the end, the largest difference. Needs ffmpeg, lame, sox, opusenc and espeak-ng.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from siliconflow_voice import AudioLimits, inspect_audio
from siliconflow_voice.audio.checks import audio_refusal

TOOLS = ("ffmpeg", "ffprobe", "lame", "sox", "opusenc", "espeak-ng")
QUIET = ("ffmpeg", "-v", "error", "-y")
RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

Command = tuple[str, ...]


def originals(folder: Path) -> list[Path]:
    """Write what all others are made of: speech in two languages, and a noisy tone of 29.9 s."""
    made = [folder / "en.wav", folder / "zh.wav", folder / "tone.wav"]
    english = "Slow work makes fine things. Give me two more minutes, and I will give you a better answer."
    run(("espeak-ng", "-w", str(made[0]), english))
    run(("espeak-ng", "-v", "cmn", "-w", str(made[1]), "慢工出细活，再给我两分钟。" * 3))
    tone = "sine=f=220:r=44100:d=29.9[a];anoisesrc=r=44100:d=29.9:a=0.1[b];[a][b]amix"
    run((*QUIET, "-filter_complex", tone, "-ac", "2", str(made[2])))
    return made


def commands(source: Path) -> Iterator[tuple[str, str, Command]]:
    """Yield the names of recordings, who makes them, and how; ``OUT`` stands for the file."""
    of = str(source)
    for rate in RATES:
        to = str(rate)
        yield f"ffmpeg-{rate}.wav", "ffmpeg wav", (*QUIET, "-i", of, "-ar", to, "OUT")
        yield f"ffmpeg-{rate}.mp3", "ffmpeg mp3", (*QUIET, "-i", of, "-ar", to, "OUT")
        yield f"sox-{rate}.wav", "sox wav", ("sox", of, "-r", to, "OUT")
    for bits in ("32k", "64k", "128k", "192k", "320k"):
        yield f"ffmpeg-{bits}.mp3", "ffmpeg mp3", (*QUIET, "-i", of, "-b:a", bits, "OUT")
        yield f"lame-{bits}.mp3", "lame", ("lame", "--quiet", "-b", bits[:-1], of, "OUT")
    for quality in ("0", "2", "5", "9"):
        yield f"lame-V{quality}.mp3", "lame vbr", ("lame", "--quiet", "-V", quality, of, "OUT")
        yield f"piped-q{quality}.mp3", "ffmpeg mp3, piped", (
            *QUIET, "-i", of, "-q:a", quality, "-f", "mp3", "pipe:1",
        )  # fmt: skip
    yield "lame-no-tag.mp3", "lame, no tag", ("lame", "--quiet", "-t", "-b", "96", of, "OUT")
    yield "lame-abr.mp3", "lame abr", ("lame", "--quiet", "--abr", "100", of, "OUT")
    yield "lame-crc.mp3", "lame, crc", ("lame", "--quiet", "-p", "-b", "128", of, "OUT")
    yield (
        "lame-id3.mp3",
        "lame, tags",
        ("lame", "--quiet", "--tt", "t", "--pad-id3v2-size", "9000", of, "OUT"),
    )
    for codec in ("pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw",
                  "adpcm_ms", "adpcm_ima_wav", "adpcm_yamaha", "g726"):  # fmt: skip
        narrow = ("-ar", "8000", "-ac", "1") if codec == "g726" else ()
        yield f"{codec}.wav", "ffmpeg wav codecs", (*QUIET, "-i", of, *narrow, "-c:a", codec, "OUT")
    yield "mp3-in.wav", "ffmpeg wav codecs", (*QUIET, "-i", of, "-c:a", "libmp3lame", "OUT")
    yield "piped.wav", "ffmpeg wav, piped", (*QUIET, "-i", of, "-f", "wav", "pipe:1")
    yield "rf64.wav", "ffmpeg rf64", (*QUIET, "-i", of, "-rf64", "always", "OUT")
    yield "gsm.wav", "sox codecs", ("sox", of, "-r", "8000", "-c", "1", "-e", "gsm-full-rate", "OUT")
    yield "alaw.wav", "sox codecs", ("sox", of, "-r", "8000", "-c", "1", "-e", "a-law", "OUT")
    yield "ima.wav", "sox codecs", ("sox", of, "-e", "ima-adpcm", "OUT")
    yield "shine.mp3", "shine", (*QUIET, "-i", of, "-ar", "44100", "-c:a", "libshine", "OUT")
    yield "piped-sox.wav", "sox wav, piped", ("sox", of, "-t", "wav", "-")
    for frame in ("2.5", "10", "20", "60"):
        yield f"ffmpeg-{frame}ms.opus", "ffmpeg opus", (
            *QUIET, "-i", of, "-c:a", "libopus", "-frame_duration", frame, "OUT",
        )  # fmt: skip
        yield f"opusenc-{frame}ms.opus", "opusenc", ("opusenc", "--quiet", "--framesize", frame, of, "OUT")
    yield "opusenc-6k.opus", "opusenc", ("opusenc", "--quiet", "--bitrate", "6", "--speech", of, "OUT")
    yield "piped.opus", "ffmpeg opus, piped", (
        *QUIET, "-i", of, "-c:a", "libopus", "-page_duration", "20000", "-f", "ogg", "pipe:1",
    )  # fmt: skip
    yield "vorbis.ogg", "others", (*QUIET, "-i", of, "-c:a", "libvorbis", "OUT")
    for name in ("a.flac", "a.m4a", "a.aiff", "a.caf", "a.wma", "a.webm", "a.mp2", "a.aac", "a.au", "a.w64"):
        yield name, "others", (*QUIET, "-i", of, "OUT")


def derived(folder: Path, source: str) -> Iterator[tuple[str, str]]:
    """Cut, join and tag what was made, as people and servers do; yield names and who does it."""
    mp3 = (folder / f"{source}-lame-128k.mp3").read_bytes()
    vbr = (folder / f"{source}-piped-q2.mp3").read_bytes()
    opus = (folder / f"{source}-opusenc-20ms.opus").read_bytes()
    wav = (folder / f"{source}-ffmpeg-16000.wav").read_bytes()
    plain = (folder / f"{source}-lame-no-tag.mp3").read_bytes()
    id3 = b"ID3\x03\0\0\0\0\x07\x76" + bytes(1014)
    for name, who, data in (
        ("cut.mp3", "cut", mp3[: len(mp3) * 2 // 3]),
        ("cut-vbr.mp3", "cut", vbr[: len(vbr) // 2]),
        ("middle.mp3", "cut", plain[len(plain) // 3 + 101 :]),
        ("cut.wav", "cut", wav[: len(wav) // 2]),
        ("cut.opus", "cut", opus[: len(opus) // 2]),
        ("twice.mp3", "joined with cat", mp3 + mp3),
        ("twice-vbr.mp3", "joined with cat", vbr + plain),
        ("twice.opus", "joined with cat", opus + opus),
        ("two-tags.mp3", "tagged", id3 + id3 + mp3),
        ("id3v1.mp3", "tagged", vbr + b"TAG" + bytes(125)),
        ("zeros.mp3", "tagged", bytes(4_096) + plain + bytes(2_000)),
        ("tagged.wav", "tagged", id3 + wav),
    ):
        (folder / f"{source}-{name}").write_bytes(data)
        yield f"{source}-{name}", who


def run(command: Command) -> bytes:
    """Run a tool, and return what it writes."""
    return subprocess.run(command, check=True, capture_output=True).stdout


def make(folder: Path, name: str, command: Command) -> None:
    """Have a tool make a recording, by itself or through a pipe."""
    out = folder / name
    written = run(tuple(str(out) if part == "OUT" else part for part in command))
    if "OUT" not in command:
        out.write_bytes(written)


def decoded(path: Path) -> float | None:
    """Return the seconds that ffmpeg makes of a recording."""
    command = ("ffmpeg", "-v", "quiet", "-i", str(path), "-ac", "1", "-ar", "48000", "-f", "s16le", "pipe:1")
    samples = subprocess.run(command, check=False, capture_output=True).stdout
    return len(samples) / 96_000 if samples else None


def written_in_python(folder: Path) -> Iterator[tuple[str, str]]:
    """Write wavs as scripts do."""
    for rate in (8_000, 16_000, 24_000):
        path = folder / f"python-{rate}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(bytes(range(250)) * (rate // 10))
        yield path.name, "python's wave"


def survey(folder: Path) -> int:
    """Make, look at and compare all of them; return how many differ by more than 0.1 s."""
    recordings = list(written_in_python(folder))
    with ThreadPoolExecutor(2) as threads:
        for source in originals(folder):
            kinds = [(f"{source.stem}-{name}", who, command) for name, who, command in commands(source)]
            list(threads.map(lambda kind: make(folder, kind[0], kind[2]), kinds))
            recordings += [(name, who) for name, who, _ in kinds]
            recordings += derived(folder, source.stem)
        lengths = list(threads.map(lambda recording: decoded(folder / recording[0]), recordings))
    worst, wrong, measured = (0.0, ""), 0, 0
    for (name, who), seconds in zip(recordings, lengths, strict=True):
        facts = asyncio.run(inspect_audio(folder / name))
        refusal = audio_refusal(AudioLimits(), facts, name)
        said = "refused: " + refusal.rule if refusal else "accepted"
        shown = "unknown" if facts.duration is None else f"{facts.duration:9.4f}"
        difference = ""
        if facts.duration is not None and seconds is not None:
            measured += 1
            apart = abs(facts.duration - seconds)
            worst = max(worst, (apart, name))
            wrong += apart > 0.1
            difference = f"{facts.duration - seconds:+.4f}"
        full = "nothing" if seconds is None else f"{seconds:9.4f}"
        print(f"{name:28} {who:20} {full:>9} {facts.format!s:6} {shown:>9} {difference:>8} {said}")
    makes = len({who for _, who in recordings})
    print(f"{len(recordings)} recordings of {makes} makes, {measured} measured")
    print(f"largest difference {worst[0]:.4f} s ({worst[1]}); {wrong} of more than 0.1 s")
    return wrong


if __name__ == "__main__":
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        sys.exit(f"needs {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(survey(Path(sys.argv[1] if len(sys.argv) > 1 else scratch)) > 0)

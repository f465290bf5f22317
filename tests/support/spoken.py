"""Recordings of a voice, made by espeak-ng and ffmpeg, and what ffmpeg's own tools say of one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

__all__ = ["LINES", "interview", "loudness", "needs_tools", "probe", "samples", "speak", "through"]

needs_tools = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("ffmpeg", "ffprobe", "espeak-ng")),
    reason="ffmpeg or espeak-ng is not installed",
)

LINES = (
    "Good morning, and thank you for coming. It took us three weeks to find a date.",
    "Thank you for having me. I have been listening to this programme since I was a child.",
    "Let us begin with your first book. Where did the idea come from?",
    "It came from a letter that my grandmother wrote in nineteen forty six. It took me four years.",
    "And when you read it for the first time, what did you feel?",
    "I was sitting at the kitchen table. I remember the light. I did not move for a long time.",
)


def speak(text: str, path: Path, *, voice: str = "en-us") -> Path:
    """Have a text spoken into a wav of 22.05 kHz."""
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", path, text], check=True)
    return path


def through(source: Path | Sequence[str], path: Path, *options: str) -> Path:
    """Make a file of another one, or of inputs of ffmpeg's own, with its options."""
    inputs = ["-i", str(source)] if isinstance(source, Path) else list(source)
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, *options, str(path)], check=True)
    return path


def interview(path: Path, seconds: int) -> Path:
    """Make an interview: a loud and a quiet voice, pauses, silence at both ends, and the noise of a room."""
    inputs: list[str] = []
    placed: list[str] = []
    spoken = [
        speak(line, path.with_name(f"line-{number}.wav"), voice=("en-us+m3", "en+f4")[number % 2])
        for number, line in enumerate(LINES)
    ]
    lengths = [float(probe(line)["format"]["duration"]) for line in spoken]
    at, number = 4.0, 0
    while at + lengths[number % len(LINES)] < seconds - 5:
        line, loud = number % len(LINES), number % 2 == 0
        inputs += ["-i", str(spoken[line])]
        place = f"volume={-8 if loud else -26}dB,adelay={int(at * 1000)}:all=1"
        placed.append(f"[{number}]aresample=44100,{place}[a{number}]")
        at += lengths[line] + (2.5 if number % 3 == 0 else 0.9)
        number += 1
    voices = "".join(f"[a{index}]" for index in range(number))
    graph = [
        *placed,
        f"{voices}amix=inputs={number}:normalize=0,apad,atrim=0:{seconds}[v]",
        f"anoisesrc=d={seconds}:c=pink:a=0.004:r=44100:seed=3[n]",
        "[v][n]amix=inputs=2:normalize=0,aformat=channel_layouts=stereo[o]",
    ]
    return through(inputs, path, "-filter_complex", ";".join(graph), "-map", "[o]", "-b:a", "128k")


def probe(path: Path) -> dict[str, Any]:
    """Return what ffprobe says of a file: its format, and its stream."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def loudness(path: Path) -> tuple[float, float]:
    """Return what ffmpeg's own meter says: integrated loudness in LUFS, true peak in dBFS."""
    command = [
        "ffmpeg",
        "-hide_banner",
        "-nostats",
        "-i",
        str(path),
        "-af",
        "ebur128=peak=true",
        "-f",
        "null",
        "-",
    ]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stderr.rpartition("Summary:")[
        2
    ]
    integrated = re.search(r"I:\s+(-?[\d.]+) LUFS", said)
    peak = re.search(r"Peak:\s+(-?[\d.]+|-inf) dBFS", said)
    assert integrated is not None
    assert peak is not None
    return float(integrated[1]), float(peak[1])


def samples(path: Path, rate: int) -> memoryview:
    """Return the 16-bit samples of a file, mixed to mono."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(rate), "-f", "s16le", "-"]
    return memoryview(subprocess.run(command, capture_output=True, check=True).stdout).cast("h")

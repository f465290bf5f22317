"""The command ``inspect``: what the SDK thinks of recordings, and why one would be refused."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from siliconflow_voice.audio.checks import AudioLimits, audio_refusal
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.inspection import inspect_audio
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Flag
from siliconflow_voice.cli.terminal import Stdout, format_bytes, shortened
from siliconflow_voice.errors import InvalidUploadError, SiliconFlowError

__all__ = ["inspect"]


async def inspect(files: list[Path], /, *, json: Flag = False) -> int:
    """Show the format, size and duration of recordings, and which would be refused. Nothing is sent.

    A duration is shown only if it is known, and a recording is refused only for what is known.

    For example:

        siliconflow-voice inspect narrator.mp3
        siliconflow-voice inspect *.wav --json

    Exit status: 0 all would be accepted; 1 at least one would be refused or can't be read; 2 invalid usage; 3
    standard output can't be written.

    Parameters
    ----------
    files
        The recordings.
    json
        Print one JSON object per recording, for programs (default: off).
    """
    stdout = Stdout()
    refused = False
    for path in files:
        found = await _look_at(path)
        refused |= found.reason is not None
        if json:
            stdout.event("recording", **found.fields())
        else:
            stdout.write(f"{shortened(str(found), 1000)}\n")
        if failure := stdout.failure():
            raise failure
    return SOME_FAILED if refused else ALL_DONE


@frozen
class _Found:
    """A recording, what is known of it, and why it would be refused."""

    path: Path
    facts: AudioFacts | None
    """None, if it can't be read."""
    rule: str | None = None
    reason: str | None = None

    def fields(self) -> dict[str, object]:
        facts = self.facts
        return {
            "file": str(self.path),
            "format": facts and facts.format,
            "media_type": facts and facts.media_type,
            "size": facts and facts.size,
            "duration": facts and facts.duration,
            "rule": self.rule,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        parts = [f"{self.path}: {_described(self.facts)}"] if self.facts is not None else []
        return ". ".join(
            [*parts, translated("Refused: {reason}", reason=self.reason)] if self.reason else parts
        )


def _described(facts: AudioFacts) -> str:
    lasts = translated("duration not known") if facts.duration is None else f"{facts.duration:.2f} s"
    return f"{facts.format or translated('not recognised')}, {format_bytes(facts.size or 0)}, {lasts}"


async def _look_at(path: Path) -> _Found:
    try:
        facts = await inspect_audio(path)
    except InvalidUploadError as error:
        return _Found(path, None, error.rule, error.reason)
    except SiliconFlowError as error:
        return _Found(path, None, "source", error.message)
    refusal = audio_refusal(AudioLimits(), facts, str(path))
    if refusal is None:
        return _Found(path, facts)
    return _Found(path, facts, refusal.rule, refusal.reason)

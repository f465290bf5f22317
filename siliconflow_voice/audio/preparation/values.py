"""What a preparation is asked for, and what it returns: a recording that can be uploaded, and its figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, get_args

from attrs import Attribute, field, frozen

from siliconflow_voice.audio.source import BytesSource
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, SiliconFlowError
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.validation import positive

__all__ = ["PreparationReport", "PreparedAudio", "PreparedFormat", "Recipe"]

PreparedFormat: TypeAlias = Literal["mp3", "wav"]

_MEDIA_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}


def _one_of(_instance: object, attribute: Attribute[Any], value: Any) -> None:
    if value not in get_args(PreparedFormat):
        raise ConfigurationError(f"{attribute.name} must be mp3 or wav, got {value!r:.80}")


def _bounds(_instance: object, attribute: Attribute[Any], value: Any) -> None:
    try:
        least, most = value
        right = 1 <= least < most
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ConfigurationError(
            f"{attribute.name} must be two numbers of seconds, the lower first and at least 1, "
            f"got {value!r:.80}"
        )


def _between(least: float, most: float) -> Any:
    def validate(_instance: object, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigurationError(
                f"{attribute.name} must be between {least:g} and {most:g}, got {value!r:.80}"
            )

    return validate


@frozen
class Recipe:
    """What a recording is to become."""

    format: PreparedFormat = field(validator=_one_of)
    seconds: tuple[float, float] = field(validator=_bounds)
    whole: float = field(validator=positive)
    loudness: float = field(validator=_between(-40, -8))
    peak: float = field(validator=_between(-20, 0))


@frozen
class PreparationReport:
    """What was done to a recording, in figures. Times are seconds from the beginning of the source."""

    source_format: str
    """ffmpeg's name of the container, such as ``mov,mp4,m4a,3gp,3g2,mj2``."""
    source_codec: str
    """ffmpeg's name of the coding, such as ``aac``."""
    source_duration: float
    """Seconds of sound that were decoded."""
    source_channels: int
    source_rate: int
    """Samples a second."""
    speech: float
    """Seconds of speech that were found."""
    start: float
    """Where the part that was kept begins."""
    end: float
    """Where it ends."""
    at_pauses: bool
    """Whether it begins and ends in pauses; else the quietest places were taken."""
    loudness_before: float | None
    """Integrated loudness of that part in LUFS (EBU R 128); None if it is too quiet to be measured."""
    loudness_after: float | None
    """The same of the result, measured after it was encoded."""
    peak_before: float
    """True peak of that part, in dBTP."""
    peak_after: float
    """The same of the result."""
    duration: float
    """Seconds of the result."""
    sample_rate: int
    """Samples a second of the result."""
    size: int
    """Bytes of the result."""

    @property
    def trimmed(self) -> float:
        """Seconds of the source that were left out."""
        return max(self.source_duration - (self.end - self.start), 0.0)


class PreparedAudio(BytesSource):
    """A recording made fit for a reference. It is accepted wherever audio is, and is in memory.

    If it :attr:`was_cut`, a transcript of the whole recording does not fit it any more: an upload refuses it
    until :meth:`says` has stated what is spoken in the part that was kept.
    """

    def __init__(
        self,
        data: bytes,
        *,
        filename: str,
        format: PreparedFormat,  # noqa: A002 - what AudioFacts calls it too
        was_cut: bool,
        report: PreparationReport,
        text: str | None = None,
    ) -> None:
        super().__init__(data, filename=filename, content_type=_MEDIA_TYPES[format])
        self.data = data
        """The encoded audio."""
        self.format: PreparedFormat = format
        """``mp3`` or ``wav``."""
        self.was_cut = was_cut
        """Whether speech was left out, and not only silence."""
        self.report = report
        """What was done, in figures."""
        self.text = text
        """What :meth:`says` has stated, or None."""

    def __repr__(self) -> str:
        cut = ", cut" if self.was_cut else ""
        return f"PreparedAudio({self.filename!r}, {self.format}, {self.report.duration:.2f} s{cut})"

    def says(self, text: str) -> PreparedAudio:
        """Return the same audio with *text* stated as what is spoken in it, for one that was cut.

        ::

            prepared = await prepare("interview.m4a")
            text = (await client.transcribe(prepared)).text
            voice = await client.upload_voice(prepared.says(text), custom_name="guest", text=text)
        """
        return PreparedAudio(
            self.data,
            filename=self.filename,
            format=self.format,
            was_cut=self.was_cut,
            report=self.report,
            text=text,
        )

    def check_text(self, text: str) -> None:
        if not self.was_cut or self.text == text:
            return
        report = self.report
        raise InvalidUploadError(
            "text",
            f"{self.filename} was cut to {report.duration:.1f} s of {report.source_duration:.1f} s, and a "
            f"transcript of the whole does not fit any more: pass prepared.says(text) as the audio, with "
            f"what is spoken in that part",
            rule="cut",
        )

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Write the audio to a file, which appears when it is complete, and replaces an earlier one.

        Raises:
            SiliconFlowError: It can't be written.
        """
        with OwnThread("save") as thread:
            try:
                await thread.run(_write, Path(path), self.data)
            except OSError as error:
                raise SiliconFlowError(f"{path} can't be written: {error.strerror or error}") from error

    def __getstate__(self) -> NoReturn:
        raise TypeError("a PreparedAudio can't be pickled: save it, or pass its data")


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

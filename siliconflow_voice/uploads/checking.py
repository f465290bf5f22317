"""Checks one upload by every rule, and sends nothing: the first rule that it breaks would hide the others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator
from contextlib import contextmanager

from attrs import define, evolve, field, frozen

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.checks import AudioLimits, check_audio, check_texts
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.errors import InvalidUploadError, SiliconFlowError
from siliconflow_voice.uploads.values import VoiceUpload
from siliconflow_voice.validation import check_choice, check_kind

__all__ = ["Inspector", "Problems", "UploadProblem", "check_upload"]

_RECORDINGS_AT_ONCE = 4


@frozen
class UploadProblem:
    """Something that is wrong with an upload; its ``str()`` reads as a sentence."""

    field: str
    """``audio``, ``custom_name``, ``text``, ``model`` or ``encoding``; or empty, where a manifest's row is
    wrong as a whole."""
    rule: str
    """The rule that is broken, as a word that stays: one of :class:`InvalidUploadError`, or ``source`` where
    the audio can't be read. In a manifest also ``row``: it can't be divided into cells; ``missing``: a cell;
    ``outside``: a path that leads out of the folder; ``duplicate``: the same upload as another row's; and
    ``name_taken``: another row makes another voice of this name."""
    reason: str
    line: int | None = None
    """The line of a manifest on which the row begins, counted from 1."""

    def __str__(self) -> str:
        places = [f"line {self.line}"] if self.line is not None else []
        if self.field:
            places.append(f"column {self.field}" if places else self.field)
        where = ", ".join(places)
        return f"{where}{':' if self.field else ''} {self.reason}"


async def check_upload(
    upload: VoiceUpload, *, limits: AudioLimits | None = AudioLimits()
) -> tuple[UploadProblem, ...]:
    """Return all that is wrong with an upload, by the checks that precede a request; nothing is sent.

    ::

        upload = VoiceUpload("narrator.mp3", custom_name="narrator", text="慢工出细活")
        for problem in await check_upload(upload, limits=client.limits):
            print(problem.field, problem.rule, problem.reason)

    A stream is read as far as it is looked at, and can't be uploaded afterwards; a file object is rewound to
    where it stood.

    Args:
        upload: What to check; nothing is wrong with it if the tuple is empty.
        limits: As those of :class:`VoiceClient`.

    Raises:
        ConfigurationError: *upload* is not a VoiceUpload, or *limits* not an AudioLimits.
    """
    check_kind("upload", upload, VoiceUpload)
    check_kind("limits", limits, AudioLimits, or_none=True)
    inspector = Inspector(limits)
    try:
        problems = Problems()
        await inspector.inspect(upload, problems)
    finally:
        await inspector.close()
    return tuple(problems.found)


@define(eq=False)
class Problems:
    """The problems of one upload."""

    line: int | None = None
    found: list[UploadProblem] = field(factory=list[UploadProblem], init=False)

    def add(self, where: str, rule: str, reason: str) -> None:
        """Note a problem of a field."""
        self.found.append(UploadProblem(where, rule, reason, self.line))

    @contextmanager
    def noting(self) -> Generator[None, None, None]:
        """Note what is refused within it, and go on."""
        try:
            yield
        except InvalidUploadError as error:
            self.add(error.field, error.rule, error.reason)
        except SiliconFlowError as error:
            self.add("audio", "source", error.message)


class Inspector:
    """Finds all that is wrong with uploads, rule by rule."""

    def __init__(self, limits: AudioLimits | None) -> None:
        self._pool = ReadPool()
        # Each takes a buffer until it is closed.
        self._turn = asyncio.Semaphore(_RECORDINGS_AT_ONCE)
        self._of_names = self._of_texts = limits
        self._of_audio: list[AudioLimits] = []
        if limits is not None:
            # What stands in for the name while another text is checked may break its rule.
            self._of_texts = evolve(limits, name_pattern=None)
            none = AudioLimits(formats=None, max_seconds=None, max_bytes=None)
            self._of_audio = [
                evolve(none, max_bytes=limits.max_bytes),
                evolve(none, formats=limits.formats),
                evolve(none, max_seconds=limits.max_seconds),
            ]

    async def inspect(
        self, upload: VoiceUpload, problems: Problems, *, digest: bool = False
    ) -> AudioFacts | None:
        """Check an upload, and note its problems; return the facts of its audio, if that can be read."""
        facts = None
        with problems.noting():
            source = AudioSource.of(upload.audio)
            facts = await self._look_at(source, digest=digest)
            self._check_audio(facts, source.filename, problems)
            source.check_text(upload.text)
        self.check_texts(upload, problems)
        return facts

    def check_texts(self, upload: VoiceUpload, problems: Problems, *, but: Collection[str] = ()) -> None:
        """Check what is not audio, *but* for some fields."""
        if "custom_name" not in but:
            with problems.noting():
                check_texts(self._of_names, custom_name=upload.custom_name, text="-", model="-")
        if "text" not in but:
            with problems.noting():
                check_texts(self._of_texts, custom_name="-", text=upload.text, model="-")
        if "model" not in but:
            with problems.noting():
                check_texts(self._of_texts, custom_name="-", text="-", model=upload.model)
        if "encoding" not in but:
            with problems.noting():
                check_choice("encoding", upload.encoding, Encoding)

    async def close(self) -> None:
        """End its threads."""
        await self._pool.close()

    async def _look_at(self, source: AudioSource, *, digest: bool) -> AudioFacts:
        async with self._turn:
            reading = source.reading(self._pool)
            try:
                return await reading.facts(measure=True, digest=digest)
            finally:
                await reading.close()

    def _check_audio(self, facts: AudioFacts, filename: str, problems: Problems) -> None:
        # What is empty breaks other rules too, and only because it is empty.
        for limits in self._of_audio if facts.size != 0 else [None]:
            with problems.noting():
                check_audio(limits, facts, filename)

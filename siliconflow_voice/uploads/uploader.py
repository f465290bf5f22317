"""Uploads one voice: from the checks before a byte is sent to the uri, or to what is known of its loss."""

from __future__ import annotations

import asyncio
from functools import partial

from attrs import define, evolve

from siliconflow_voice.api import requests
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.api.responses import parse_uri, parse_voices
from siliconflow_voice.audio.checks import AudioLimits, check_audio, check_texts
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.calls.call import AttemptGuard
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.engine import Engine, Progress
from siliconflow_voice.errors import AmbiguousUploadError, APITimeoutError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.recovery import KnownVoices, OnAmbiguous
from siliconflow_voice.uploads.values import VoiceUpload
from siliconflow_voice.validation import check_choice

__all__ = ["OpenUpload", "Uploader"]

# The list that is taken before the first upload must not hold that up for long.
_FIRST_LISTING = 30.0
# How soon the list shows a voice that was just stored is not known: give it a moment.
_SETTLING = 1.0
# Seconds of a call's deadline that are kept for that search.
_RESERVE = 10.0


@define(eq=False)
class Uploader:
    """What the uploads of a client have in common."""

    engine: Engine
    limits: AudioLimits | None
    pool: ReadPool
    known: KnownVoices

    async def open(self, upload: VoiceUpload, *, until: float | None, digest: bool = False) -> OpenUpload:
        """Check an upload, and look at its audio; to be closed however it ends.

        Args:
            upload: What to upload.
            until: The loop's time by which that must be done, or None.
            digest: Whether to read all of the audio for its SHA-256.

        Raises:
            InvalidUploadError: It breaks a rule of the API.
            AudioSourceError: The audio can't be read.
            APITimeoutError: It can't be read in time.
        """
        source = AudioSource.of(upload.audio)
        reading = source.reading(self.pool)
        try:
            check_choice("encoding", upload.encoding, Encoding)
            check_texts(self.limits, custom_name=upload.custom_name, text=upload.text, model=upload.model)
            if self.limits is not None:
                reading.largest = self.limits.max_bytes
            async with asyncio.timeout_at(until):
                facts = await reading.facts(measure=self.limits is not None, digest=digest)
            check_audio(self.limits, facts, source.filename)
        except BaseException as error:
            await reading.close()
            if not isinstance(error, TimeoutError):
                raise
        else:
            if facts.size is None and self.limits is not None:
                reading.most = self.limits.max_bytes
            return OpenUpload(self, upload, reading, facts, source.filename)
        raise APITimeoutError(f"The deadline passed while {source.filename} was read; nothing was sent")

    async def list_voices(self, until: float | None) -> list[Voice]:
        """List the account's voices by the loop's time *until*."""
        done = await self.engine.call(
            requests.list_voices(), parse_voices, subject="the account", deadline=Deadline.by(until)
        )
        return done.value

    async def prepare(self, until: float | None) -> bool:
        """See to it that it is known what the account has; tell whether it is."""
        deadline = self.engine.retry.deadline
        share = _FIRST_LISTING if deadline is None else min(_FIRST_LISTING, deadline / 4)
        by = self.engine.connection.loop().time() + share
        by = by if until is None else min(by, until)
        return await self.known.prepare(partial(self.list_voices, by), until=by)

    @property
    def reserve(self) -> float:
        """Seconds at the end of a call that are kept for the search."""
        deadline = self.engine.retry.deadline
        return _RESERVE if deadline is None else min(_RESERVE, deadline / 4)


@define(eq=False)
class OpenUpload:
    """An upload whose audio was looked at, and that can be sent once."""

    _uploader: Uploader
    _upload: VoiceUpload
    _reading: Reading
    facts: AudioFacts
    filename: str
    """What messages call the audio."""

    async def send(
        self,
        *,
        deadline: Deadline,
        on_ambiguous: OnAmbiguous = "reconcile",
        progress: Progress | None = None,
        guard: AttemptGuard | None = None,
    ) -> Voice:
        """Send it until it has its voice, fails for good, or the policy has had enough.

        Args:
            deadline: When all must be over.
            on_ambiguous: As :meth:`VoiceClient.upload_voice` takes it.
            progress: Likewise.
            guard: Told of each attempt's beginning and end.
        """
        upload, uploader, facts = self._upload, self._uploader, self.facts
        request = requests.upload_voice(
            model=upload.model,
            custom_name=upload.custom_name,
            text=upload.text,
            encoding=upload.encoding,
            media_type=facts.media_type,
            extension=facts.extension,
        )
        wanted = Voice("", upload.model, upload.custom_name, upload.text)
        recover = None
        if on_ambiguous == "reconcile":
            known = uploader.known.complete
            if not known:
                self._reading.wait()
                known = await uploader.prepare(deadline.at)
            recover = partial(self._recover, wanted, deadline, known=known)
            deadline.reserve = uploader.reserve
        with uploader.known.uploading(wanted):
            done = await uploader.engine.call(
                request,
                lambda answer: Voice(parse_uri(answer), upload.model, upload.custom_name, upload.text),
                subject=upload.custom_name,
                deadline=deadline,
                reading=self._reading,
                size=facts.size,
                progress=progress,
                resend_unknown=on_ambiguous == "retry",
                recover=recover,
                lost=partial(uploader.known.lose, wanted),
                guard=guard,
            )
            uploader.known.add(done.value.uri)
        return evolve(done.value, trace_id=done.trace_id, attempts=done.attempts)

    def wait(self) -> None:
        """Hear that it will be a while until it is sent."""
        self._reading.wait()

    async def aclose(self) -> None:
        """Let go of the audio."""
        await self._reading.close()

    async def _recover(self, wanted: Voice, deadline: Deadline, *, known: bool) -> Voice | None:
        """Look for a voice whose answer was lost, if it is *known* what was there before."""
        uploader = self._uploader
        if not known:
            raise AmbiguousUploadError(
                "The upload's answer was lost, and the account could not be listed before it"
            )
        await asyncio.sleep(min(_SETTLING, uploader.reserve / 4))
        return await uploader.known.find(wanted, partial(uploader.list_voices, deadline.at))

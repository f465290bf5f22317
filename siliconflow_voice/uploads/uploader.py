"""Uploads one voice: from the checks before anything is sent to the uri, or to the error."""

from __future__ import annotations

import asyncio
from array import array
from contextlib import AbstractContextManager
from functools import partial

from attrs import define

from siliconflow_voice.api import requests
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.checks import check_audio, check_texts
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.engine import Engine
from siliconflow_voice.calls.settings import Settings
from siliconflow_voice.errors import APITimeoutError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.account import Account
from siliconflow_voice.uploads.listing import Listing, everything
from siliconflow_voice.uploads.operation import AttemptGuard, Progress, Search, Upload, parse_voice
from siliconflow_voice.uploads.recovery import Keep, KnownVoices, OnAmbiguous, Recovery, likeness
from siliconflow_voice.uploads.values import VoiceUpload
from siliconflow_voice.validation import check_choice

__all__ = ["OpenUpload", "Uploader"]

# The listing before the first upload must not delay that for long.
_FIRST_LISTING = 30.0
# How soon the list shows a new voice is not known: wait a moment.
_SETTLING = 1.0
# Seconds of a call's deadline that are kept for that search.
_RESERVE = 10.0


@define(eq=False)
class Uploader:
    """What the uploads of a client share."""

    engine: Engine
    account: Account
    pool: ReadPool

    @property
    def settings(self) -> Settings:
        """The client's settings."""
        return self.engine.settings

    @property
    def known(self) -> KnownVoices:
        """The voices that the account is known to have."""
        return self.account.known

    def counted(self) -> AbstractContextManager[None]:
        """Return a scope that counts as one call, for which a drain waits."""
        return self.engine.calls.counted()

    def until(self) -> float | None:
        """Return the loop's time at which a call that begins now has to be over, or None.

        Raises:
            ConfigurationError: The client is closed, or used in another event loop.
        """
        return self.engine.until()

    async def open(self, upload: VoiceUpload, *, until: float | None, digest: bool = False) -> OpenUpload:
        """Check an upload, and read the beginning of its audio; the caller closes what is returned.

        Args:
            upload: What to upload.
            until: The loop's time by which that must be done, or None.
            digest: Whether to read all of the audio for its SHA-256.

        Raises:
            InvalidUploadError: The upload breaks a rule of the API.
            AudioSourceError: The audio can't be read.
            APITimeoutError: The audio can't be read in time.
        """
        limits = self.settings.limits
        source = AudioSource.of(upload.audio)
        reading = source.reading(self.pool)
        try:
            check_choice("encoding", upload.encoding, Encoding)
            check_texts(limits, custom_name=upload.custom_name, text=upload.text, model=upload.model)
            source.check_text(upload.text)
            if limits is not None:
                reading.largest = limits.max_bytes
            async with asyncio.timeout_at(until):
                facts = await reading.facts(measure=limits is not None, digest=digest)
            check_audio(limits, facts, source.filename)
        except BaseException as error:
            await reading.close()
            if not isinstance(error, TimeoutError):
                raise
        else:
            if facts.size is None and limits is not None:
                reading.most = limits.max_bytes
            return OpenUpload(self, upload, reading, facts, source.filename)
        raise APITimeoutError(
            f"The deadline passed while {source.filename} was read; nothing was sent: "
            "raise RetryPolicy.deadline"
        )

    async def list_voices(
        self, until: float | None, keep: Keep = everything, *, part_of_another: bool = False
    ) -> list[Voice]:
        """List the account by the loop's time *until*; return the voices that are to be kept."""
        operation, deadline = Listing(keep, self.settings.max_list_bytes), Deadline.by(until)
        return (await self.engine.call(operation, deadline, part_of_another=part_of_another)).value

    async def look_for(self, wanted: Voice, until: float | None) -> Voice | None:
        """Return the account's voice like *wanted* that is listed first, or None if it has none."""
        uris, like = array("q"), likeness(wanted)

        def keep(voice: Voice) -> bool:
            uris.append(hash(voice.uri))
            return likeness(voice) == like

        found = await self.list_voices(until, keep)
        # What may be under way is not to be taken for old.
        if not self.known.busy:
            self.known.learn(uris)
        return found[0] if found else None

    async def prepare(self, until: float | None) -> bool:
        """List the account, unless its voices are known; return whether they are known now."""
        deadline = self.settings.retry.deadline
        share = _FIRST_LISTING if deadline is None else min(_FIRST_LISTING, deadline / 4)
        by = asyncio.get_running_loop().time() + share
        by = by if until is None else min(by, until)
        return await self.known.prepare(partial(self.list_voices, by), until=by)

    @property
    def reserve(self) -> float:
        """Seconds at the end of a call that are kept for the search."""
        deadline = self.settings.retry.deadline
        return _RESERVE if deadline is None else min(_RESERVE, deadline / 4)


@define(eq=False)
class OpenUpload:
    """An upload that was checked, and can be sent once."""

    _uploader: Uploader
    _upload: VoiceUpload
    _reading: Reading
    facts: AudioFacts
    filename: str
    """The audio's name in messages."""

    async def send(
        self,
        *,
        deadline: Deadline,
        on_ambiguous: OnAmbiguous = "reconcile",
        progress: Progress | None = None,
        guard: AttemptGuard | None = None,
        recovery: Recovery | None = None,
    ) -> Voice:
        """Send it until it has its voice, fails for good, or the policy allows no more attempts.

        Args:
            deadline: When the call must be over.
            on_ambiguous: As in :meth:`VoiceClient.upload_voice`.
            progress: As in :meth:`VoiceClient.upload_voice`.
            guard: Called before and after each attempt.
            recovery: Looks for its voice after a lost answer; by default, what the account is known to have.
        """
        upload, known = self._upload, self._uploader.known if recovery is None else recovery
        wanted = Voice("", upload.model, upload.custom_name, upload.text)
        searching = await self._searching(deadline, known.complete) if on_ambiguous == "reconcile" else None
        operation = Upload(
            request=requests.upload_voice(
                model=upload.model,
                custom_name=upload.custom_name,
                text=upload.text,
                encoding=upload.encoding,
                media_type=self.facts.media_type,
                extension=self.facts.extension,
            ),
            parse=partial(parse_voice, wanted),
            subject=upload.custom_name,
            size=self.facts.size,
            wanted=wanted,
            reading=self._reading,
            known=known,
            resend_unknown=on_ambiguous == "retry",
            progress=progress,
            searching=searching,
            guard=guard,
        )
        with known.uploading(wanted):
            success = await self._uploader.engine.call(operation, deadline)
            known.add(success.value.uri)
        voice = success.value
        return Voice(
            voice.uri,
            voice.model,
            voice.custom_name,
            voice.text,
            voice.recovered,
            success.attempts,
            success.trace_id,
        )

    def wait(self) -> None:
        """Called before a long wait: release memory."""
        self._reading.wait()

    async def aclose(self) -> None:
        """Close the audio."""
        await self._reading.close()

    async def _searching(self, deadline: Deadline, known: bool) -> Search:  # noqa: FBT001 - internal
        """Prepare the search for a lost answer, and reserve a part of the deadline for it."""
        uploader = self._uploader
        if not known:
            self._reading.wait()
            known = await uploader.prepare(deadline.at)
        deadline.reserve = uploader.reserve
        list_voices = partial(uploader.list_voices, part_of_another=True)
        return Search(list_voices, deadline, min(_SETTLING, uploader.reserve / 4), known)

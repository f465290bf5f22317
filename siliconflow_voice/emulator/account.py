"""The emulated account: its key, its quota and its voices, and its answers."""

from __future__ import annotations

import asyncio
import json
import string
from typing import TYPE_CHECKING

from siliconflow_voice.emulator.answers import (
    Answer,
    error_answer,
    json_answer,
    rate_limit_answer,
    unverified_answer,
)
from siliconflow_voice.emulator.quotas import Quota, QuotaMeter
from siliconflow_voice.emulator.records import StoredVoice
from siliconflow_voice.emulator.speaking import (
    DISABLED,
    SPEAKING,
    Delivery,
    Stage,
    check_order,
    read_order,
    speak,
)
from siliconflow_voice.emulator.transcribing import (
    TRANSCRIBING,
    check_submitted,
    read_submitted,
    transcript_of,
)
from siliconflow_voice.emulator.uploads import MALFORMED, Upload, check_submission, read_submission

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from aiohttp import web

    from siliconflow_voice.emulator.kept import KeptRecordings
    from siliconflow_voice.emulator.records import Endpoint

__all__ = ["Account"]

# Digests of what was spoken, whose text is known when it is to be transcribed.
_SPOKEN_KEPT = 20_000


class Account:
    """One account, which answers at once and without faults."""

    def __init__(
        self,
        *,
        name: str,
        api_key: str,
        quota: Quota | None,
        models: Iterable[str],
        max_audio_bytes: int,
        list_key: str,
        delivery: Delivery,
        chance: random.Random,
        kept: KeptRecordings | None,
    ) -> None:
        self.voices: list[StoredVoice] = []
        self._name = name
        self._api_key = api_key
        self._meters = {model: QuotaMeter(quota or Quota()) for model in models}
        self._speaking = tuple(
            dict.fromkeys((*SPEAKING, *(name for name in self._meters if name not in DISABLED)))
        )
        # What the vendor counts together is not known: uploads, speech and transcripts are counted apart.
        self._other_meters: dict[tuple[Endpoint, str], QuotaMeter] = {}
        self._delivery = delivery
        self._spoken: dict[str, str] = {}
        self._spoken_count = 0
        self._quota = quota
        self._max_audio_bytes = max_audio_bytes
        self._list_key = list_key
        self._chance = chance
        self._kept = kept

    @property
    def quota(self) -> Quota | None:
        """The quota of each model; None for no limit."""
        return self._quota

    @quota.setter
    def quota(self, quota: Quota | None) -> None:
        self._quota = quota
        for meter in (*self._meters.values(), *self._other_meters.values()):
            meter.quota = quota or Quota()

    @property
    def meters(self) -> dict[tuple[Endpoint, str], QuotaMeter]:
        """What counts toward the quota, by endpoint and model; of speech and transcripts what came so far."""
        uploads: dict[tuple[Endpoint, str], QuotaMeter] = {
            ("upload", model): meter for model, meter in self._meters.items()
        }
        return uploads | self._other_meters

    def refusal(self, request: web.Request, endpoint: Endpoint) -> Answer | None:
        """Return the answer to a call that does not exist or has another key, or None."""
        if endpoint == "unknown":
            return json_answer(404, "404 page not found")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return json_answer(401, "Invalid token")
        return None if key == self._api_key else json_answer(401, "Api key is invalid")

    async def answer(self, request: web.Request, endpoint: Endpoint) -> Answer:
        """Carry out a call that is not refused, and return its answer."""
        if refusal := self.refusal(request, endpoint):
            return refusal
        match endpoint:
            case "upload":
                return await self._upload(request)
            case "list":
                return self._list()
            case "speech":
                return await self._speak(request)
            case "transcribe":
                return await self._transcribe(request)
            case "models":
                return self._models(request)
            case _:
                return await self._delete(request)

    async def _upload(self, request: web.Request) -> Answer:
        submission = await read_submission(
            request, max_audio_bytes=self._max_audio_bytes, keep_audio=self._kept is not None
        )
        if isinstance(submission, Answer):
            return submission
        # The quota is the model's, known only now. A request with other mistakes counts all the same.
        meter = self._meters.get(submission.model)
        if meter and (refusal := _count(meter, submission.tokens)):
            return refusal
        match check_submission(submission, self._meters):
            case Upload() as upload:
                return json_answer(200, {"uri": self._store(upload)})
            case refusal:
                return refusal

    def _store(self, upload: Upload) -> str:
        token = "".join(self._chance.choices(string.ascii_lowercase, k=20))
        voice = StoredVoice(
            uri=f"speech:{upload.custom_name}:{self._name}:{token}",
            model=upload.model,
            custom_name=upload.custom_name,
            text=upload.text,
            sha256=upload.recording.sha256,
            size=upload.recording.size,
        )
        self.voices.append(voice)
        if self._kept is not None and upload.recording.data is not None:
            self._kept.keep(voice.sha256, upload.recording.data)
        return voice.uri

    def _list(self) -> Answer:
        listed = [
            {"model": voice.model, "customName": voice.custom_name, "text": voice.text, "uri": voice.uri}
            for voice in self.voices
        ]
        return json_answer(200, {self._list_key: listed} if self._list_key else listed)

    async def _speak(self, request: web.Request) -> Answer:
        order = await read_order(request)
        if isinstance(order, Answer):
            return order
        if refusal := self._count_other("speech", order.model, order.tokens):
            return refusal
        if refusal := check_order(order, self._stage()):
            return refusal
        answer, digests = speak(order, self._delivery, self._spoken_count)
        self._spoken_count += 1
        self._spoken |= dict.fromkeys(digests, order.input)
        while len(self._spoken) > _SPOKEN_KEPT:
            del self._spoken[next(iter(self._spoken))]
        return answer

    def _stage(self) -> Stage:
        return Stage(self._speaking, {voice.uri for voice in self.voices}, self._max_audio_bytes)

    async def _transcribe(self, request: web.Request) -> Answer:
        submitted = await read_submitted(request)
        if isinstance(submitted, Answer):
            return submitted
        if refusal := self._count_other("transcribe", submitted.model, 1):
            return refusal
        if refusal := check_submitted(submitted):
            return refusal
        return transcript_of(submitted, self._text_of(submitted.recording.sha256))

    def _text_of(self, sha256: str) -> str | None:
        """Return what is spoken in a recording: one that became a voice, or that was spoken here."""
        uploaded = (voice.text for voice in reversed(self.voices) if voice.sha256 == sha256)
        return self._spoken.get(sha256) or next(uploaded, None)

    def _count_other(self, endpoint: Endpoint, model: str, tokens: int) -> Answer | None:
        if model not in (self._speaking if endpoint == "speech" else TRANSCRIBING):
            return None
        meter = self._other_meters.setdefault((endpoint, model), QuotaMeter(self._quota or Quota()))
        return _count(meter, tokens)

    def _models(self, request: web.Request) -> Answer:
        kind = request.query.get("sub_type", "")
        kinds = {"text-to-speech": self._speaking, "speech-to-text": TRANSCRIBING}
        models = kinds.get(kind, (*self._speaking, *TRANSCRIBING) if not kind else ())
        listed = [{"id": model, "object": "model", "created": 0, "owned_by": ""} for model in models]
        return json_answer(200, {"object": "list", "data": listed})

    async def _delete(self, request: web.Request) -> Answer:
        try:
            # Not by request.json, which decodes by whatever charset the request names.
            document: object = json.loads(await request.read())
        except MALFORMED:
            document = None
        match document:
            case {"uri": str(uri)}:
                kept = [voice for voice in self.voices if voice.uri != uri]
            case _:
                return error_answer(400, 20015, "The uri is required.")
        if len(kept) == len(self.voices):
            return error_answer(400, 20059, "The voice does not exist.")
        self.voices[:] = kept
        return json_answer(200, {})


def _count(meter: QuotaMeter, tokens: int) -> Answer | None:
    """Count a request; return its refusal, or None."""
    limit = meter.take(asyncio.get_running_loop().time(), tokens)
    if limit is None:
        return None
    return unverified_answer(limit) if meter.quota.told_as == 403 else rate_limit_answer(limit)

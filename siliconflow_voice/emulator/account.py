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
from siliconflow_voice.emulator.uploads import MALFORMED, Upload, check_submission, read_submission

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from aiohttp import web

    from siliconflow_voice.emulator.records import Endpoint

__all__ = ["Account"]


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
        chance: random.Random,
    ) -> None:
        self.voices: list[StoredVoice] = []
        self._name = name
        self._api_key = api_key
        self._meters = {model: QuotaMeter(quota or Quota()) for model in models}
        self._quota = quota
        self._max_audio_bytes = max_audio_bytes
        self._list_key = list_key
        self._chance = chance

    @property
    def quota(self) -> Quota | None:
        """The quota of each model; None for no limit."""
        return self._quota

    @quota.setter
    def quota(self, quota: Quota | None) -> None:
        self._quota = quota
        for meter in self._meters.values():
            meter.quota = quota or Quota()

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
            case _:
                return await self._delete(request)

    async def _upload(self, request: web.Request) -> Answer:
        submission = await read_submission(request, max_audio_bytes=self._max_audio_bytes)
        if isinstance(submission, Answer):
            return submission
        # The quota is the model's, known only now. A request with other mistakes counts all the same.
        meter = self._meters.get(submission.model)
        now = asyncio.get_running_loop().time()
        if meter and (limit := meter.take(now, submission.tokens)):
            return unverified_answer(limit) if meter.quota.told_as == 403 else rate_limit_answer(limit)
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
        return voice.uri

    def _list(self) -> Answer:
        listed = [
            {"model": voice.model, "customName": voice.custom_name, "text": voice.text, "uri": voice.uri}
            for voice in self.voices
        ]
        return json_answer(200, {self._list_key: listed} if self._list_key else listed)

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

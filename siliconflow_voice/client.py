"""The client: one method for each endpoint, and one way that all of them go."""

from __future__ import annotations

import asyncio
import itertools
import platform
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NoReturn, Self, TypedDict, TypeVar, Unpack, get_args

import aiohttp
from attrs import evolve

import siliconflow_voice
from siliconflow_voice import origin
from siliconflow_voice.api import requests
from siliconflow_voice.api.payloads import RequestPayload, Transfer
from siliconflow_voice.api.requests import Encoding, Request
from siliconflow_voice.api.responses import Answer, parse_nothing, parse_uri, parse_voices
from siliconflow_voice.audio.checks import AudioLimits, check_audio, check_texts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.call import Call, guarded
from siliconflow_voice.errors import (
    AmbiguousUploadError,
    ConfigurationError,
    InvalidUploadError,
    SiliconFlowError,
)
from siliconflow_voice.events import Event
from siliconflow_voice.models import Failure, Voice
from siliconflow_voice.resilience.failures import classify
from siliconflow_voice.resilience.recovery import KnownVoices, OnAmbiguous
from siliconflow_voice.resilience.retry import RetryPolicy
from siliconflow_voice.resilience.throttle import Throttle
from siliconflow_voice.transport import Connection, Timeouts

__all__ = ["ClientOptions", "VoiceClient"]

T = TypeVar("T")

_COSYVOICE = "FunAudioLLM/CosyVoice2-0.5B"
# The list that is taken before the first upload must not hold that up for long.
_FIRST_LISTING = 30.0
# How soon the list shows a voice that was just stored is not known: give it a moment.
_SETTLING = 1.0


class ClientOptions(TypedDict, total=False):
    """What :meth:`VoiceClient.with_options` changes; each is an argument of :class:`VoiceClient`."""

    api_key: str | None
    base_url: str | None
    retry: RetryPolicy
    throttle: Throttle | None
    timeouts: Timeouts
    limits: AudioLimits | None
    on_event: Callable[[Event], object] | None
    allow_http: bool


class VoiceClient:
    """A client of SiliconFlow's voice API.

    ::

        async with VoiceClient() as client:
            voice = await client.upload_voice("narrator.mp3", custom_name="narrator", text="慢工出细活")
            print(voice.uri)

    Without ``async with``, close it with :meth:`close`. It belongs to the event loop that first uses it.

    Args:
        api_key: The key; by default ``SILICONFLOW_API_KEY``. It goes to *base_url* and nowhere else.
        base_url: The API's address, which ends in ``/v1``; by default ``SILICONFLOW_BASE_URL``, or the
            cloud in China. The international one is https://api.siliconflow.com/v1, with keys of its own.
        session: An aiohttp session to use instead of an own one. It is never closed; its headers don't
            override the SDK's; its timeouts, middlewares and ``raise_for_status`` don't apply.
        retry: How often a call is tried, and how long it may take.
        throttle: What holds back an account's requests; give the same one to all of its clients.
        timeouts: The bounds of one attempt.
        limits: What is refused before it is sent; None turns the checks of audio, names and texts off.
        on_event: Called with an :data:`Event` for each attempt, wait and outcome. What it raises is logged.
        allow_http: Let the key go unencrypted to an address that is not this machine's.

    Raises:
        ConfigurationError: There is no key, or the address is of no use.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        retry: RetryPolicy = RetryPolicy(),
        throttle: Throttle | None = None,
        timeouts: Timeouts = Timeouts(),
        limits: AudioLimits | None = AudioLimits(),
        on_event: Callable[[Event], object] | None = None,
        allow_http: bool = False,
    ) -> None:
        self._key = origin.key(api_key)
        self._base_url = origin.base_url(base_url, allow_http=allow_http)
        self._allow_http = allow_http
        self._retry = retry
        self._throttle = Throttle() if throttle is None else throttle
        self._timeouts = timeouts
        self._limits = limits
        self._on_event = on_event
        self._headers = {
            "Authorization": origin.Secret(f"Bearer {self._key}"),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": _user_agent(),
        }
        self._connection = Connection(session)
        self._pool = ReadPool()
        self._known = KnownVoices()
        self._numbers = itertools.count(1)
        self._closed = False
        self._is_sibling = False

    def __repr__(self) -> str:
        return f"VoiceClient(base_url={str(self._base_url)!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("a VoiceClient is not pickled: it has a key and open connections")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the client and its own session; a borrowed one, or that of a sibling, stays open.

        Calls under way end with an :class:`APIConnectionError`. Closing twice does nothing.
        """
        self._closed = True
        if not self._is_sibling:
            await self._connection.close()
            await self._pool.close()

    def with_options(self, **changes: Unpack[ClientOptions]) -> VoiceClient:
        """Make a sibling: the same session and throttle, with some options changed.

        It need not be closed, and is of no use once this client is.

        Raises:
            ConfigurationError: A key or an address is of no use.
        """
        options: ClientOptions = {
            "api_key": self._key,
            "base_url": str(self._base_url),
            "retry": self._retry,
            "throttle": self._throttle,
            "timeouts": self._timeouts,
            "limits": self._limits,
            "on_event": self._on_event,
            "allow_http": self._allow_http,
        }
        options.update(changes)
        sibling = VoiceClient(**options)
        sibling._connection, sibling._pool = self._connection, self._pool
        sibling._numbers = self._numbers
        sibling._is_sibling = True
        if (sibling._key, sibling._base_url) == (self._key, self._base_url):
            sibling._known = self._known
        return sibling

    async def upload_voice(
        self,
        audio: Audio,
        *,
        custom_name: str,
        text: str,
        model: str = _COSYVOICE,
        encoding: Encoding = "multipart",
        on_ambiguous: OnAmbiguous = "reconcile",
        progress: Callable[[int, int | None], object] | None = None,
    ) -> Voice:
        """Upload a reference recording, and get the voice that it makes.

        Args:
            audio: The recording: a path, bytes, a binary file, an async iterable of bytes, or an AudioSource.
                mp3, wav, opus or pcm; under 30 s, best 8 to 10 s.
            custom_name: The voice's name: letters, digits, ``_`` and ``-``, at most 64.
            text: What is spoken in the recording, word for word.
            model: The model that is to speak with the voice.
            encoding: ``multipart`` sends a file, ``base64`` a JSON document a third larger.
            on_ambiguous: What to do when the audio was sent and its answer was lost. ``reconcile`` looks
                for the voice in the account's list, and sends again only what is not there; ``raise`` raises;
                ``retry`` sends again, and may make the voice twice.
            progress: Called with the bytes of audio sent so far, and all of them, or None for a stream. A
                retry begins at 0 again. What it raises is logged.

        Raises:
            InvalidUploadError: An argument breaks a rule of the API; nothing was sent.
            AudioSourceError: The audio can't be read, or not again, or changed.
            APIStatusError: The service refused.
            APIConnectionError: No answer came, and nothing was stored.
            InvalidResponseError: The service's answer is none that the API promises.
            AmbiguousUploadError: The voice may or may not have been stored.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        self._check_open()
        _check_choice("encoding", encoding, Encoding)
        _check_choice("on_ambiguous", on_ambiguous, OnAmbiguous)
        limits = self._limits
        check_texts(limits, custom_name=custom_name, text=text, model=model)
        source = AudioSource.of(audio)
        reading = source.reading(self._pool)
        facts = await reading.facts(measure=limits is not None)
        check_audio(limits, facts, source.filename)
        if on_ambiguous == "reconcile" and not self._known.prepared:
            reading.forget()
            await self._known.prepare(self._first_listing)

        request = requests.upload_voice(
            model=model,
            custom_name=custom_name,
            text=text,
            encoding=encoding,
            media_type=facts.media_type,
            audio_format=facts.format,
        )
        call = self._call(request, custom_name, reading, resend_unknown=on_ambiguous == "retry")
        wanted = Voice("", model, custom_name, text)

        async def attempt() -> Voice:
            try:
                answer, uri = await self._attempt(call, parse_uri, facts.size, progress)
            except SiliconFlowError as error:
                if error.failure is not Failure.UNKNOWN or on_ambiguous != "reconcile":
                    raise
                unknown = error
            else:
                return evolve(wanted, uri=uri, trace_id=answer.trace_id)
            return await self._recover(call, wanted, unknown)

        voice = await self._run(call, attempt)
        self._known.add(voice.uri)
        return evolve(voice, attempts=call.history)

    async def list_voices(self) -> list[Voice]:
        """List the account's own voices.

        Raises:
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            InvalidResponseError: The answer is no list of voices.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        return await self._simple(requests.list_voices(), "the account", parse_voices)

    async def delete_voice(self, uri: str) -> None:
        """Delete a voice of the account, by its ``speech:`` uri.

        Raises:
            InvalidUploadError: It is no ``speech:`` uri; nothing was sent.
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        if not uri.startswith("speech:"):
            raise InvalidUploadError("uri", f"{uri!r:.80} is no uri of a voice: those begin with speech:")
        await self._simple(requests.delete_voice(uri), uri, parse_nothing)

    async def _simple(self, request: Request, subject: str, parse: Callable[[Answer], T]) -> T:
        """Make a call without audio."""
        self._check_open()
        call = self._call(request, subject)

        async def attempt() -> T:
            return (await self._attempt(call, parse))[1]

        return await self._run(call, attempt)

    async def _first_listing(self) -> list[Voice]:
        deadline = min(self._retry.deadline or _FIRST_LISTING, _FIRST_LISTING)
        return await self.with_options(retry=evolve(self._retry, deadline=deadline)).list_voices()

    async def _recover(self, call: Call, wanted: Voice, unknown: SiliconFlowError) -> Voice:
        """Look for the voice whose answer was lost; raise *unknown* again, for a retry, if it isn't there."""
        await asyncio.sleep(_SETTLING)
        try:
            found = await self._known.find(wanted, self.list_voices)
        except AmbiguousUploadError as error:
            error.failure = Failure.UNKNOWN
            raise error from unknown
        if found is not None:
            return found
        call.cleared()
        raise unknown

    def _call(
        self, request: Request, subject: str, reading: Reading | None = None, *, resend_unknown: bool = False
    ) -> Call:
        deadline = self._retry.deadline
        return Call(
            number=next(self._numbers),
            request=request,
            subject=subject,
            gate=self._throttle.gate(str(self._base_url), request.model),
            on_event=self._on_event,
            reading=reading,
            until=None if deadline is None else asyncio.get_running_loop().time() + deadline,
            resend_unknown=resend_unknown,
        )

    async def _run(self, call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try, as the policy says, and give each failure its history."""
        try:
            value = await self._retry.call(
                attempt, retryable=call.retryable, before_wait=call.waiting, until=call.until
            )
        except SiliconFlowError as error:
            final = call.gave_up(error)
        else:
            call.ended()
            return value
        raise final

    async def _attempt(
        self,
        call: Call,
        parse: Callable[[Answer], T],
        size: int | None = None,
        progress: Callable[[int, int | None], object] | None = None,
    ) -> tuple[Answer, T]:
        """The way of every request: gate, payload, connection, answer."""
        await call.enter()
        transfer = Transfer(None if progress is None else lambda sent: guarded(progress, sent, size))
        request, envelope, payload = call.request, call.request.envelope, None
        headers = self._headers
        if envelope is not None:
            blocks = None if call.reading is None else call.reading.blocks()
            payload = RequestPayload(envelope, blocks, size if blocks is not None else 0, transfer)
            headers = {**headers, "Content-Type": envelope.content_type}
        try:
            answer = await self._connection.send(
                request,
                self._base_url.joinpath(request.path, encoded=True),
                headers=headers,
                payload=payload,
                transfer=transfer,
                timeouts=self._timeouts,
                until=call.until,
            )
            value = parse(answer)
        except SiliconFlowError as error:
            self._redact(error)
            call.failed(error, classify(error, body_sent=transfer.body_sent or payload is None))
            raise
        finally:
            call.gate.leave()
        call.succeeded(answer.status, answer.trace_id)
        return answer, value

    def _redact(self, error: SiliconFlowError) -> None:
        """Take the key out of what a server may have echoed."""
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, self._key.redact(value))
        error.args = (error.message,)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("the client is closed")
        self._connection.session()


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        raise InvalidUploadError(name, f"{value!r:.80} is none of {', '.join(get_args(choices))}")


def _user_agent() -> str:
    return (
        f"siliconflow-voice/{siliconflow_voice.__version__} aiohttp/{aiohttp.__version__}"
        f" Python/{platform.python_version()}"
    )

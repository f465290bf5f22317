"""The client: one method for each endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

import aiohttp
from attrs import evolve

from siliconflow_voice.api import requests
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.api.responses import parse_nothing
from siliconflow_voice.api.speaking import TRANSCRIBING_MODEL, ModelKind
from siliconflow_voice.audio.checks import AudioLimits, check_texts
from siliconflow_voice.audio.source import Audio
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.draining import Drained
from siliconflow_voice.calls.engine import Engine
from siliconflow_voice.calls.events import Event
from siliconflow_voice.calls.operation import Operation
from siliconflow_voice.calls.retry import RetryPolicy
from siliconflow_voice.calls.settings import MAX_LIST_BYTES, ClientOptions, Settings, check_names
from siliconflow_voice.errors import APITimeoutError, ClientClosedError, InvalidUploadError
from siliconflow_voice.models import Transcript, Voice
from siliconflow_voice.speech.parameters import Reference, ResponseFormat, SpeechParameters
from siliconflow_voice.speech.speaker import Speaker
from siliconflow_voice.speech.speech import Speech
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.transport.channel import Channel
from siliconflow_voice.transport.pasted import APIKey
from siliconflow_voice.transport.session import Connection
from siliconflow_voice.transport.timeouts import Timeouts
from siliconflow_voice.uploads.account import Account, Process
from siliconflow_voice.uploads.operation import Progress
from siliconflow_voice.uploads.recovery import OnAmbiguous, likeness
from siliconflow_voice.uploads.uploader import Uploader
from siliconflow_voice.uploads.values import DEFAULT_MODEL, VoiceUpload
from siliconflow_voice.validation import check_callback, check_choice, check_kind

__all__ = ["VoiceClient"]


class VoiceClient:
    """A client of SiliconFlow's voice API.

    ::

        async with VoiceClient() as client:
            voice = await client.upload_voice("narrator.mp3", custom_name="narrator", text="慢工出细活")
            print(voice.uri)

    Without ``async with``, :meth:`close` it. It belongs to the event loop that first uses it.

    Args:
        api_key: The API key, as a string, bytes or pydantic's ``SecretStr``; by default
            ``SILICONFLOW_API_KEY``. It is sent to *base_url* and nowhere else.
        base_url: The API's address, which ends in ``/v1``; by default ``SILICONFLOW_BASE_URL``, or the
            cloud in China. The international one is https://api.siliconflow.com/v1, with keys of its own.
        session: An aiohttp session to use instead of the client's own. It is never closed; its headers don't
            override the SDK's; its timeouts, middlewares and ``raise_for_status`` don't apply.
        retry: How often a call is tried, and how long it may take.
        throttle: Paces the account's requests; pass the same one to all clients of the account.
        timeouts: The bounds of one attempt.
        limits: The local checks of audio, names and texts; None turns them off.
        on_event: Called with an :data:`Event` for each attempt, wait and outcome. What it raises is logged.
        proxy: The address of an HTTP proxy, with credentials if it requires them. Requests go through a
            tunnel: the proxy sees neither the key nor the audio.
        trust_env: Use the proxy that ``HTTPS_PROXY`` (or ``ALL_PROXY``) and ``NO_PROXY`` name, if *proxy* is
            not passed. ``~/.netrc`` is never read.
        allow_http: Allow plain http, which sends the key unencrypted, to addresses other than loopback.
        max_list_bytes: The largest account list to accept, in bytes; a voice is some 200 of them.

    Raises:
        ConfigurationError: There is no key, or the address or an option is invalid.
    """

    def __init__(
        self,
        api_key: APIKey | None = None,
        *,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        retry: RetryPolicy = RetryPolicy(),
        throttle: Throttle | None = None,
        timeouts: Timeouts = Timeouts(),
        limits: AudioLimits | None = AudioLimits(),
        on_event: Callable[[Event], object] | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        allow_http: bool = False,
        max_list_bytes: int = MAX_LIST_BYTES,
    ) -> None:
        check_kind("session", session, aiohttp.ClientSession, or_none=True)
        check_kind("throttle", throttle, Throttle, or_none=True)
        # Converters turn api_key and base_url into a key and an address.
        settings = Settings(
            api_key,
            base_url,
            retry,
            timeouts,
            limits,
            on_event,
            allow_http,
            max_list_bytes,
            proxy,
            trust_env,
        )
        account = Account(Throttle() if throttle is None else throttle)
        self._set_up(settings, account, Process(Connection(session)), owns_process=True)

    def _set_up(self, settings: Settings, account: Account, process: Process, *, owns_process: bool) -> None:
        channel = Channel(process.connection, settings.origin, settings.timeouts, settings.way())
        engine = Engine(settings, channel, account.throttle, process.numbers, process.calls)
        self._uploader = Uploader(engine, account, process.pool)
        self._process = process
        self._owns_process = owns_process
        self._closed = False

    def __repr__(self) -> str:
        return f"VoiceClient(base_url={self.base_url!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            "a VoiceClient can't be pickled, since it has a key and open connections: create one per process"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the client and its own session; a borrowed session, or a sibling's, stays open.

        Calls under way fail, each with the error that fits what it was doing; calls that wait for the
        throttle fail when their turn comes: :meth:`drain` first, to lose none. Closing twice does nothing.
        """
        self._closed = True
        if self._owns_process:
            await self._process.connection.close()
            await self._process.pool.close()

    async def aclose(self) -> None:
        """Close the client: the same as :meth:`close`, for :class:`contextlib.aclosing`."""
        await self.close()

    async def drain(self, timeout: float | None = None) -> Drained:  # noqa: ASYNC109 - how long to wait, not for what
        """Shut down in good order: accept no further call, and wait until the ones under way have ended.

        Calls that wait for the throttle or for another attempt raise :class:`ClientClosedError` at once, and
        nothing of theirs is stored; so does every later call. Searches after a lost answer are carried out.
        This holds for the client and all of its siblings, bulk runs included. :meth:`close` it afterwards.

        Args:
            timeout: Seconds to wait; None for as long as it takes, which the deadlines bound.

        Raises:
            ClientClosedError: The client is closed.
            ConfigurationError: The client is used in another event loop.
        """
        self._process.connection.loop()
        return await self._process.calls.drain(timeout)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return str(self._uploader.settings.base_url)

    @property
    def throttle(self) -> Throttle:
        """What paces the account's requests."""
        return self._uploader.account.throttle

    @property
    def limits(self) -> AudioLimits | None:
        """The local checks; None if they are turned off."""
        return self._uploader.settings.limits

    def with_options(self, **changes: Unpack[ClientOptions]) -> VoiceClient:
        """Return a sibling: a client on the same connections, with some options changed.

        With the same key and address, the sibling shares the throttle (unless *throttle* is passed) and what
        is known of the account's voices. With another key or address it has a throttle of its own, with the
        same settings, and knows no voices yet. It need not be closed: it ends with this client.

        Raises:
            ConfigurationError: An option is invalid, or there is none of that name.
        """
        options: dict[str, Any] = dict(changes)
        check_names(options)
        throttle: Throttle | None = options.pop("throttle", self.throttle)
        check_kind("throttle", throttle, Throttle, or_none=True)
        settings, account = evolve(self._uploader.settings, **options), self._uploader.account
        if settings.origin != self._uploader.settings.origin:
            account = Account(throttle or Throttle()) if "throttle" in changes else account.another()
        elif "throttle" in changes:
            account = evolve(account, throttle=throttle or Throttle())
        sibling = VoiceClient.__new__(VoiceClient)
        VoiceClient._set_up(sibling, settings, account, self._process, owns_process=False)
        return sibling

    def uploader(self) -> Uploader:
        """Return what sends this client's uploads; for :func:`upload_many`.

        Raises:
            ClientClosedError: The client is closed, or is being drained.
            ConfigurationError: The client is used in another event loop.
        """
        if self._closed:
            raise ClientClosedError("The client is closed: create a new VoiceClient")
        if self._process.calls.are_draining():
            raise ClientClosedError(
                "The client is being closed, and accepts no further calls: create a new one"
            )
        self._process.connection.session()
        return self._uploader

    async def upload_voice(
        self,
        audio: Audio,
        *,
        custom_name: str,
        text: str,
        model: str = DEFAULT_MODEL,
        encoding: Encoding = "multipart",
        on_ambiguous: OnAmbiguous = "reconcile",
        progress: Progress | None = None,
    ) -> Voice:
        """Upload a reference recording, and return the voice made from it.

        Args:
            audio: The recording: a path, bytes, a binary file, an async iterable of bytes, or an AudioSource.
                mp3, wav, opus or pcm; under 30 s, ideally 8 to 10 s.
            custom_name: The voice's name: letters, digits, ``_`` and ``-``, at most 64.
            text: What is spoken in the recording, word for word.
            model: The model that will speak with the voice.
            encoding: ``multipart`` sends a form, ``base64`` a JSON document a third larger.
            on_ambiguous: What to do when the audio was sent and its answer was lost. ``reconcile`` looks
                for the voice in the account's list, and sends again only what is not there; ``raise`` raises;
                ``retry`` sends again, and may make the voice twice.
            progress: Called with the bytes of audio sent so far, and the total, or None for a stream. A
                retry starts at 0 again. What it raises is logged.

        Raises:
            InvalidUploadError: An argument breaks a rule of the API; nothing was sent.
            AudioSourceError: The audio can't be read, can't be read again for a retry, or changed.
            APIStatusError: The service refused, or failed and stored nothing.
            APIConnectionError: No answer came, and nothing was stored.
            AmbiguousUploadError: The voice may have been stored. With ``on_ambiguous="retry"``, the
                last of the other errors, or an InvalidResponseError, is raised instead.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        uploader = self.uploader()
        check_choice("on_ambiguous", on_ambiguous, OnAmbiguous)
        check_callback("progress", progress)
        upload = VoiceUpload(audio, custom_name, text, model, encoding)
        with uploader.counted():
            return await _upload(uploader, upload, on_ambiguous, progress)

    async def ensure_voice(
        self,
        audio: Audio,
        *,
        custom_name: str,
        text: str,
        model: str = DEFAULT_MODEL,
        encoding: Encoding = "multipart",
        on_ambiguous: OnAmbiguous = "reconcile",
        progress: Progress | None = None,
    ) -> Voice:
        """Return the account's voice with this model, ``custom_name`` and text; upload it if there is none.

        If there are several, the first in the list is returned. Calls of one client for the same voice wait
        for each other; two machines that ask at the same moment may both upload it. The audio is not
        compared, since the service does not return it.

        The arguments are those of :meth:`upload_voice`; the errors are those of :meth:`upload_voice` and
        :meth:`list_voices`. The upload has a deadline of its own, which starts when the list has arrived.
        """
        uploader = self.uploader()
        check_choice("on_ambiguous", on_ambiguous, OnAmbiguous)
        check_callback("progress", progress)
        check_texts(self.limits, custom_name=custom_name, text=text, model=model)
        upload = VoiceUpload(audio, custom_name, text, model, encoding)
        with uploader.counted():
            return await _ensure(uploader, upload, on_ambiguous, progress)

    async def list_voices(self) -> list[Voice]:
        """List the account's own voices.

        Raises:
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            InvalidResponseError: The answer is not a list of voices.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        uploader = self.uploader()
        with uploader.counted():
            return await uploader.list_voices(uploader.until())

    def stream_speech(
        self,
        text: str,
        *,
        voice: Voice | str | None = None,
        references: Iterable[Reference] = (),
        model: str | None = None,
        response_format: ResponseFormat = "mp3",
        sample_rate: int | None = None,
        speed: float = 1.0,
        gain: float = 0.0,
        max_tokens: int | None = None,
    ) -> Speech:
        """Speak a text, and return the audio as it arrives: an async context manager and iterator.

        ::

            async with client.stream_speech("慢工出细活", voice=voice) as speech:
                await speech.save("patience.mp3")

        It is retried until its first bytes are handed out, and never afterwards. Speech has a gate of the
        throttle of its own, ``<model>:speech``, which counts the bytes of *text* in UTF-8 as tokens. It is
        under way until all of it was read or the context is left.

        Args:
            text: What to speak, 1 to 128,000 characters; long texts are better sent in parts.
            voice: A voice of the account, its uri, or the name of a preset (alex, anna, bella, benjamin,
                charles, claire, david, diana).
            references: Recordings to speak like, in place of *voice*: cloning without an upload.
            model: The model that speaks; by default the voice's, or CosyVoice2.
            response_format: ``mp3``, ``opus``, ``wav`` or ``pcm``: 16-bit little-endian mono samples.
            sample_rate: 32000 (default) or 44100 for mp3, 48000 for opus; for wav and pcm 8000, 16000, 24000
                (default), 32000 or 44100. It is always sent, since the service's own default varies.
            speed: 0.25 to 4.
            gain: Loudness in dB, −10 to 10.
            max_tokens: The most that a MOSS model generates; None for its own default.

        Raises:
            InvalidUploadError: An argument breaks a rule of the API; nothing was sent. Of *references*, the
                audio is looked at when the context is entered.

        Entering the context raises what :meth:`upload_voice` raises, AmbiguousUploadError aside.
        """
        parameters = SpeechParameters(
            text, voice, references, model, response_format, sample_rate, speed, gain, max_tokens
        )
        return Speech(parameters.completed(limited=self.limits is not None), self._speaker)

    async def transcribe(self, audio: Audio, *, model: str = TRANSCRIBING_MODEL) -> Transcript:
        """Transcribe a recording.

        A lost answer is simply asked for again.

        Args:
            audio: The recording, as for :meth:`upload_voice`: mp3, wav, m4a, webm, ogg, opus or flac, up to
                50 MB and an hour.
            model: The model that transcribes.

        Returns:
            The text as it came, and what else the model returned. The text is empty if nothing was heard.

        Raises:
            InvalidUploadError: An argument breaks a rule of the API; nothing was sent.
            AudioSourceError: The audio can't be read, can't be read again for a retry, or changed.
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            InvalidResponseError: The answer is not a transcript.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        return await self._speaker().transcribe(audio, model)

    async def list_models(self, kind: ModelKind) -> list[str]:
        """List the ids of the models that exist today for this key.

        Args:
            kind: ``text-to-speech`` or ``speech-to-text``.

        Raises:
            InvalidUploadError: *kind* is neither.
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            InvalidResponseError: The answer is not a list of models.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        check_choice("kind", kind, ModelKind)
        return await self._speaker().list_models(kind)

    def _speaker(self) -> Speaker:
        uploader = self.uploader()
        return Speaker(uploader.engine, uploader.pool)

    async def delete_voice(self, uri: str) -> None:
        """Delete a voice of the account, by its ``speech:`` uri.

        Raises:
            InvalidUploadError: *uri* is not a ``speech:`` uri; nothing was sent.
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        if not str(uri).startswith("speech:"):
            raise InvalidUploadError(
                "uri", f"{uri!r:.80} is not the uri of a voice, which begins with speech:"
            )
        uploader = self.uploader()
        operation = Operation(requests.delete_voice(uri), parse_nothing, uri)
        with uploader.counted():
            await uploader.engine.call(operation, Deadline.by(uploader.until()))


async def _upload(
    uploader: Uploader, upload: VoiceUpload, on_ambiguous: OnAmbiguous, progress: Progress | None
) -> Voice:
    until = uploader.until()
    async with aclosing(await uploader.open(upload, until=until)) as opened:
        return await opened.send(deadline=Deadline.by(until), on_ambiguous=on_ambiguous, progress=progress)


async def _ensure(
    uploader: Uploader, upload: VoiceUpload, on_ambiguous: OnAmbiguous, progress: Progress | None
) -> Voice:
    until = uploader.until()
    wanted = Voice("", upload.model, upload.custom_name, upload.text)
    lock = uploader.account.ensuring.setdefault(likeness(wanted), asyncio.Lock())
    try:
        async with asyncio.timeout_at(until):
            await lock.acquire()
    except TimeoutError:
        raise APITimeoutError(
            f"The deadline passed while another ensure_voice call for {upload.custom_name!r:.80} was "
            "running; nothing was sent: raise RetryPolicy.deadline"
        ) from None
    try:
        found = await uploader.look_for(wanted, until)
        return found or await _upload(uploader, upload, on_ambiguous, progress)
    finally:
        lock.release()

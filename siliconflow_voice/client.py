"""The client: one method for each endpoint, and one way that all of them go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from types import TracebackType
from typing import NoReturn, Self, Unpack
from weakref import WeakValueDictionary

import aiohttp

from siliconflow_voice.api import requests
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.api.responses import parse_nothing
from siliconflow_voice.audio.checks import AudioLimits, check_texts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import Audio
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.engine import Engine, Progress
from siliconflow_voice.calls.events import Event
from siliconflow_voice.calls.retry import RetryPolicy
from siliconflow_voice.errors import APITimeoutError, ConfigurationError, InvalidUploadError
from siliconflow_voice.models import Voice
from siliconflow_voice.options import ClientOptions, check_options
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.transport import origin
from siliconflow_voice.transport.session import Connection, Timeouts
from siliconflow_voice.uploads.recovery import KnownVoices, Likeness, OnAmbiguous, likeness
from siliconflow_voice.uploads.uploader import Uploader
from siliconflow_voice.uploads.values import DEFAULT_MODEL, VoiceUpload
from siliconflow_voice.validation import check_callback, check_choice

__all__ = ["VoiceClient"]


class VoiceClient:
    """A client of SiliconFlow's voice API.

    ::

        async with VoiceClient() as client:
            voice = await client.upload_voice("narrator.mp3", custom_name="narrator", text="慢工出细活")
            print(voice.uri)

    Without ``async with``, :meth:`close` it. It belongs to the event loop that first uses it.

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
        check_options(
            session=session,
            retry=retry,
            throttle=throttle,
            timeouts=timeouts,
            limits=limits,
            on_event=on_event,
        )
        engine = Engine(
            origin.key(api_key),
            origin.base_url(base_url, allow_http=allow_http),
            Connection(session),
            retry,
            Throttle() if throttle is None else throttle,
            timeouts,
            on_event,
        )
        self._uploader = Uploader(engine, limits, ReadPool(), KnownVoices())
        self._allow_http = allow_http
        self._ensuring = WeakValueDictionary[Likeness, asyncio.Lock]()
        self._closed = False
        self._is_sibling = False

    def __repr__(self) -> str:
        return f"VoiceClient(base_url={self.base_url!r})"

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

        Calls under way fail, each with the error that fits what it was doing; those that wait for their turn,
        when it comes. Closing twice does nothing.
        """
        self._closed = True
        if not self._is_sibling:
            await self._uploader.engine.connection.close()
            await self._uploader.pool.close()

    @property
    def base_url(self) -> str:
        """The API's address."""
        return str(self._uploader.engine.base_url)

    def with_options(self, **changes: Unpack[ClientOptions]) -> VoiceClient:
        """Make a sibling: the same session and throttle, with some options changed.

        It need not be closed, and is of no use once this client is.

        Raises:
            ConfigurationError: A key or an address is of no use.
        """
        engine = self._uploader.engine
        options: ClientOptions = {
            "api_key": engine.key,
            "base_url": self.base_url,
            "retry": engine.retry,
            "throttle": engine.throttle,
            "timeouts": engine.timeouts,
            "limits": self._uploader.limits,
            "on_event": engine.on_event,
            "allow_http": self._allow_http,
        }
        options.update(changes)
        sibling = VoiceClient(**options)
        sibling._is_sibling = True
        sibling._uploader.pool = self._uploader.pool
        changed = sibling._uploader.engine
        changed.connection, changed.numbers = engine.connection, engine.numbers
        if (changed.key, changed.base_url) == (engine.key, engine.base_url):
            sibling._uploader.known, sibling._ensuring = self._uploader.known, self._ensuring
        return sibling

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
            APIStatusError: The service refused, or failed and has stored nothing.
            APIConnectionError: No answer came, and nothing was stored.
            AmbiguousUploadError: The voice may have been stored. With ``on_ambiguous="retry"``, the
                last of the other errors, or an InvalidResponseError, is raised instead.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        until = self._ready().until()
        check_choice("on_ambiguous", on_ambiguous, OnAmbiguous)
        check_callback("progress", progress)
        upload = VoiceUpload(audio, custom_name, text, model, encoding)
        async with aclosing(await self._uploader.open(upload, until=until)) as opened:
            return await opened.send(
                deadline=Deadline.by(until), on_ambiguous=on_ambiguous, progress=progress
            )

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
        """Give the account's voice with this model, ``custom_name`` and text; upload it if there is none.

        Of several, the one that is listed first. Calls of one client for the same voice wait for each other;
        two machines that ask at the same moment may both upload it. The audio is not compared: the service
        doesn't give it back.

        Takes what :meth:`upload_voice` takes, and raises what that and :meth:`list_voices` raise. The upload
        has a deadline of its own, from when the list has come.
        """
        until = self._ready().until()
        check_texts(self._uploader.limits, custom_name=custom_name, text=text, model=model)
        wanted = Voice("", model, custom_name, text)
        lock = self._ensuring.setdefault(likeness(wanted), asyncio.Lock())
        try:
            async with asyncio.timeout_at(until):
                await lock.acquire()
        except TimeoutError:
            raise APITimeoutError(f"The deadline passed while another call ensures {custom_name}") from None
        try:
            voices = await self._uploader.list_voices(until)
            # What may be under way is not to be taken for old.
            if not self._uploader.known.busy:
                self._uploader.known.learn(voices)
            found = next((voice for voice in voices if likeness(voice) == likeness(wanted)), None)
            return found or await self.upload_voice(
                audio,
                custom_name=custom_name,
                text=text,
                model=model,
                encoding=encoding,
                on_ambiguous=on_ambiguous,
                progress=progress,
            )
        finally:
            lock.release()

    async def list_voices(self) -> list[Voice]:
        """List the account's own voices.

        Raises:
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            InvalidResponseError: The answer is no list of voices.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        until = self._ready().until()
        return await self._uploader.list_voices(until)

    async def delete_voice(self, uri: str) -> None:
        """Delete a voice of the account, by its ``speech:`` uri.

        Raises:
            InvalidUploadError: It is no ``speech:`` uri; nothing was sent.
            APIStatusError: The service refused.
            APIConnectionError: No answer came.
            ConfigurationError: The client is closed, or used in another event loop.
        """
        if not str(uri).startswith("speech:"):
            raise InvalidUploadError("uri", f"{uri!r:.80} is no uri of a voice: those begin with speech:")
        engine = self._ready()
        await engine.call(
            requests.delete_voice(uri), parse_nothing, subject=uri, deadline=Deadline.by(engine.until())
        )

    def _ready(self) -> Engine:
        """Give the engine, or say why it can't be used here and now."""
        if self._closed:
            raise ConfigurationError("The client is closed")
        self._uploader.engine.connection.session()
        return self._uploader.engine

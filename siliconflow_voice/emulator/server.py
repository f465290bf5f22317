"""The HTTP server of the emulated account, with the faults that a test adds."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import string
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from siliconflow_voice.emulator import wire
from siliconflow_voice.emulator.account import Account
from siliconflow_voice.emulator.answers import error_answer
from siliconflow_voice.emulator.faults import (
    CloseIdle,
    Delay,
    DropAnswer,
    FaultPlan,
    ResetAfter,
    ReturnStatus,
    StallAfter,
    StallAnswer,
    TrickleAnswer,
    TruncateAnswer,
)
from siliconflow_voice.emulator.kept import KeptRecordings
from siliconflow_voice.emulator.records import RequestRecord
from siliconflow_voice.emulator.speaking import Delivery
from siliconflow_voice.emulator.status import StatusPage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ssl import SSLContext
    from typing import Self

    from siliconflow_voice.emulator.faults import Fault
    from siliconflow_voice.emulator.quotas import Quota
    from siliconflow_voice.emulator.records import Endpoint, StoredVoice

__all__ = ["Emulator"]

_MODELS = ("FunAudioLLM/CosyVoice2-0.5B", "fnlp/MOSS-TTSD-v0.5", "IndexTeam/IndexTTS-2")
_ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/uploads/audio/voice"): "upload",
    ("GET", "/v1/audio/voice/list"): "list",
    ("POST", "/v1/audio/voice/deletions"): "delete",
    ("POST", "/v1/audio/speech"): "speech",
    ("POST", "/v1/audio/transcriptions"): "transcribe",
    ("GET", "/v1/models"): "models",
}
# aiohttp takes 0 for "for ever". All handlers have ended before it begins to count.
_SHUTDOWN_SECONDS = 0.1

_log = logging.getLogger(__name__)
# A client that does not speak HTTP is not an error of ours; anything else that aiohttp logs is.
_CLIENT_ERRORS = (HttpProcessingError, web.RequestPayloadError)
_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_ERRORS)))


class Emulator:
    """SiliconFlow's voice API on loopback, as far as its behaviour is known.

    It uploads, lists and deletes voices, speaks, transcribes, and lists models. Voices are kept in memory.
    Speech is a tone; without PyAV, mp3 and opus are silence. A transcript is the text that a recording was
    uploaded or spoken with. The clock is the running loop's, and everything random comes from ``seed``.
    Uploads, speech and transcripts each count toward a quota of their model, once the body was read; the
    other requests don't count.

    Args:
        api_key: The only key that is accepted.
        quota: The quota of each model; None for no limit.
        faults: What goes wrong, in order of precedence.
        host: The address to listen on.
        port: The port to listen on; 0 for any free port.
        account: The second part of a voice's uri, after its name.
        latency: Seconds that each answer takes, or a range to draw them from. A voice is stored before that.
        models: The models that accept a voice. They speak too, unless the service has disabled them.
        max_audio_bytes: The largest audio that is accepted.
        list_key: The key of the list in its answer: ``"result"`` as really seen, ``"results"`` as
            documented, ``""`` for a bare list.
        delivery: How speech is sent.
        seed: The seed of everything random.
        ssl: Serve https with this context.
        status_page: Show voices, quota, faults and the last requests at :attr:`status_url`, and keep up to
            64 MB of recordings to be played there. It asks for no key, so ``host`` must be loopback.

    Raises:
        ValueError: If ``latency`` is negative or not a range, or ``status_page`` is set and ``host`` is not
            loopback.
    """

    def __init__(
        self,
        *,
        api_key: str = "sk-test",
        quota: Quota | None = None,
        faults: Iterable[Fault] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        account: str = "emulated",
        latency: float | tuple[float, float] = 0.0,
        models: Iterable[str] = _MODELS,
        max_audio_bytes: int = 5_000_000,
        list_key: str = "result",
        delivery: Delivery = Delivery(),
        seed: int = 0,
        ssl: SSLContext | None = None,
        status_page: bool = False,
    ) -> None:
        self.requests: list[RequestRecord] = []
        """Every request, in the order of arrival."""
        self.in_flight = 0
        """Requests that are being handled."""
        self.peak_in_flight = 0
        """The largest number of requests that were handled at once."""
        low, high = latency if isinstance(latency, tuple) else (latency, latency)
        if not 0 <= low <= high < math.inf:
            raise ValueError(f"latency must be seconds or a range of seconds, got {latency!r:.80}")
        self._latency = low, high
        self._host, self._port, self._ssl = host, port, ssl
        self._delivery = delivery
        # Or a web page could reach it by a name of its own, which it has lead to this machine.
        self._is_loopback = _names_loopback(host)
        if status_page and not self._is_loopback:
            raise ValueError(f"status_page needs a loopback host, got {host!r:.80}: it asks for no key")
        self._random = random.Random(seed)  # noqa: S311 - is to be repeatable, not secret
        kept = KeptRecordings() if status_page else None
        self._account = Account(
            name=account,
            api_key=api_key,
            quota=quota,
            models=models,
            max_audio_bytes=max_audio_bytes,
            list_key=list_key,
            delivery=delivery,
            chance=self._random,
            kept=kept,
        )
        self._plan = FaultPlan(self._random)
        self._plan.extend(faults)
        self._page = StatusPage(self._account, self._plan, kept) if kept is not None else None
        self._runner: web.AppRunner | None = None
        self._handlers: set[asyncio.Task[object]] = set()
        self._idle = wire.IdleConnections()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """The address for a client, such as ``http://127.0.0.1:40123/v1``.

        Raises:
            RuntimeError: If the emulator is not running.
        """
        if self._runner is None:
            raise RuntimeError(
                "the emulator has an address only while it runs: use `async with`, or start() it"
            )
        host, port = self._runner.addresses[0][:2]
        return str(URL.build(scheme="https" if self._ssl else "http", host=host, port=port, path="/v1"))

    @property
    def status_url(self) -> str:
        """The address of the status page, such as ``http://127.0.0.1:40123/``.

        Raises:
            RuntimeError: If the emulator is not running, or is without ``status_page``.
        """
        if self._page is None:
            raise RuntimeError("the emulator has no status page: pass status_page=True")
        return str(URL(self.base_url).with_path("/"))

    @property
    def voices(self) -> list[StoredVoice]:
        """The stored voices, in the order of arrival."""
        return self._account.voices

    @property
    def quota(self) -> Quota | None:
        """The quota of each model. It may be replaced at any time; what was counted stays counted."""
        return self._account.quota

    @quota.setter
    def quota(self, quota: Quota | None) -> None:
        self._account.quota = quota

    @property
    def unmet_faults(self) -> tuple[Fault, ...]:
        """The faults that were met less often than their ``times``.

        Of faults with a ``share`` or without a number of times, the ones that were never met.
        """
        return self._plan.unmet

    def add_fault(self, fault: Fault) -> None:
        """Add a fault after the others."""
        self._plan.extend([fault])

    def clear_faults(self) -> None:
        """Remove all faults, also from :attr:`unmet_faults`."""
        self._plan.clear()

    async def start(self) -> None:
        """Start to listen.

        Raises:
            RuntimeError: If the emulator is already running.
            OSError: If the port is in use.
        """
        if self._runner is not None:
            raise RuntimeError("the emulator already runs: close() it first, or create another")
        application = web.Application(client_max_size=0)  # that is: no limit
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=_log,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._ssl).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner

    async def close(self) -> None:
        """Stop at once, and cut off requests under way; voices and requests can still be inspected."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in runner.sites:
            await site.stop()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._is_loopback and not _names_loopback(request.host):
            return error_answer(421, 20015, "This host is not served: use a loopback address.").response(
                "ti_0"
            )
        if self._page is not None and (shown := self._page.answer(request)) is not None:
            return shown
        endpoint = _ENDPOINTS.get((request.method, request.path), "unknown")
        record = RequestRecord(asyncio.get_running_loop().time(), endpoint)
        self.requests.append(record)
        if self._page is not None:
            self._page.note(request, record)
        self._idle.note_request(wire.transport_of(request))
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        handler = cast("asyncio.Task[object]", asyncio.current_task())
        self._handlers.add(handler)
        try:
            # A request that has no right to be here uses up no fault that a test has laid out for another.
            known = self._account.refusal(request, endpoint) is None
            return await self._meet(self._plan.pick(endpoint) if known else None, request, record)
        finally:
            self._handlers.discard(handler)
            self.in_flight -= 1

    async def _meet(
        self, fault: Fault | None, request: web.Request, record: RequestRecord
    ) -> web.StreamResponse:
        action = fault and fault.action
        match action:
            case StallAfter(bytes_):
                await wire.read_body(request, bytes_)
                return await wire.hold(wire.transport_of(request))
            case ResetAfter(bytes_):
                await wire.read_body(request, bytes_)
                return wire.reset(wire.transport_of(request))
            case ReturnStatus(answer):
                await wire.read_body(request, math.inf)
            case _:
                answer = await self._account.answer(request, record.endpoint)
        late = action.seconds if isinstance(action, Delay) else 0.0
        await asyncio.sleep(self._random.uniform(*self._latency) + late)
        if isinstance(action, DropAnswer):
            return wire.drop(wire.transport_of(request))
        record.status, record.code, record.refused = answer.status, answer.code, answer.refuses
        trace_id = "ti_" + "".join(self._random.choices(string.ascii_lowercase + string.digits, k=20))
        match action:
            case TruncateAnswer(keep_bytes):
                return await wire.truncate(request, answer, trace_id, keep_bytes)
            case TrickleAnswer(seconds_per_byte):
                return await wire.trickle(request, answer, trace_id, seconds_per_byte)
            case StallAnswer(keep_bytes):
                return await wire.stall(request, answer, trace_id, keep_bytes)
            case CloseIdle(seconds):
                response = await wire.send(request, answer, trace_id)
                self._idle.close_after(wire.transport_of(request), seconds)
                return response
            case _ if answer.chunk_bytes is not None:
                first_after, pause = self._delivery.first_after, self._delivery.pause
                return await wire.stream(request, answer, trace_id, first_after=first_after, pause=pause)
            case _:
                return answer.response(trace_id)


def _names_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine by its address or as localhost."""
    try:
        name = URL(f"http://{host if host.count(':') < 2 or '[' in host else f'[{host}]'}").host or ""
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    except ValueError:
        return False

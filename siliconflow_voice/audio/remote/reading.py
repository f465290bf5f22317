"""Reads a recording that is fetched first, whole and within bounds: nothing is sent while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import cast

from attrs import evolve

from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import MOST_HELD, ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.remote.address import WEB, Address
from siliconflow_voice.audio.remote.objects import open_object
from siliconflow_voice.audio.remote.policy import RemoteAudio
from siliconflow_voice.audio.remote.spool import Spool
from siliconflow_voice.audio.remote.web import Body, Interrupted, Web
from siliconflow_voice.errors import (
    AudioSourceError,
    InvalidUploadError,
    SiliconFlowError,
    SourceChangedError,
)

__all__ = ["RemoteReading"]

# Seconds before the second try; each further one waits twice as long.
_WAIT = 0.5


class RemoteReading(Reading):
    """A recording at an address.

    It is fetched before the first byte is sent, and kept until the upload has ended: so its size is known,
    a slow or broken download holds up no connection to the service, and a retry sends the same bytes. What
    is let go of, since many wait, is fetched again, and sent only if its digest is the same.
    """

    def __init__(
        self, address: Address, policy: RemoteAudio, name: str, content_type: str | None, pool: ReadPool
    ) -> None:
        self._address = address
        self._policy = policy
        self._name = name
        self._content_type = content_type
        self._pool = pool
        self._sha256: str | None = None
        self._held: tuple[Spool, Reading] | None = None

    async def facts(self, *, measure: bool = True, digest: bool = False) -> AudioFacts:
        facts = await self._fetch(measure=measure)
        return evolve(facts, sha256=self._sha256) if digest else facts

    async def blocks(self) -> AsyncGenerator[Block, None]:
        if self._held is None:
            await self._fetch(measure=False)
        _, reading = cast("tuple[Spool, Reading]", self._held)
        async with aclosing(reading.blocks()) as blocks:
            async for block in blocks:
                yield block

    def wait(self) -> None:
        if self._pool.held > MOST_HELD:
            self._let_go()

    async def close(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._pool.held -= 1
            held[0].close()

    async def _fetch(self, *, measure: bool) -> AudioFacts:
        """Fetch it, and hold it; it is the same as before.

        Raises:
            AudioSourceError: It can't be fetched.
            SourceChangedError: It is not the same.
        """
        spool = await self._in_time()
        try:
            reading = await spool.reading(self._content_type)
            reading.largest = self.largest
            facts = await reading.facts(measure=measure)
        except BaseException:
            spool.close()
            raise
        self._held = spool, reading
        self._pool.held += 1
        before, self._sha256 = self._sha256, spool.sha256
        if before not in {None, spool.sha256}:
            raise SourceChangedError(f"{self._name} changed while it waited to be uploaded")
        return facts

    async def _in_time(self) -> Spool:
        timeout = self._policy.timeout
        failed: SiliconFlowError
        try:
            async with asyncio.timeout(timeout):
                return await self._in_some_tries()
        except TimeoutError:
            failed = AudioSourceError(
                f"{self._name} took longer than {timeout:g} s: raise RemoteAudio.timeout"
            )
        except SiliconFlowError as error:
            # The frames that it comes from know all of the address.
            failed = error.with_traceback(None)
        raise failed

    async def _in_some_tries(self) -> Spool:
        attempt = 1
        while True:
            try:
                return await self._download()
            except Interrupted as interrupted:
                error = interrupted.error
            if attempt == self._policy.attempts:
                raise error
            await asyncio.sleep(_WAIT * 2 ** (attempt - 1))
            attempt += 1

    async def _download(self) -> Spool:
        """Fetch it once.

        Raises:
            Interrupted: It failed, and may not the next time.
        """
        spool = Spool(self._name, self._pool)
        try:
            await self._fill(spool)
        except BaseException:
            spool.close()
            raise
        return spool

    async def _fill(self, spool: Spool) -> None:
        """Fetch as much as may be sent, and no more."""
        most = min(self.largest or self._policy.max_bytes, self._policy.max_bytes)
        async with self._opened() as body:
            if body.size is not None and body.size > most:
                raise self._too_large(f"{body.size:,} bytes", most)
            async for chunk in body.chunks:
                await spool.add(chunk)
                if spool.size > most:
                    raise self._too_large(f"more than {most:,} bytes", most)

    def _opened(self) -> AbstractAsyncContextManager[Body]:
        if self._address.scheme not in WEB:
            return open_object(self._address, self._pool)
        private = self._policy.private
        web = self._pool.kept(("web", private), partial(Web, private))
        return web.open(self._address, self._policy)

    def _too_large(self, size: str, most: int) -> InvalidUploadError:
        return InvalidUploadError("audio", f"{self._name} is {size}; the limit is {most:,}", rule="too_large")

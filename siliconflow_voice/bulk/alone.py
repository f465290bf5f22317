"""Uploads of the same thing, one at a time: the second finds what the first has recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

__all__ = ["OneAtATime"]


@define(eq=False)
class OneAtATime:
    """Lets one of each key be under way."""

    _under_way: dict[bytes, list[asyncio.Future[None]]] = field(factory=dict[bytes, Any], init=False)
    """Keys, each with those that wait for it."""

    def __contains__(self, key: bytes) -> bool:
        return key in self._under_way

    @asynccontextmanager
    async def alone(self, key: bytes) -> AsyncGenerator[None, None]:
        """Wait for another of the same key, and let no other begin within."""
        while (waiting := self._under_way.get(key)) is not None:
            ended = asyncio.get_running_loop().create_future()
            waiting.append(ended)
            await ended
        self._under_way[key] = []
        try:
            yield
        finally:
            for ended in self._under_way.pop(key):
                if not ended.done():
                    ended.set_result(None)

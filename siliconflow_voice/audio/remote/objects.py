"""Fetches recordings from object storage, by fsspec's file systems, in the reading threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO, cast

from siliconflow_voice.audio.blocks import BlockReader, read_ahead, reading_errors
from siliconflow_voice.audio.pool import BLOCK, ReadPool
from siliconflow_voice.audio.remote.address import Address
from siliconflow_voice.audio.remote.web import Body
from siliconflow_voice.errors import AudioSourceError, ConfigurationError

__all__ = ["open_object"]


@asynccontextmanager
async def open_object(address: Address, pool: ReadPool) -> AsyncGenerator[Body, None]:
    """Open an object; its credentials are those that fsspec finds.

    Raises:
        ConfigurationError: What fsspec needs for the scheme is not installed.
        AudioSourceError: It can't be read.
    """
    file = await pool.begin(partial(_opened, address))
    reader = BlockReader(pool, address.shown, begin=lambda: file, check=lambda _: None, owned=True)
    async with aclosing(read_ahead(reader, None, pool)) as blocks:
        yield Body(getattr(file, "size", None), blocks)


def _opened(address: Address) -> BinaryIO:
    """Open an object as it is now, not as a listing of before has it."""
    fsspec: Any = import_module("fsspec")
    with reading_errors(address.shown):
        try:
            storage = fsspec.filesystem(address.scheme, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"{address.scheme}:// can't be used: {error}") from error
        try:
            # As a path of that file system alone: fsspec.open would read a chain of them (::) out of it.
            file = storage.open(f"{address.scheme}://{address.key}", "rb", block_size=BLOCK)
        except FileNotFoundError as error:
            raise AudioSourceError(f"{address.shown} does not exist: check the address") from error
        return cast("BinaryIO", file)

"""A thread of the package's own, so that neither the event loop nor its default executor waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["OwnThread"]

T = TypeVar("T")


class OwnThread:
    """Runs one function after the other, in the order of the calls; a context manager that ends it.

    Args:
        name: What the thread is for; shown in its name.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"siliconflow-voice-{name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Run *function* in the thread. Cancelling the future abandons the call, and does not end it."""
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def close(self, last: Callable[[], object] | None = None) -> None:
        """End the thread, once it has done what was asked for, and *last* at the end; don't wait for that."""
        if last is not None:
            self._executor.submit(last)
        self._executor.shutdown(wait=False)

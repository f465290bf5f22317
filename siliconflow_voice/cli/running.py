"""Carries out a bulk run, with somebody watching."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from attrs import define, field

from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.bulk.run import upload_many
from siliconflow_voice.cli.endings import Ending
from siliconflow_voice.cli.gates import gates_of
from siliconflow_voice.cli.outputs import Outputs
from siliconflow_voice.cli.screens import Screen
from siliconflow_voice.cli.signals import Interruption
from siliconflow_voice.cli.streams import Stdout
from siliconflow_voice.cli.tally import Tally
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["Run"]

_REFRESH = 0.25


@define
class Run:
    """A run, what came of it so far, and where that is shown and written."""

    source: Manifest
    throttle: Throttle
    outputs: Outputs
    tally: Tally
    screen: Screen
    stdout: Stdout
    interruption: Interruption
    _stopped_by: Exception | None = field(default=None, init=False)

    async def carry_out(
        self, client: VoiceClient, journal: Path, *, concurrency: int, settle: float
    ) -> Ending:
        """Upload all; end early where there is no use in going on, or if interrupted, with all written down.

        Raises:
            ConfigurationError: *settle* or *concurrency* is of no use.
        """
        uploads = upload_many(client, self.source, concurrency=concurrency, journal=journal, settle=settle)
        with self.screen.showing(), self.interruption.of_this_task():
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                try:
                    await self._upload(uploads)
                finally:
                    watching.cancel()
        return Ending.of(
            failed=self.tally.statuses["failed"],
            stopped_by=self._stopped_by,
            signal=self.interruption.signal,
        )

    async def _upload(self, uploads: AsyncGenerator[UploadOutcome, None]) -> None:
        try:
            async with aclosing(uploads) as outcomes:
                async for outcome in outcomes:
                    self.tally.outcome(outcome)
                    self.outputs.write(outcome)
                    self.screen.outcome(outcome)
            self.outputs.complete()
        except SiliconFlowError as error:
            self._stopped_by = error

    async def _watch(self) -> None:
        """Refresh the screen, until there is nobody left who would see it."""
        while self.stdout.error is None:
            gates = gates_of(self.throttle)
            self.tally.gauge(in_flight=gates.in_flight, limit=gates.limit)
            self.screen.refresh(gates)
            await asyncio.sleep(_REFRESH)
        self._stopped_by = self.stdout.lost()
        self.interruption.end()

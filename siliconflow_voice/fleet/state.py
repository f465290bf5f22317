"""What a fleet is doing: its submissions, its workers, its pace, and when it will be done."""

from __future__ import annotations

from attrs import frozen

from siliconflow_voice.database import Address
from siliconflow_voice.fleet import statements as sql
from siliconflow_voice.fleet.tables import Tables

__all__ = ["FleetStatus", "SubmissionStatus", "WorkerStatus", "read_status", "status"]


@frozen
class SubmissionStatus:
    """A manifest that was submitted."""

    id: int
    """Its number."""
    manifest: str
    """The file, where it was submitted."""
    rows: int
    submitted_at: float
    """Seconds since 1970, by the database's clock."""
    done: int
    """Rows that have their voice."""
    failed: int
    """Rows that failed."""
    cancelled: int
    """Rows that were cancelled before they were carried out."""

    @property
    def left(self) -> int:
        """Rows to be carried out."""
        return max(0, self.rows - self.done - self.failed - self.cancelled)


@frozen
class WorkerStatus:
    """A worker that lives, by its last heartbeat."""

    name: str
    """Its machine and process."""
    done: int
    """Rows of its own that have their voice."""
    failed: int
    per_second: float
    """Rows a second, over the last minute."""
    requests_per_minute: float | None
    """What it knows of the account's limit, as all workers share it; None if it is not known yet."""
    seconds: float
    """Since it began."""
    chunks: int
    """Chunks that it is working on."""


@frozen
class FleetStatus:
    """All that was submitted to a database, and the workers that are at it."""

    submissions: tuple[SubmissionStatus, ...]
    workers: tuple[WorkerStatus, ...]

    @property
    def rows(self) -> int:
        """Rows that were submitted."""
        return sum(submission.rows for submission in self.submissions)

    @property
    def done(self) -> int:
        """Rows that have their voice."""
        return sum(submission.done for submission in self.submissions)

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return sum(submission.failed for submission in self.submissions)

    @property
    def cancelled(self) -> int:
        """Rows that were cancelled before they were carried out."""
        return sum(submission.cancelled for submission in self.submissions)

    @property
    def left(self) -> int:
        """Rows to be carried out."""
        return sum(submission.left for submission in self.submissions)

    @property
    def per_second(self) -> float:
        """Rows a second of all workers, over the last minute."""
        return sum(worker.per_second for worker in self.workers)

    @property
    def requests_per_minute(self) -> float | None:
        """The account's limit, as far as the workers have learned it."""
        known = [
            worker.requests_per_minute for worker in self.workers if worker.requests_per_minute is not None
        ]
        return max(known, default=None)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest will take at this pace, or at the limit if that is less; None if unknown."""
        limit = self.requests_per_minute
        pace = self.per_second if limit is None else min(self.per_second, limit / 60)
        return self.left / pace if pace > 0 else None


async def status(database_url: str) -> FleetStatus:
    """Return what a fleet is doing.

    Args:
        database_url: ``postgresql://user@host/database``, where manifests were submitted.

    Raises:
        ConfigurationError: The URL is invalid.
        FleetError: The database can't be used.
    """
    async with Tables(Address.parse(database_url)) as tables:
        return await read_status(tables)


async def read_status(tables: Tables) -> FleetStatus:
    """Return what a fleet is doing, by its open tables."""
    return FleetStatus(
        tuple(SubmissionStatus(*row) for row in await tables.ask(sql.SUBMISSIONS)),
        tuple(WorkerStatus(*row) for row in await tables.ask(sql.WORKERS)),
    )

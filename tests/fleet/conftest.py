"""What the tests of fleets share: workers that look around more often, and small chunks."""

from __future__ import annotations

import pytest
from support.fleets import Database

from siliconflow_voice.fleet import station, submission, worker


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_POLL", 0.05)
    monkeypatch.setattr(station, "_RECORD", 0.05)
    monkeypatch.setattr(station, "_RATE_SECONDS", 0.5)
    monkeypatch.setattr(submission, "_ROWS", 10)
    monkeypatch.setattr(submission, "_CHUNKS", 2)


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)

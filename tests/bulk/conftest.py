"""Where a journal may be."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a journal, of either kind: what is promised of one is promised of the other."""
    if request.param == "sqlite":
        return str(tmp_path / "voices.journal")
    return str(request.getfixturevalue("database_url"))

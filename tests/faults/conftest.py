"""What the cases of the matrix share."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import trustme
from support.faults.play import Recording, World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Recordings and certificates."""
    folder = tmp_path_factory.mktemp("recordings")
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    certificates = {
        "good": authority.issue_cert("voice.localhost"),
        "expired": authority.issue_cert("voice.localhost", not_after=past),
        "of another host": authority.issue_cert("elsewhere.invalid"),
        "of an unknown authority": trustme.CA().issue_cert("voice.localhost"),
    }
    contexts = {}
    for name, certificate in certificates.items():
        contexts[name] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(contexts[name])
    small = Recording.made(folder / "small.mp3", 50_000)
    large = Recording.made(folder / "large.mp3", 16 << 20)
    gc.collect()
    gc.freeze()  # so that looking for garbage after each case takes no time
    yield World(small, large, contexts, trust)
    gc.unfreeze()

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from support.made import hum, wav
from support.recordings import SPEECH

from siliconflow_voice import (
    AudioSource,
    AudioSourceError,
    ConfigurationError,
    InvalidUploadError,
    RemoteAudio,
    VoiceClient,
    inspect_audio,
)
from siliconflow_voice.emulator import Emulator

REMOTE = RemoteAudio(hosts=["bucket"], schemes=["memory", "s3"])


@pytest.fixture
def storage() -> Iterator[Any]:
    storage = fsspec.filesystem("memory")
    yield storage
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("recording", [SPEECH, wav(hum(28))])
async def test_an_object_is_uploaded(
    client: VoiceClient, emulator: Emulator, storage: Any, recording: bytes
) -> None:
    storage.pipe("/bucket/录音 #1.mp3", recording)
    source = AudioSource.url("memory://bucket/录音 #1.mp3", remote=REMOTE)
    await client.upload_voice(source, custom_name="a", text="t")
    (stored,) = emulator.voices
    assert stored.sha256 == hashlib.sha256(recording).hexdigest()


async def test_an_object_is_looked_at(storage: Any) -> None:
    storage.pipe("/bucket/a.mp3", SPEECH)
    facts = await inspect_audio(AudioSource.url("memory://bucket/a.mp3", remote=REMOTE))
    assert (facts.format, facts.size) == ("mp3", len(SPEECH))


async def test_an_object_that_is_not_there_is_told(storage: Any) -> None:
    with pytest.raises(AudioSourceError) as caught:
        await inspect_audio(AudioSource.url("memory://bucket/a.mp3?secret", remote=REMOTE))
    assert str(caught.value) == "memory://bucket/a.mp3 does not exist: check the address."


async def test_an_object_that_can_not_be_read_is_told(storage: Any) -> None:
    storage.mkdir("/bucket/a.mp3")
    with pytest.raises(AudioSourceError, match=r"memory://bucket/a\.mp3 can't be read|does not exist"):
        await inspect_audio(AudioSource.url("memory://bucket/a.mp3", remote=REMOTE))


async def test_an_object_that_is_too_large_is_refused(storage: Any) -> None:
    storage.pipe("/bucket/a.mp3", SPEECH)
    remote = RemoteAudio(hosts=["bucket"], schemes=["memory"], max_bytes=1000)
    with pytest.raises(InvalidUploadError) as caught:
        await inspect_audio(AudioSource.url("memory://bucket/a.mp3", remote=remote))
    assert caught.value.reason == f"memory://bucket/a.mp3 is {len(SPEECH):,} bytes; the limit is 1,000"


async def test_a_storage_whose_package_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_arguments: object, **_options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(ConfigurationError) as caught:
        await inspect_audio(AudioSource.url("s3://bucket/a.mp3", remote=REMOTE))
    assert str(caught.value) == "s3:// can't be used: Install s3fs to access S3."


async def test_a_key_is_never_taken_for_a_chain_of_file_systems(storage: Any) -> None:
    with pytest.raises(AudioSourceError, match=r"memory://bucket/a::file:///etc/hostname does not exist"):
        await inspect_audio(AudioSource.url("memory://bucket/a::file:///etc/hostname", remote=REMOTE))

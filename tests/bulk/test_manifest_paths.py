"""Which files a manifest can have sent, and which it can't."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.manifests import csv_file, uploads
from support.recordings import SPEECH, TEXT

from siliconflow_voice import AudioSource, InvalidUploadError, VoiceClient, upload_many
from siliconflow_voice.audio.pool import BLOCK, ReadPool
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.errors import AudioSourceError


@pytest.fixture
async def pool() -> AsyncIterator[ReadPool]:
    pool = ReadPool()
    yield pool
    await pool.close()


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The manifest's folder, with a recording in it, and another beside it."""
    folder = tmp_path / "inside"
    (folder / "sub").mkdir(parents=True)
    for place in (folder, folder / "sub", tmp_path):
        (place / "a.mp3").write_bytes(SPEECH)
    (tmp_path / "inside-out").mkdir()
    (tmp_path / "inside-out" / "a.mp3").write_bytes(SPEECH)
    return folder


def link(inside: Path, to: Path, name: str = "link") -> None:
    (inside / name).symlink_to(to)


@pytest.mark.parametrize(
    ("audio", "linked"),
    [
        ("a.mp3", None),
        ("./sub/a.mp3", None),
        ("sub/../a.mp3", None),
        ("../inside/a.mp3", None),
        ("{inside}/a.mp3", None),
        ("link", "{inside}/sub/a.mp3"),
        ("link/a.mp3", "sub"),
    ],
)
async def test_what_is_inside_is_sent(
    client: VoiceClient, emulator: Emulator, inside: Path, audio: str, linked: str | None
) -> None:
    if linked is not None:
        link(inside, Path(linked.format(inside=inside)))
    path = csv_file(inside, f"{audio.format(inside=inside)},a,{TEXT}")
    (outcome,) = [outcome async for outcome in upload_many(client, Manifest(path))]
    assert (outcome.status, len(emulator.voices)) == ("uploaded", 1)


@pytest.mark.parametrize(
    ("audio", "linked"),
    [
        ("../a.mp3", None),
        ("../inside-out/a.mp3", None),
        ("sub/../../a.mp3", None),
        ("../is-not-there.mp3", None),
        ("{inside}/../a.mp3", None),
        ("{inside.parent}/a.mp3", None),
        ("link", "{inside.parent}/a.mp3"),
        ("link", "../a.mp3"),
        ("link/a.mp3", ".."),
        ("link/../a.mp3", "../inside-out"),
    ],
)
async def test_what_leads_outside_is_refused(
    client: VoiceClient, emulator: Emulator, inside: Path, audio: str, linked: str | None
) -> None:
    if linked is not None:
        link(inside, Path(linked.format(inside=inside)))
    audio = audio.format(inside=inside)
    manifest = Manifest(csv_file(inside, f"{audio},a,{TEXT}"))
    (outcome,) = [outcome async for outcome in upload_many(client, manifest)]
    error = outcome.error
    assert isinstance(error, InvalidUploadError)
    assert (error.field, error.reason) == (
        "audio",
        f"{inside / audio} leads out of the folder {inside}; allow_outside permits that",
    )
    assert not [request for request in emulator.requests if request.endpoint == "upload"]


@pytest.mark.parametrize("audio", ["../a.mp3", "../inside-out/a.mp3"])
async def test_outside_can_be_allowed(
    client: VoiceClient, emulator: Emulator, inside: Path, audio: str
) -> None:
    manifest = Manifest(csv_file(inside, f"{audio},a,{TEXT}"), allow_outside=True)
    assert [outcome.status async for outcome in upload_many(client, manifest)] == ["uploaded"]


async def test_paths_are_relative_to_a_root_that_is_given(
    client: VoiceClient, emulator: Emulator, inside: Path
) -> None:
    path = csv_file(inside, f"inside-out/a.mp3,a,{TEXT}", f"../a.mp3,b,{TEXT}")
    outcomes = [outcome async for outcome in upload_many(client, Manifest(path, root=inside.parent))]
    assert {outcome.upload.custom_name: outcome.status for outcome in outcomes} == {
        "a": "uploaded",
        "b": "failed",
    }


async def test_a_root_may_itself_be_a_link(pool: ReadPool, inside: Path) -> None:
    link(inside.parent, inside)
    (upload,) = await uploads(Manifest(csv_file(inside, "a.mp3,a,t"), root=inside.parent / "link"))
    reading = AudioSource.of(upload.audio).reading(pool)
    assert (await reading.facts()).size == len(SPEECH)
    await reading.close()


async def test_a_link_that_turns_outside_after_the_first_look_is_not_followed(
    pool: ReadPool, inside: Path
) -> None:
    (inside / "a.mp3").write_bytes(bytes(2 * BLOCK))
    link(inside, inside / "a.mp3")
    (upload,) = await uploads(Manifest(csv_file(inside, "link,a,t")))
    reading = AudioSource.of(upload.audio).reading(pool)
    await reading.facts()
    (inside / "link").unlink()
    link(inside, inside.parent / "a.mp3")
    with pytest.raises(InvalidUploadError, match="leads out of the folder"):
        [block async for block in reading.blocks()]
    await reading.close()


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        ("is-not-there.mp3", "can't be read: no such file or directory"),
        ("sub", "is a directory, not a regular file"),
        (".", "is a directory, not a regular file"),
        ("a.mp3/b.mp3", "can't be read: not a directory"),
        ("link", "can't be read: too many levels of symbolic links"),
    ],
)
async def test_what_is_inside_and_no_file_is_refused_by_its_path(
    pool: ReadPool, inside: Path, audio: str, reason: str
) -> None:
    link(inside, Path("link"))
    (upload,) = await uploads(csv_file(inside, f"{audio},a,t"))
    with pytest.raises(AudioSourceError) as caught:
        await AudioSource.of(upload.audio).reading(pool).facts()
    assert caught.value.message == f"{inside / audio} {reason}"

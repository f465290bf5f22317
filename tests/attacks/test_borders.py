"""A manifest's folder is a border: whoever may write to it can't have a file from outside sent.

Then: 516 of 1,356 uploads came from outside, where real folders and files were swapped for links meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.manifests import csv_file
from support.recordings import SPEECH, TEXT, WAV

from siliconflow_voice import VoiceClient, upload_many
from siliconflow_voice.bulk import paths
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.emulator import Emulator

UPLOADS = 400
INSIDE, OUTSIDE = SPEECH, WAV.read_bytes()


@contextmanager
def swapped(*links: tuple[Path, Path]) -> Generator[None, None, None]:
    """Swap each real folder or file for a link to another, and back, over and over."""
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for real, elsewhere in links:
                aside = real.with_name(f"{real.name}.aside")
                real.rename(aside)
                real.symlink_to(elsewhere)
                real.unlink()
                aside.rename(real)

    thread = threading.Thread(target=swap, name="swapping")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A folder with a recording in it and in a folder of it, and others of the same names outside."""
    for place, content in (("inside", INSIDE), ("outside", OUTSIDE)):
        (tmp_path / place / "sub").mkdir(parents=True)
        for name in ("a.mp3", "sub/a.mp3"):
            (tmp_path / place / name).write_bytes(content)
    return tmp_path / "inside"


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows opens no file by its folder: see the threat model"
)
async def test_no_swap_of_a_folder_or_a_file_lets_one_from_outside_in(
    client: VoiceClient, emulator: Emulator, inside: Path
) -> None:
    outside = inside.parent / "outside"
    rows = [f"{'sub/' if number % 2 else ''}a.mp3,n{number},{TEXT}" for number in range(UPLOADS)]
    with swapped((inside / "sub", outside / "sub"), (inside / "a.mp3", outside / "a.mp3")):
        outcomes = [
            outcome.status async for outcome in upload_many(client, Manifest(csv_file(inside, *rows)))
        ]
    assert len(outcomes) == UPLOADS
    sent = Counter(voice.sha256 for voice in emulator.voices)
    assert set(sent) == {hashlib.sha256(INSIDE).hexdigest()}, sent


@pytest.mark.parametrize("audio", ["sub/a.mp3", "sub/../sub/a.mp3", "a.mp3"])
async def test_a_link_that_is_put_in_place_behind_the_check_is_not_followed(
    client: VoiceClient, emulator: Emulator, inside: Path, monkeypatch: pytest.MonkeyPatch, audio: str
) -> None:
    real_path = os.path.realpath
    target = inside / ("a.mp3" if audio == "a.mp3" else "sub")

    def resolved_and_swapped(path: str) -> str:
        resolved = real_path(path)
        if not target.is_symlink():
            target.rename(inside / "aside")
            target.symlink_to(inside.parent / "outside" / target.name)
        return resolved

    manifest = Manifest(csv_file(inside, f"sub/../{audio},a,{TEXT}"))
    monkeypatch.setattr(os.path, "realpath", resolved_and_swapped)
    statuses = [outcome.status async for outcome in upload_many(client, manifest)]
    assert (statuses, emulator.voices) == (["failed"], [])


@pytest.mark.parametrize(
    ("audio", "status"), [("sub/a.mp3", "uploaded"), ("link", "failed"), ("../outside/a.mp3", "failed")]
)
async def test_without_such_opening_a_path_is_still_checked(
    client: VoiceClient, inside: Path, monkeypatch: pytest.MonkeyPatch, audio: str, status: str
) -> None:
    (inside / "link").symlink_to(inside.parent / "outside" / "a.mp3")
    monkeypatch.setattr(paths, "_DESCENDS", False)
    manifest = Manifest(csv_file(inside, f"{audio},a,{TEXT}"))
    assert [outcome.status async for outcome in upload_many(client, manifest)] == [status]

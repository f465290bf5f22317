"""Manifests on a disk, and what is told of their rows."""

from __future__ import annotations

from pathlib import Path

from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.errors import SiliconFlowError

HEADER = "audio,custom_name,text"


def csv_file(folder: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    """Write a manifest, line by line."""
    path = folder / "voices.csv"
    path.write_bytes("".join(f"{line}\n" for line in (header, *lines)).encode(encoding))
    return path


def json_file(folder: Path, *lines: str) -> Path:
    path = folder / "voices.jsonl"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


async def uploads(manifest: Manifest | Path) -> list[ManifestUpload]:
    """Read all rows."""
    manifest = Manifest(manifest) if isinstance(manifest, Path) else manifest
    return [upload async for upload in manifest]


async def refusals(manifest: Manifest | Path) -> list[tuple[int, str]]:
    """Give the lines whose rows are refused as an upload begins, and why."""
    refused: list[tuple[int, str]] = []
    for upload in await uploads(manifest):
        try:
            AudioSource.of(upload.audio).reading(ReadPool())
        except SiliconFlowError as error:
            refused.append((upload.line, error.message))
    return refused

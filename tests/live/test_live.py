from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from live.__main__ import compare, main
from live.cycle import RATES, TEXT, record
from live.shapes import described, differences, media_type_of, shape_of
from siliconflow_voice.emulator import Delivery, Emulator, Fault


async def test_the_emulator_differs_from_itself_in_nothing(emulator: Emulator) -> None:
    recorded, found = await compare(emulator.base_url, "sk-test")
    assert found == []
    steps = json.loads(recorded)
    statuses = {name: step["status"] for name, step in steps.items()}
    assert {name: status for name, status in statuses.items() if status != 200} == {
        "upload without a text": 400,
        "speak with a bare preset": 400,
        "a path that is not there": 404,
        "no key": 401,
        "delete once more": 400,
    }
    assert {"delete 1", "delete 2", *(f"speak {format_}" for format_ in RATES)} <= set(steps)


async def test_nothing_is_left_but_what_was_there_and_nothing_is_recorded_but_shapes(
    emulator: Emulator,
) -> None:
    recorded, _ = await compare(emulator.base_url, "sk-test")
    assert emulator.voices == []
    assert not [secret for secret in ("sk-test", "speech:", "live-check", TEXT, "ti_") if secret in recorded]


async def test_what_differs_is_named() -> None:
    delivery = Delivery(content_type="application/octet-stream", list_chunk=True)
    faults = [Fault.return_status(200, body='{"text": "", "sk-secret key": 1}', endpoint="transcribe")]
    async with Emulator(list_key="results", delivery=delivery, faults=faults) as other:
        recorded, found = await compare(other.base_url, "sk-test")
        assert other.voices == []
    assert "speak wav: body: list_chunk: the service has true, the emulator false" in found
    assert (
        'speak mp3: media_type: the service has "application/octet-stream", the emulator "audio/mpeg"'
        in found
    )
    assert 'transcribe: body: shape: language: the service has "nothing", the emulator "string"' in found
    assert any(line.startswith("list: body: shape: results: the service has [") for line in found)
    assert "sk-secret" not in recorded


async def test_a_voice_whose_answer_was_lost_is_deleted_too(emulator: Emulator) -> None:
    emulator.add_fault(Fault.drop_answer(times=2))
    steps = await record(emulator.base_url, "sk-test")
    assert steps["upload as base64"]["error"] == "ServerDisconnectedError"
    assert steps["speak mp3"]["status"] == 200
    assert emulator.voices == []


async def test_a_service_that_refuses_everything_is_recorded(emulator: Emulator) -> None:
    steps = await record(emulator.base_url, "sk-other")
    assert steps["list"]["body"] == {"kind": "json", "shape": "string"}
    assert {step["status"] for step in steps.values()} == {401, 404}


def test_a_shape_has_keys_and_types_alone() -> None:
    document = {"a": [1, 2, "x", {"id 5": None}], "b": 1.5, "c": True}
    assert shape_of(document) == {"a": ["integer", "string", {"…": "null"}], "b": "number", "c": "boolean"}


@pytest.mark.parametrize(
    ("body", "requested", "expected"),
    [
        (b"", None, {"kind": "nothing"}),
        (b"<html>", None, {"kind": "text"}),
        (b'{"code": 20015}', "mp3", {"kind": "json", "shape": {"code": "integer"}, "code": 20015}),
        (b"OggS", "opus", {"kind": "audio", "format": "ogg", "empty": False}),
        (b"\x00\x01", "pcm", {"kind": "audio", "format": "unknown", "empty": False}),
        (
            b"RIFF\x04\0\0\0WAVE",
            "wav",
            {"kind": "audio", "format": "wav", "true_size": True, "list_chunk": False},
        ),
    ],
)
def test_a_body_is_described(body: bytes, requested: str | None, expected: dict[str, object]) -> None:
    assert described(body, requested) == expected


def test_times_are_not_compared_and_media_types_lose_their_parameters() -> None:
    assert list(differences({"seconds": 1, "a": 1}, {"seconds": 2, "a": 1})) == []
    assert media_type_of({"Content-Type": "Audio/MPEG; boundary=secret"}) == "audio/mpeg"
    assert media_type_of({}) is None


def test_without_a_key_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SILICONFLOW_API_KEY", raising=False)
    assert main([]) == 1
    assert "set it to a key of SiliconFlow" in capsys.readouterr().out


async def test_it_runs_as_a_script(emulator: Emulator, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "live", "--output", str(tmp_path / "live.json")),
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SILICONFLOW_API_KEY": "sk-test",
            "SILICONFLOW_BASE_URL": emulator.base_url,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.decode().strip().startswith("0 differences between the service and the emulator")


async def test_what_the_list_does_not_show_yet_is_deleted_too() -> None:
    late = Fault.return_status(200, body='{"result": []}', endpoint="list", times=None)
    async with Emulator(faults=[late]) as lagging:
        await record(lagging.base_url, "sk-test")
        assert lagging.voices == []

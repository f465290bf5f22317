"""Keys and addresses as people have them, up to the service: in objects, and in files of editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.recordings import SPEECH, TEXT
from support.terminal import expected, names, run, voices

from siliconflow_voice import AuthenticationError, ConfigurationError, VoiceClient
from siliconflow_voice.emulator import Emulator


class SecretStr:
    """What pydantic and others keep a secret in."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def get_secret_value(self) -> str:
        return self._secret


@pytest.mark.parametrize(
    "key",
    [SecretStr("sk-test"), b"sk-test", " Bearer sk-test\n", "SILICONFLOW_API_KEY='sk-test'", "“sk-test”"],
)
async def test_a_key_is_the_one_that_was_meant(emulator: Emulator, key: Any) -> None:
    async with VoiceClient(key, base_url=f" {emulator.base_url}/uploads/audio/voice\n") as client:
        await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
    assert len(emulator.voices) == 1


@pytest.mark.parametrize("key", [5, ["sk-test"], "sk-te st", "sk-\u4e2d", SecretStr(""), b"\xff\xfe"])
def test_one_that_can_not_be_meant_is_refused_by_the_argument(key: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        VoiceClient(key)
    said = str(refused.value)
    assert ("key" in said.lower(), "sk-" in said) == (True, False)


async def test_a_key_of_another_account_is_the_services_to_refuse(emulator: Emulator) -> None:
    async with VoiceClient("sk-other", base_url=emulator.base_url) as client:
        with pytest.raises(AuthenticationError):
            await client.list_voices()


@pytest.mark.parametrize(
    "written",
    [
        "sk-test\r\n".encode("utf-16"),  # by `echo` in Windows' PowerShell
        b"\xef\xbb\xbfsk-test\r\n",  # by Windows' editor
        b'SILICONFLOW_API_KEY="sk-test"\n',  # a .env file
    ],
)
async def test_a_key_file_is_read_as_it_was_written(
    tmp_path: Path, emulator: Emulator, written: bytes
) -> None:
    (tmp_path / "key").write_bytes(written)
    ended = await run(
        *("bulk", voices(tmp_path, 2), "--api-key-file", tmp_path / "key"),
        *("--base-url", emulator.base_url + "/"),
        environment={"SILICONFLOW_API_KEY": ""},
    )
    assert (ended.status, ended.err) == (0, "")
    assert names(emulator) == expected(2)

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.manifests import csv_file
from support.recordings import MP3, SPEECH, TEXT
from support.terminal import bulk

import siliconflow_voice
from siliconflow_voice import (
    AmbiguousUploadError,
    AuthenticationError,
    Manifest,
    NotFoundError,
    RetryPolicy,
    SiliconFlowError,
    Throttle,
    Timeouts,
    VoiceClient,
    upload_many,
)
from siliconflow_voice.cli.wording import in_options
from siliconflow_voice.emulator import Emulator, Fault

PYTHON = re.compile(
    r"base_url|api_key|allow_http|allow_outside|RetryPolicy|Timeouts|Throttle|list_voices\(\)"
)


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(SiliconFlowError) as caught:
        make()
    return str(caught.value)


def client(**options: Any) -> VoiceClient:
    return VoiceClient("sk-test", **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: client(base_url="ftp://example.com"),
            "--base-url is not an http or https address: pass one such as https://api.siliconflow.cn/v1.",
        ),
        (
            lambda: client(base_url="http://example.com/v1"),
            "--base-url would send the key to example.com unencrypted: use https.",
        ),
        (
            lambda: client(base_url="https://me:secret@example.com"),
            "--base-url has a user or a password in it: pass the key with --api-key-file.",
        ),
        (
            lambda: client(base_url="https://example.com/v1?a=b"),
            "--base-url, of example.com, has a query or a fragment: end it with the path.",
        ),
        (lambda: client(proxy="ftp://proxy"), "--proxy must be an http proxy, got 'ftp'."),
        (
            lambda: client(proxy="http://proxy:1", base_url="http://127.0.0.1"),
            "--proxy is valid only for https addresses, since over http it would see the key: use https.",
        ),
        (
            lambda: Manifest("voices.csv", encoding="kli"),
            "--manifest-encoding must be the name of a text encoding, such as utf-8 or gb18030, got 'kli'.",
        ),
        (
            lambda: upload_many(client(), [], settle=-1),
            "--settle must be seconds, at least 0, got -1.",
        ),
        (
            lambda: upload_many(client(), [], concurrency=0),
            "--concurrency must be a whole number, at least 1, got 0.",
        ),
    ],
)
def test_a_setting_that_is_refused_is_called_as_the_option(make: Callable[[], object], message: str) -> None:
    assert in_options(refused(make)) == message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NotFoundError("no", status=404), "HTTP 404: no. Check --base-url: it ends in /v1."),
        (AmbiguousUploadError("Lost"), "Lost. Run it again to have its voice looked for."),
    ],
)
def test_what_to_do_is_what_the_command_can_do(error: SiliconFlowError, message: str) -> None:
    assert in_options(str(error)) == message


def test_an_error_of_a_wrong_key_names_the_option() -> None:
    assert "check that --base-url is the cloud" in in_options(str(AuthenticationError("no", status=401)))


async def test_a_path_outside_and_a_text_too_long_name_their_options(
    tmp_path: Path, client: VoiceClient
) -> None:
    (tmp_path / "a.mp3").write_bytes(SPEECH)
    path = csv_file(tmp_path, f"{MP3},a,{TEXT}", f"a.mp3,b,{TEXT * 100}")
    limited = client.with_options(throttle=Throttle(tokens_per_minute=100))
    outcomes = [outcome async for outcome in upload_many(limited, Manifest(path))]
    outside, too_long = [
        in_options(str(each.error)) for each in sorted(outcomes, key=lambda each: each.index)
    ]
    assert outside.endswith("; --allow-outside permits that.")
    assert too_long.endswith("tokens; --tokens-per-minute allows 100 a minute.")


async def test_times_that_the_command_can_t_set_are_not_advised(emulator: Emulator) -> None:
    emulator.add_fault(Fault.delay(3600, times=None, endpoint="list"))
    options: list[dict[str, Any]] = [
        {"timeouts": Timeouts(attempt=0.05), "retry": RetryPolicy.none()},
        {"retry": RetryPolicy(deadline=0.05)},
    ]
    for option in options:
        async with VoiceClient("sk-test", base_url=emulator.base_url, **option) as client:
            with pytest.raises(SiliconFlowError) as caught:
                await client.list_voices()
            assert PYTHON.search(str(caught.value))
            assert not PYTHON.search(in_options(str(caught.value)))


@pytest.mark.parametrize(
    "advice",
    [
        "raise RetryPolicy.deadline, or make fewer calls at once",
        "run again later, or raise RetryPolicy.deadline",
        "check the network, or raise Timeouts.connect",
    ],
)
def test_what_is_replaced_is_what_the_package_says(advice: str) -> None:
    """A message that was changed there is noticed here."""
    package = Path(siliconflow_voice.__file__).parent
    assert any(advice in path.read_text("utf-8") for path in package.rglob("*.py"))
    assert not PYTHON.search(in_options(f"Something is wrong: {advice}"))


def test_names_of_files_and_voices_are_left_alone() -> None:
    for text in (
        "base_url.mp3 can't be read",
        "custom_name: 'settle must be' does not match",
        "proxy.wav is empty",
    ):
        assert in_options(text) == text


async def test_the_command_speaks_of_its_options(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = csv_file(tmp_path, f"{MP3},a,{TEXT}")
    assert await bulk(path, check=True) == 1
    assert "; --allow-outside permits that\n" in capsys.readouterr().out
    assert await bulk(path) == 1
    assert "; --allow-outside permits that.\n" in capsys.readouterr().out
    assert await bulk(path, base_url="http://192.0.2.1") == 2
    assert "--base-url would" in capsys.readouterr().err

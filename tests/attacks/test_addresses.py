"""Whoever writes a recording's address chooses a host, what its name leads to, and where it redirects.

An address that names, resolves to or redirects to this machine, a private network or a cloud's metadata must
not be connected to; and what is secret in an address, or belongs to the account, must go nowhere.
"""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hurried_time import hurried_time
from support.manifests import csv_file, uploads
from support.raw_server import Exchange, Script, raw_server
from support.recordings import SPEECH
from support.storage import address, allowed, cut, redirect, serving, source

from siliconflow_voice import (
    AudioSource,
    InvalidUploadError,
    Journal,
    Manifest,
    RemoteAudio,
    SiliconFlowError,
    VoiceClient,
    inspect_audio,
    upload_many,
)
from siliconflow_voice.emulator import Emulator

OWN = "leads to this machine or a private network"


async def refused(audio: AudioSource) -> InvalidUploadError:
    with pytest.raises(InvalidUploadError) as caught:
        await inspect_audio(audio)
    assert (caught.value.field, caught.value.rule) == ("audio", "host")
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"])
async def test_this_machine_is_not_connected_to(host: str) -> None:
    async with raw_server(serving(SPEECH)) as server:
        remote = RemoteAudio(hosts=[f"*:{server.port}"], schemes=["http"])
        assert OWN in (await refused(AudioSource.url(f"http://{host}:{server.port}/", remote=remote))).reason
        assert server.exchanges == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "0"])
async def test_nor_is_it_under_the_names_that_numbers_have(host: str) -> None:
    async with raw_server(serving(SPEECH)) as server:
        remote = RemoteAudio(hosts=[f"*:{server.port}"], schemes=["http"])
        with pytest.raises(SiliconFlowError):
            await inspect_audio(AudioSource.url(f"http://{host}:{server.port}/", remote=remote))
        assert server.exchanges == []


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name lead to the addresses."""

    async def getaddrinfo(_host: str, port: int, **_: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1", "::1"],
        ["192.168.0.1", "fd00::1", "127.0.0.1"],
        ["169.254.169.254"],
        ["100.100.100.200"],
    ],
)
async def test_a_name_that_leads_there_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    async with raw_server(serving(SPEECH)) as server:
        resolve(monkeypatch, *addresses)
        host = f"recordings.example:{server.port}"
        remote = RemoteAudio(hosts=[host], schemes=["http"])
        told = await refused(AudioSource.url(f"http://{host}/a.mp3", remote=remote))
        assert server.exchanges == []
    assert told.reason.startswith(f"http://{host}/a.mp3 {OWN}")
    # Where a name of this network leads is not for whoever wrote the address.
    assert [address for address in addresses if address in told.reason] == []


async def test_where_a_name_leads_is_looked_at_as_it_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that led elsewhere when it was looked at before (DNS rebinding) gets no second chance."""
    async with raw_server(serving(SPEECH)) as server:
        host = f"recordings.example:{server.port}"
        remote = RemoteAudio(hosts=[host], schemes=["http"], private=True)
        resolve(monkeypatch, "127.0.0.1")
        assert (await inspect_audio(AudioSource.url(f"http://{host}/a.mp3", remote=remote))).format == "mp3"
        resolve(monkeypatch, "169.254.169.254")
        assert OWN in (await refused(AudioSource.url(f"http://{host}/a.mp3", remote=remote))).reason
    assert f"Host: {host}".encode() in server.exchanges[0].head


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
    ],
)
async def test_a_redirect_to_a_clouds_metadata_is_not_followed_even_if_all_hosts_are_allowed(
    location: str,
) -> None:
    async with raw_server(redirect(location)) as server:
        assert OWN in (await refused(source(server, hosts=["*", f"*:{server.port}"]))).reason


@pytest.mark.parametrize(
    ("location", "what"),
    [
        ("http://169.254.169.254/?x=secret", "http://169.254.169.254/, whose host is not allowed"),
        ("//b.example/", "http://b.example/, whose host is not allowed"),
        ("https://127.0.0.1/", "https://127.0.0.1/, whose scheme is not allowed"),
    ],
)
async def test_a_redirect_to_another_host_is_not_followed(location: str, what: str) -> None:
    async with raw_server(redirect(location)) as server:
        told = (await refused(source(server))).reason
        assert told.startswith(f"{address(server)} redirects to {what}")


async def test_a_redirect_to_another_port_of_the_host_is_not_followed() -> None:
    async with raw_server(serving(SPEECH)) as other:
        async with raw_server(redirect(address(other))) as server:
            await refused(source(server))
        assert other.exchanges == []


async def test_a_redirect_to_a_file_is_not_followed() -> None:
    async with raw_server(redirect("file:///etc/passwd")) as server:
        with pytest.raises(InvalidUploadError, match="redirects to what is not an address of the web"):
            await inspect_audio(source(server))


async def test_the_key_and_credentials_of_the_environment_stay_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client: VoiceClient, emulator: Emulator
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server(serving(b"", "500 Proxied")) as proxy, raw_server(serving(SPEECH)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{proxy.port}")
        await client.upload_voice(source(server), custom_name="a", text="t")
    assert proxy.exchanges == []
    head = server.exchanges[0].head.lower()
    assert [word for word in (b"sk-test", b"authorization", b"secret", b"cookie") if word in head] == []


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error, and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def leave(exchange: Exchange) -> None:
    await exchange.read_head()


@hurried_time
@pytest.mark.parametrize(
    "script",
    [
        serving(b"", "403 Forbidden"),
        serving(b"", "500 Oops"),
        serving(SPEECH, headers="Content-Encoding: gzip\r\n"),
        serving(bytes(2_000_000)),
        redirect("http://169.254.169.254/"),
        redirect("http://[/"),
        cut(SPEECH, 1_000),
        leave,
    ],
    ids=range(8),
)
async def test_what_is_secret_in_an_address_is_in_no_error_and_no_frame_of_it(script: Script) -> None:
    async with raw_server(script) as server:
        remote = allowed(server, max_bytes=1_000_000)
        with pytest.raises(SiliconFlowError) as caught:
            await inspect_audio(AudioSource.url(address(server, "/a.mp3?X-Sig=secret"), remote=remote))
    for error in chain(caught.value):
        assert "secret" not in str(error) + repr(error)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename != __file__:
                assert "secret" not in repr(frame.f_locals), frame.f_code
    assert caught.value.__cause__ is None


async def test_what_is_secret_in_an_address_is_not_in_the_journal(
    client: VoiceClient, tmp_path: Path
) -> None:
    async with raw_server(serving(SPEECH)) as server:
        path = csv_file(tmp_path, f"{address(server)}?X-Sig=secret,a,t")
        manifest = Manifest(path, remote=allowed(server))
        journal = tmp_path / "voices.journal"
        async for outcome in upload_many(client, manifest, journal=journal):
            assert outcome.status == "uploaded"
            assert "secret" not in repr(outcome)
        async with Journal(journal) as opened:
            assert [record["audio"] async for record in opened.records()] == [address(server)]
    assert [name for name, data in contents(tmp_path) if b"secret" in data] == ["voices.csv"]


def contents(folder: Path) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in folder.iterdir()]


async def test_a_manifest_names_no_address_unless_that_is_allowed(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "http://169.254.169.254/latest/,a,t", "https://a.example/x,b,t")
    for remote in (None, RemoteAudio(hosts=["b.example"])):
        for upload in await uploads(Manifest(path, remote=remote)):
            assert isinstance(upload.audio, AudioSource)
            await refused(upload.audio)

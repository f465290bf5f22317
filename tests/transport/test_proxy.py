"""Through a proxy: what it sees, and what is said if it is not there."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import ssl
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from support.raw_server import Exchange, raw_server
from support.recordings import SPEECH
from yarl import URL

from siliconflow_voice import APIConnectionError, ConfigurationError, RetryPolicy, VoiceClient
from siliconflow_voice.transport.proxy import Proxy

HTTPS = URL("https://api.siliconflow.cn/v1")
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
needs_tinyproxy = pytest.mark.skipif(shutil.which("tinyproxy") is None, reason="tinyproxy is not installed")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("given", "url", "login"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128/", None),
        ("proxy.example:3128", "http://proxy.example:3128/", None),
        (" http://proxy.example:3128\n", "http://proxy.example:3128/", None),
        ("https://proxy.example", "https://proxy.example/", None),
        ("http://user:p%40ss@proxy.example:3128", "http://proxy.example:3128/", b"user:p@ss"),
        ("http://user@proxy.example:3128", "http://proxy.example:3128/", b"user:"),
    ],
)
def test_a_proxy_is_an_address_with_or_without_credentials(given: str, url: str, login: bytes | None) -> None:
    proxy = Proxy.of(given, trust_env=False, target=HTTPS)
    assert proxy is not None
    expected = {} if login is None else {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}
    assert (str(proxy.url), proxy.headers) == (url, expected)
    assert "p@ss" not in repr(proxy)
    assert "Basic" not in repr(proxy.headers)


@pytest.mark.parametrize(
    "given",
    [
        "socks5://user:secret@proxy.example:1080",
        "http://",
        "http://user:secret@:3128",
        "http://x:secret",
        5,
        "ftp://x",
    ],
)
def test_what_is_not_an_http_proxy_is_refused_and_not_shown(given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^proxy ") as caught:
        VoiceClient("sk-test", proxy=given)  # type: ignore[arg-type] # on purpose
    assert "secret" not in str(caught.value)


def test_a_proxy_that_is_too_long_is_refused_before_anything_parses_it() -> None:
    with pytest.raises(ConfigurationError, match=r"^proxy is 2,049 characters long; the limit is 2,048: "):
        VoiceClient("sk-test", proxy="http://".ljust(2_049, "9"))


def test_a_proxy_that_would_see_the_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="over http it would see the key"):
        VoiceClient("sk-test", base_url="http://127.0.0.1:9/v1", proxy="http://proxy.example:3128")


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"HTTPS_PROXY": "http://a.example:1"}, "http://a.example:1/"),
        ({"https_proxy": "http://a.example:1"}, "http://a.example:1/"),
        ({"ALL_PROXY": "http://b.example:1"}, "http://b.example:1/"),
        ({"HTTPS_PROXY": "http://a.example:1", "ALL_PROXY": "http://b.example:1"}, "http://a.example:1/"),
        ({"HTTP_PROXY": "http://c.example:1"}, None),
        ({"HTTPS_PROXY": "http://a.example:1", "NO_PROXY": "siliconflow.cn"}, None),
        ({"HTTPS_PROXY": "http://a.example:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://a.example:1", "NO_PROXY": "other.example"}, "http://a.example:1/"),
        ({}, None),
    ],
)
def test_the_environment_counts_if_it_is_asked_for(
    environment: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = Proxy.of(None, trust_env=True, target=HTTPS)
    assert (proxy and str(proxy.url)) == found
    assert Proxy.of(None, trust_env=False, target=HTTPS) is None


def test_the_environments_proxy_is_named_by_its_variable_if_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY must be an http proxy"):
        VoiceClient("sk-test", trust_env=True)


def test_loopback_over_http_needs_no_proxy_of_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://a.example:1")
    monkeypatch.setenv("HTTP_PROXY", "http://a.example:1")
    assert Proxy.of(None, trust_env=True, target=URL("http://127.0.0.1:8000/v1")) is None


async def test_a_proxy_that_is_not_there_is_said_so(unused_tcp_port: int) -> None:
    address = f"http://user:secret@127.0.0.1:{unused_tcp_port}"
    async with VoiceClient("sk-test", proxy=address, retry=RetryPolicy.none()) as client:
        with pytest.raises(APIConnectionError, match=r"^No connection to the proxy 127.0.0.1: ") as caught:
            await client.list_voices()
    assert "secret" not in str(caught.value)


async def test_a_proxy_that_refuses_is_said_so_and_sees_no_key() -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.answer(b"no", "407 Proxy Authentication Required")

    async with raw_server(refuse) as server:
        proxy = f"http://user:secret@127.0.0.1:{server.port}"
        async with VoiceClient("sk-test", proxy=proxy, retry=RetryPolicy.none()) as client:
            with pytest.raises(APIConnectionError, match=r"^The proxy refused a tunnel to .+: HTTP 407"):
                await client.list_voices()
    head = server.exchanges[0].head
    assert head.startswith(b"CONNECT api.siliconflow.cn:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in head
    assert b"sk-test" not in head


@asynccontextmanager
async def tinyproxy(folder: Path, port: int) -> AsyncIterator[Callable[[], str]]:
    """A real proxy on loopback; gives what reads its log."""
    log = folder / "tinyproxy.log"
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\n"
        f'LogFile "{log}"\nLogLevel Info\n'
    )
    process = await asyncio.create_subprocess_exec(
        "tinyproxy",
        "-d",
        "-c",
        str(configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0)  # a turn: it is about to listen
                    continue
                writer.close()
                break
        yield lambda: log.read_text(errors="replace")
    finally:
        process.terminate()
        await process.wait()


SCRIPT = textwrap.dedent("""
    import asyncio, sys
    from siliconflow_voice import RetryPolicy, VoiceClient

    async def main():
        base_url, encoding, audio = sys.argv[1:]
        options = {"trust_env": True, "limits": None, "retry": RetryPolicy.none()}
        async with VoiceClient("sk-test", base_url=base_url, **options) as client:
            voice = await client.upload_voice(audio, custom_name="n", text="slow", encoding=encoding)
            print(voice.uri)

    asyncio.run(main())
""")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@needs_tinyproxy
@pytest.mark.parametrize("encoding", ["multipart", "base64"])
async def test_an_upload_goes_through_a_real_proxy_with_tls_inside_and_a_custom_authority(
    tmp_path: Path, unused_tcp_port: int, encoding: str, authority: trustme.CA
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "a.mp3").write_bytes(SPEECH)

    async def serve(exchange: Exchange) -> None:
        while True:
            exchange.body, exchange.whole = b"", False
            await exchange.read_request()
            listing = exchange.head.startswith(b"GET")
            await exchange.answer(b'{"result":[]}' if listing else b'{"uri":"speech:a:b:c"}')

    async with raw_server(serve, ssl=context) as server, tinyproxy(tmp_path, unused_tcp_port) as log:
        environment = os.environ | {
            "HTTPS_PROXY": f"http://127.0.0.1:{unused_tcp_port}",
            "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SCRIPT, server.base_url, encoding, str(tmp_path / "a.mp3"),
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        seen = log()
    assert (out.decode().strip(), err.decode()) == ("speech:a:b:c", "")
    assert f"CONNECT localhost:{server.port}" in seen
    assert "sk-test" not in seen

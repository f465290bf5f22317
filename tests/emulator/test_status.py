from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import aiohttp
import pytest
from support.recordings import MP3, OPUS, WAV
from yarl import URL

from siliconflow_voice import RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault, Quota
from siliconflow_voice.emulator.kept import KeptRecordings
from siliconflow_voice.emulator.quotas import QuotaMeter

HOSTILE = "</bdi><script>alert(1)</script>\u202e\x1b[31m&\ud800 " + "x" * 1_000


@pytest.fixture
async def shown() -> AsyncIterator[Emulator]:
    async with Emulator(status_page=True) as emulator:
        yield emulator


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Without a key."""
    async with aiohttp.ClientSession() as session:
        yield session


async def page_of(emulator: Emulator, browser: aiohttp.ClientSession) -> str:
    async with browser.get(emulator.status_url) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        return await response.text()


def rows(page: str) -> list[list[str]]:
    plain = [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    return [[re.sub(r"</?bdi>", "", cell) for cell in row] for row in plain]


async def test_an_emulator_without_anything_has_a_page(
    shown: Emulator, browser: aiohttp.ClientSession
) -> None:
    page = await page_of(shown, browser)
    assert "0 voices, 0 requests" in page
    assert page.count("<p>None.</p>") == 3
    assert ["upload", "FunAudioLLM/CosyVoice2-0.5B", "0 of ∞", "0 of ∞", "60 s, fixed"] in rows(page)


async def test_voices_are_played_as_they_were_stored(shown: Emulator, browser: aiohttp.ClientSession) -> None:
    async with VoiceClient("sk-test", base_url=shown.base_url) as client:
        await client.upload_voice(MP3, custom_name="a", text="hello")
        await client.upload_voice(WAV, custom_name="b", text="hello", encoding="base64")
        await client.upload_voice(OPUS, custom_name="c", text="hello", encoding="base64")
    page = await page_of(shown, browser)
    played = re.findall(r'<audio controls preload="none" src="([^"]+)">', page)
    received = {}
    for address in played:
        async with browser.get(URL(shown.status_url).join(URL(address))) as response:
            received[response.content_type] = await response.read()
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert received == {
        "audio/ogg": OPUS.read_bytes(),
        "audio/wav": WAV.read_bytes(),
        "audio/mpeg": MP3.read_bytes(),
    }


async def test_quota_faults_and_requests_are_shown(browser: aiohttp.ClientSession) -> None:
    faults = [Fault.return_status(503, times=2), Fault.drop_answer(times=None, share=0.25, endpoint="models")]
    async with (
        Emulator(status_page=True, quota=Quota(requests=5, tokens=1_000), faults=faults) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url, retry=RetryPolicy(wait_initial=0.01)) as client,
    ):
        await client.upload_voice(MP3, custom_name="narrator", text="hello")
        await client.transcribe(MP3)
        async with browser.get(f"{emulator.base_url}/nothing?key=secret"):
            pass
        page = await page_of(emulator, browser)
        table = rows(page)
        assert "1 voices, 6 requests" in page
        assert ["upload", "FunAudioLLM/CosyVoice2-0.5B", "1 of 5", "5 of 1,000", "60 s, fixed"] in table
        assert ["transcribe", "FunAudioLLM/SenseVoiceSmall", "1 of 5", "1 of 1,000", "60 s, fixed"] in table
        assert ["return_status(503) on upload", "100%", "2 of 2"] in table
        assert ["drop_answer() on models", "25%", "0 of ∞"] in table
        uploads = [row for row in table if row[1] == "POST /v1/uploads/audio/voice"]
        assert [(status, code) for _, _, status, code, _ in uploads] == [
            ("200", ""),
            ("503", "50505"),
            ("503", "50505"),
        ]
        assert ["GET /v1/nothing", "404", ""] in [row[1:4] for row in table]
        assert "secret" not in page


async def test_a_request_without_an_answer_has_no_status(
    shown: Emulator, browser: aiohttp.ClientSession
) -> None:
    shown.add_fault(Fault.drop_answer(endpoint="delete"))
    address, headers = f"{shown.base_url}/audio/voice/deletions", {"Authorization": "Bearer sk-test"}
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await browser.post(address, headers=headers)
    assert ["POST /v1/audio/voice/deletions", "none", ""] in [
        row[1:4] for row in rows(await page_of(shown, browser))
    ]


async def test_what_clients_send_is_text_and_never_the_key(
    shown: Emulator, browser: aiohttp.ClientSession
) -> None:
    body = {"model": "fnlp/MOSS-TTSD-v0.5", "customName": "n", "text": HOSTILE}
    body["audio"] = "data:audio/mpeg;base64,AAAA"
    headers = {"Authorization": "Bearer sk-test", "User-Agent": "<img src=x onerror=alert(2)>"}
    async with browser.post(f"{shown.base_url}/uploads/audio/voice", json=body, headers=headers) as response:
        assert response.status == 200
    async with browser.get(f"{shown.base_url}/%3Csvg%20onload=alert(3)%3E", headers=headers) as response:
        assert response.status == 404
    async with browser.get(shown.status_url) as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "sk-test" not in page
    assert not {"<img", "<svg", "<script>alert", "\u202e", "\x1b", "x" * 200} & {
        part for part in ("<img", "<svg", "<script>alert", "\u202e", "\x1b", "x" * 200) if part in page
    }
    assert "&lt;/bdi&gt;&lt;script&gt;alert(1)&lt;/script&gt;\ufffd\ufffd[31m&amp;\ufffd" in page
    for kind, source in sources_in(page).items():
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r'(?:src|href)="(?!/recordings/|data:,")', page)


def sources_in(page: str) -> dict[str, str]:
    found: dict[str, str] = {}

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            if self.get_starttag_text() in {"<style>", "<script>"} and data.strip():
                found.setdefault(str(self.get_starttag_text()).strip("<>"), data)

    Reader().feed(page)
    return found


async def test_it_is_for_loopback_names_alone(shown: Emulator, browser: aiohttp.ClientSession) -> None:
    async with browser.get(shown.status_url, headers={"Host": "evil.example"}) as response:
        assert response.status == 421
    with pytest.raises(ValueError, match=r"loopback host, got '0\.0\.0\.0'"):
        Emulator(status_page=True, host="0.0.0.0")  # noqa: S104 - what is refused


async def test_one_without_a_page_keeps_nothing_and_answers_as_the_service_does(
    emulator: Emulator, browser: aiohttp.ClientSession
) -> None:
    with pytest.raises(RuntimeError, match="pass status_page=True"):
        _ = emulator.status_url
    async with browser.get(URL(emulator.base_url).with_path("/")) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", ["/recordings/", "/recordings/" + "0" * 64, "/recordings/../v1", "/v1"])
async def test_it_has_no_other_pages(shown: Emulator, browser: aiohttp.ClientSession, path: str) -> None:
    url = URL(shown.status_url).joinpath(path.lstrip("/"))
    async with browser.get(url) as response:
        assert response.status == 404


async def test_only_the_latest_voices_are_listed(shown: Emulator, browser: aiohttp.ClientSession) -> None:
    async with VoiceClient("sk-test", base_url=shown.base_url) as client:
        voice = await client.upload_voice(MP3, custom_name="narrator", text="hello")
    shown.voices.extend(shown.voices * 60)
    assert shown.voices[0].uri == voice.uri
    page = await page_of(shown, browser)
    assert page.count("<audio") == 50
    assert "61 voices" in page
    assert "<p>The latest 50.</p>" in page


async def test_the_oldest_recordings_are_dropped_beyond_a_bound(
    shown: Emulator, browser: aiohttp.ClientSession
) -> None:
    kept = KeptRecordings(most_bytes=10)
    for digest, data in (("a", b"12345"), ("b", b"12345"), ("a", b"12345"), ("c", b"1")):
        kept.keep(digest, data)
    assert [kept.get(digest) for digest in "abc"] == [None, b"12345", b"1"]
    async with VoiceClient("sk-test", base_url=shown.base_url) as client:
        await client.upload_voice(MP3, custom_name="narrator", text="hello")
    shown._account._kept = None  # as if it were dropped: what was stored then is not kept
    shown.voices.append(shown.voices[0].__class__("speech:a:b:c", "m", "a", "t", "0" * 64, 7))
    assert "<td>not kept</td>" in await page_of(shown, browser)


@pytest.mark.parametrize(
    "quota",
    [Quota(requests=3, tokens=10, kind=kind) for kind in ("fixed", "sliding", "bucket")],
    ids=lambda quota: quota.kind,
)
def test_looking_at_a_meter_changes_nothing(quota: Quota) -> None:
    looked_at, other = QuotaMeter(quota), QuotaMeter(quota)
    assert looked_at.used(0.0) == (0, 0)
    for now in (10.0, 15.0, 50.0, 71.0, 72.0, 80.0, 200.0):
        looked_at.used(now - 1.0)
        assert looked_at.take(now, 3) == other.take(now, 3)
        assert looked_at.used(now) == pytest.approx(other.used(now))
    assert looked_at.used(200.0)[0] == 1

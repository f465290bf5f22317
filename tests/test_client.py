from __future__ import annotations

import asyncio
import hashlib
import io
import pickle
from collections.abc import AsyncIterator

import aiohttp
import pytest
from support.recordings import MP3, OPUS, SPEECH, TEXT, WAV
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AudioLimits,
    AuthenticationError,
    BadRequestError,
    ClientOptions,
    ConfigurationError,
    InvalidUploadError,
    RetryPolicy,
    Throttle,
    Voice,
    VoiceClient,
)
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.emulator import Emulator, Quota


@pytest.mark.parametrize("encoding", ["multipart", "base64"])
@pytest.mark.parametrize("path", [MP3, WAV, OPUS], ids=lambda path: path.suffix[1:])
async def test_a_recording_arrives_unchanged(
    client: VoiceClient, emulator: Emulator, path: object, encoding: Encoding
) -> None:
    assert isinstance(path, type(MP3))
    voice = await client.upload_voice(path, custom_name="narrator", text=TEXT, encoding=encoding)
    [stored] = emulator.voices
    assert (stored.uri, stored.sha256, stored.text, stored.custom_name, stored.model) == (
        voice.uri,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        TEXT,
        "narrator",
        "FunAudioLLM/CosyVoice2-0.5B",
    )


async def _in_pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(SPEECH), 1000):
        yield SPEECH[start : start + 1000]


@pytest.mark.parametrize("encoding", ["multipart", "base64"])
@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(lambda: str(MP3), id="str"),
        pytest.param(lambda: SPEECH, id="bytes"),
        pytest.param(lambda: bytearray(SPEECH), id="bytearray"),
        pytest.param(lambda: memoryview(SPEECH), id="memoryview"),
        pytest.param(lambda: io.BytesIO(SPEECH), id="file"),
        pytest.param(_in_pieces, id="stream"),
    ],
)
async def test_every_kind_of_audio_arrives_unchanged(
    client: VoiceClient, emulator: Emulator, audio: object, encoding: Encoding
) -> None:
    assert callable(audio)
    await client.upload_voice(audio(), custom_name="narrator", text=TEXT, encoding=encoding)
    assert [hashlib.sha256(SPEECH).hexdigest()] == [voice.sha256 for voice in emulator.voices]


async def test_a_voice_knows_what_it_was_made_of_and_how(client: VoiceClient) -> None:
    voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
    [attempt] = voice.attempts
    assert (voice.custom_name, voice.text, voice.recovered) == ("narrator", TEXT, False)
    assert (attempt.number, attempt.status, attempt.failure, attempt.trace_id) == (
        1,
        200,
        None,
        voice.trace_id,
    )


async def test_progress_ends_at_the_size_of_the_audio(client: VoiceClient) -> None:
    seen: list[tuple[int, int | None]] = []
    await client.upload_voice(
        MP3, custom_name="narrator", text=TEXT, progress=lambda sent, total: seen.append((sent, total))
    )
    assert seen[-1] == (len(SPEECH), len(SPEECH))


async def test_the_progress_of_a_stream_has_no_total(client: VoiceClient) -> None:
    seen: list[tuple[int, int | None]] = []
    await client.upload_voice(
        _in_pieces(),
        custom_name="narrator",
        text=TEXT,
        progress=lambda sent, total: seen.append((sent, total)),
    )
    assert seen[-1] == (len(SPEECH), None)


async def test_a_progress_callback_that_fails_is_logged_and_changes_nothing(
    client: VoiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_sent: int, _total: int | None) -> None:
        raise LookupError("a bug of the user's")

    voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT, progress=fail)
    assert voice.uri.startswith("speech:narrator:")
    assert "a bug of the user's" in caplog.text


async def test_voices_are_listed_as_they_were_uploaded(client: VoiceClient) -> None:
    uploaded = [
        await client.upload_voice(MP3, custom_name=name, text=TEXT) for name in ("narrator", "villain")
    ]
    assert await client.list_voices() == uploaded


@pytest.mark.parametrize("list_key", ["result", "results", "data", ""])
async def test_the_list_is_understood_in_each_of_its_wrappings(list_key: str) -> None:
    async with (
        Emulator(list_key=list_key) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url) as client,
    ):
        voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
        assert await client.list_voices() == [voice]


async def test_a_deleted_voice_is_gone(client: VoiceClient, emulator: Emulator) -> None:
    voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
    await client.delete_voice(voice.uri)
    assert emulator.voices == []


async def test_deleting_what_is_not_there_is_an_error(client: VoiceClient) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.delete_voice("speech:nobody:at:all")
    assert caught.value.code == 20059


async def test_only_uris_of_voices_are_deleted(client: VoiceClient, emulator: Emulator) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        await client.delete_voice("FunAudioLLM/CosyVoice2-0.5B:alex")
    assert caught.value.field == "uri"
    assert emulator.requests == []


async def test_a_wrong_key_is_told_from_a_bad_one(emulator: Emulator) -> None:
    async with VoiceClient("sk-wrong", base_url=emulator.base_url) as client:
        with pytest.raises(AuthenticationError, match="are not interchangeable"):
            await client.upload_voice(MP3, custom_name="narrator", text=TEXT)


async def test_the_environment_names_key_and_address(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test")
    monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)
    async with VoiceClient() as client:
        assert await client.list_voices() == []


async def test_a_client_can_be_used_without_a_block_and_closed_twice(emulator: Emulator) -> None:
    client = VoiceClient("sk-test", base_url=emulator.base_url)
    await client.list_voices()
    await client.close()
    await client.close()


async def test_a_closed_client_says_so(client: VoiceClient) -> None:
    await client.close()
    with pytest.raises(ConfigurationError, match="The client is closed"):
        await client.upload_voice(MP3, custom_name="narrator", text=TEXT)


def test_a_client_says_that_it_needs_a_loop() -> None:
    coroutine = VoiceClient("sk-test").list_voices()
    with pytest.raises(ConfigurationError, match="needs a running asyncio event loop"):
        coroutine.send(None)


def test_a_client_belongs_to_one_loop() -> None:
    async def list_voices(client: VoiceClient) -> None:
        await client.list_voices()

    async def use() -> VoiceClient:
        async with Emulator() as emulator:
            client = VoiceClient("sk-test", base_url=emulator.base_url)
            await client.list_voices()
            await client._uploader.engine.channel.connection.session().close()
        return client

    client = asyncio.run(use())
    with pytest.raises(ConfigurationError, match="belongs to another event loop"):
        asyncio.run(list_voices(client))


async def test_a_borrowed_session_stays_open(emulator: Emulator) -> None:
    async with aiohttp.ClientSession() as session:
        async with VoiceClient("sk-test", base_url=emulator.base_url, session=session) as client:
            await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
        assert not session.closed


async def test_a_borrowed_session_that_was_closed_is_an_error(emulator: Emulator) -> None:
    async with aiohttp.ClientSession() as session:
        client = VoiceClient("sk-test", base_url=emulator.base_url, session=session)
    with pytest.raises(ConfigurationError, match="The session is closed"):
        await client.list_voices()


async def test_a_borrowed_sessions_own_ways_do_not_apply(emulator: Emulator) -> None:
    async with (
        aiohttp.ClientSession(
            headers={"Authorization": "Bearer of-somebody-else", "Content-Type": "text/plain"},
            raise_for_status=True,
            timeout=aiohttp.ClientTimeout(total=1e-9),
        ) as session,
        VoiceClient("sk-test", base_url=emulator.base_url, session=session) as client,
    ):
        await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
        with pytest.raises(BadRequestError):
            await client.delete_voice("speech:nobody:at:all")
    assert [voice.custom_name for voice in emulator.voices] == ["narrator"]


async def test_a_borrowed_session_with_credentials_of_its_own_is_an_error(emulator: Emulator) -> None:
    with pytest.warns(DeprecationWarning, match="auth"):
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password"))
    async with session, VoiceClient("sk-test", base_url=emulator.base_url, session=session) as client:
        with pytest.raises(ConfigurationError, match="This session can't make the request"):
            await client.list_voices()


async def test_a_sibling_shares_the_connections_and_changes_what_it_is_told(emulator: Emulator) -> None:
    events: list[object] = []
    throttle = Throttle()
    async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
        sibling = client.with_options(on_event=events.append, retry=RetryPolicy.none())
        await sibling.list_voices()
        await sibling.close()
        assert await client.list_voices() == []
    assert len(events) == 2


async def test_a_sibling_ends_with_its_client(client: VoiceClient) -> None:
    sibling = client.with_options(limits=None)
    await client.close()
    with pytest.raises(ConfigurationError, match="The client is closed"):
        await sibling.list_voices()


async def test_a_sibling_with_another_key_is_another_account(emulator: Emulator, client: VoiceClient) -> None:
    with pytest.raises(AuthenticationError):
        await client.with_options(api_key="sk-other").list_voices()


@virtual_time
async def test_a_sibling_with_another_key_does_not_wait_for_the_first_ones_limit() -> None:
    quota = Quota(requests=1)
    async with (
        Emulator(quota=quota) as emulator,
        Emulator(api_key="sk-other") as others,
        VoiceClient("sk-test", base_url=emulator.base_url) as client,
    ):
        sibling = client.with_options(api_key="sk-other", base_url=others.base_url)
        for _ in range(2):
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
        began = asyncio.get_running_loop().time()
        await sibling.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
        assert asyncio.get_running_loop().time() == began


@pytest.mark.parametrize("changes", [{"api_key": "sk-other"}, {"base_url": "https://api.siliconflow.com/v1"}])
async def test_another_account_shares_neither_throttle_nor_what_is_known_of_voices(
    client: VoiceClient, changes: ClientOptions
) -> None:
    sibling = client.with_options(**changes)
    assert sibling.throttle is not client.throttle
    assert sibling.uploader().known is not client.uploader().known
    assert sibling.throttle.max_concurrency == client.throttle.max_concurrency


async def test_another_account_knows_nothing_of_what_the_first_ones_throttle_was_told() -> None:
    async with Emulator() as emulator:
        first = Throttle()
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=first) as client:
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
            throttle = Throttle(state=first.state(), max_concurrency=3)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            sibling = client.with_options(api_key="sk-other")
            assert throttle.state()["gates"] != []
            assert sibling.throttle.state()["gates"] == []
            assert sibling.throttle.max_concurrency == 3


async def test_the_same_account_shares_both_unless_it_is_given_another_throttle(client: VoiceClient) -> None:
    sibling, apart = client.with_options(limits=None), client.with_options(throttle=Throttle())
    assert (sibling.throttle is client.throttle, apart.throttle is client.throttle) == (True, False)
    assert sibling.uploader().known is apart.uploader().known is client.uploader().known
    assert (sibling.limits, client.limits) == (None, AudioLimits())


def test_a_client_shows_no_key_and_is_not_pickled() -> None:
    client = VoiceClient("sk-test")
    assert repr(client) == "VoiceClient(base_url='https://api.siliconflow.cn/v1')"
    assert "sk-test" not in repr(vars(client)) + repr(client._uploader.engine)
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(client)


async def test_two_uploads_of_one_name_make_two_voices(client: VoiceClient) -> None:
    first, second = [await client.upload_voice(MP3, custom_name="twin", text=TEXT) for _ in range(2)]
    assert first != second


@virtual_time
async def test_two_uploads_of_one_name_may_be_under_way_together() -> None:
    async with Emulator(latency=(1, 9)) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(client.upload_voice(SPEECH, custom_name="twin", text=TEXT))
                for _ in range(3)
            ]
        assert {task.result().uri for task in tasks} == {voice.uri for voice in emulator.voices}
    assert len({task.result().uri for task in tasks}) == 3


@virtual_time
async def test_lists_wait_for_their_turn_too() -> None:
    async with Emulator(latency=5) as emulator:
        throttle = Throttle(max_concurrency=1)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            await asyncio.gather(client.list_voices(), client.list_voices())
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)


@virtual_time
async def test_hundreds_of_uploads_share_one_client() -> None:
    async with (
        Emulator(latency=(0.5, 1.5)) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url, throttle=Throttle(max_concurrency=20)) as client,
        asyncio.TaskGroup() as group,
    ):
        tasks: list[asyncio.Task[Voice]] = [
            group.create_task(client.upload_voice(SPEECH, custom_name=f"v{number}", text=TEXT))
            for number in range(200)
        ]
    assert {task.result().uri for task in tasks} == {voice.uri for voice in emulator.voices}
    assert emulator.peak_in_flight == 20

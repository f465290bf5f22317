from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable

import pytest
from support.raw_server import Exchange, Script, raw_server
from support.recordings import MP3, OPUS, SPEECH, TEXT, WAV
from support.virtual_time import virtual_time

from siliconflow_voice import (
    APIConnectionError,
    APITimeoutError,
    AttemptEvent,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    Event,
    Failure,
    InvalidResponseError,
    InvalidUploadError,
    OutcomeEvent,
    OverloadedError,
    Reference,
    RetryPolicy,
    ServerError,
    SiliconFlowError,
    SourceConsumedError,
    Speech,
    Throttle,
    Timeouts,
    VoiceClient,
)
from siliconflow_voice.emulator import Delivery, Emulator, Fault, Quota

HELLO = "你好，世界"
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n{}\r\n"
CUT = b"!"


def streamed(*pieces: bytes, content_type: str = "audio/mpeg", headers: str = "") -> Script:
    """Answer with these pieces, each a chunk; the last may cut the stream off."""

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(CHUNKED.format(content_type, headers).encode())
        for piece in pieces:
            if piece == CUT:
                return
            await exchange.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await exchange.send(b"0\r\n\r\n")

    return script


def speaking(base_url: str, **options: object) -> VoiceClient:
    retry = RetryPolicy(wait_initial=0.001, wait_max=0.002)
    return VoiceClient("sk-test", base_url=base_url, **{"retry": retry, **options})  # type: ignore[arg-type]


async def chunks_of(*scripts: Script, response_format: str = "mp3", **options: object) -> list[bytes]:
    async with raw_server(*scripts) as server, speaking(server.base_url, **options) as client:
        async with client.stream_speech(HELLO, voice="anna", response_format=response_format) as speech:  # type: ignore[arg-type]
            return [chunk async for chunk in speech]


async def failure_of(*scripts: Script, response_format: str = "mp3", attempts: int = 1) -> SiliconFlowError:
    retry = RetryPolicy(attempts=attempts, wait_initial=0.001, wait_max=0.002)
    with pytest.raises(SiliconFlowError) as caught:
        await chunks_of(*scripts, response_format=response_format, retry=retry)
    return caught.value


async def test_chunks_are_handed_out_as_they_arrive(client: VoiceClient, emulator: Emulator) -> None:
    async with client.stream_speech(HELLO, voice="anna") as speech:
        chunks = [chunk async for chunk in speech]
    assert b"".join(chunks).startswith(b"ID3")
    assert sum(map(len, chunks)) == speech.received
    assert (speech.format, speech.sample_rate) == ("mp3", 32_000)
    assert emulator.requests[0].endpoint == "speech"


async def test_the_first_chunk_is_handed_out_before_the_second_is_sent() -> None:
    asked = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(CHUNKED.format("audio/mpeg", "").encode() + b"4\r\nID3a\r\n")
        await asked.wait()
        await exchange.send(b"1\r\nb\r\n0\r\n\r\n")

    async with raw_server(script) as server, speaking(server.base_url) as client:
        async with client.stream_speech(HELLO, voice="anna") as speech:
            assert await anext(speech) == b"ID3a"
            asked.set()
            assert [chunk async for chunk in speech] == [b"b"]


async def test_what_it_knows_of_itself() -> None:
    script = streamed(b"ID3", b"more", headers="x-siliconcloud-trace-id: ti_1\r\n")
    async with raw_server(script) as server, speaking(server.base_url) as client:
        made = client.stream_speech(HELLO, voice="anna")
        assert repr(made) == "<Speech: not open, 0 bytes>"
        async with made as speech:
            assert repr(speech) == "<Speech: open, 0 bytes>"
            assert (speech.trace_id, [attempt.number for attempt in speech.attempts]) == ("ti_1", [1])
            assert speech.first_chunk_after == speech.attempts[0].seconds > 0
            assert await speech.read() == b"ID3more"
        assert repr(speech) == "<Speech: over, 7 bytes>"


async def test_the_request_has_all_that_is_known() -> None:
    async with raw_server(streamed(b"RIFF")) as server, speaking(server.base_url) as client:
        async with client.stream_speech(
            HELLO, voice="anna", response_format="wav", speed=1.5, gain=-2
        ) as speech:
            await speech.read()
        (exchange,) = server.exchanges
    assert exchange.head.startswith(b"POST /v1/audio/speech HTTP/1.1\r\n")
    assert exchange.body.decode() == (
        '{"model":"FunAudioLLM/CosyVoice2-0.5B","input":"你好，世界","voice":"FunAudioLLM/CosyVoice2-0.5B:anna",'
        '"response_format":"wav","sample_rate":24000,"stream":true,"speed":1.5,"gain":-2}'
    )


async def test_a_voice_that_was_uploaded_speaks(client: VoiceClient, emulator: Emulator) -> None:
    voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT, model="fnlp/MOSS-TTSD-v0.5")
    async with client.stream_speech(HELLO, voice=voice, max_tokens=100) as speech:
        assert await speech.read()
    assert emulator.requests[-1].status == 200


async def test_references_go_along_as_base64(client: VoiceClient, emulator: Emulator) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    for recording in (MP3, OPUS, WAV.read_bytes(), stream()):
        references = [Reference(recording, TEXT), Reference(WAV, "Slow and steady")]
        async with client.stream_speech(HELLO, references=references) as speech:
            assert await speech.read()
    assert [record.status for record in emulator.requests] == [200] * 4


async def test_a_reference_is_sent_again_from_the_start(emulator: Emulator, client: VoiceClient) -> None:
    emulator.add_fault(Fault.return_status(500, times=2, endpoint="speech"))
    async with client.stream_speech(HELLO, references=[Reference(MP3, TEXT)]) as speech:
        assert await speech.read()
    assert [record.status for record in emulator.requests] == [500, 500, 200]


async def test_a_reference_that_is_read_once_is_sent_once(emulator: Emulator, client: VoiceClient) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    emulator.add_fault(Fault.return_status(503, times=1, endpoint="speech"))
    with pytest.raises(SourceConsumedError):
        async with client.stream_speech(HELLO, references=[Reference(stream(), TEXT)]):
            pass
    assert len(emulator.requests) == 1


@virtual_time
async def test_a_reference_that_never_comes_ends_by_the_deadline() -> None:
    async def stream() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with patient("http://127.0.0.1:9/v1") as client:
        with pytest.raises(APITimeoutError, match="The deadline passed while the audio was read"):
            async with client.stream_speech(HELLO, references=[Reference(stream(), TEXT)]):
                pass


async def test_references_and_recordings_that_wait_are_let_go_of(emulator: Emulator) -> None:
    async with speaking(emulator.base_url, throttle=Throttle(max_concurrency=1)) as client:

        async def speak() -> bytes:
            async with client.stream_speech(HELLO, references=[Reference(MP3, TEXT)]) as speech:
                return await speech.read()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(speak()) for _ in range(4)]
            tasks += [group.create_task(client.transcribe(MP3)) for _ in range(4)]  # type: ignore[arg-type]
    assert all(task.result() for task in tasks)


async def test_a_reference_that_is_no_audio_is_refused_before_anything_is_sent(
    emulator: Emulator, client: VoiceClient
) -> None:
    references = [Reference(MP3, TEXT), Reference(b"<html>", TEXT)]
    with pytest.raises(InvalidUploadError, match=r"references\[1\]\.audio: .* is a page of HTML") as caught:
        async with client.stream_speech(HELLO, references=references):
            pass
    assert (caught.value.field, caught.value.rule, emulator.requests) == ("references[1].audio", "format", [])


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [((1, 1, 1, 1, 2), [2, 2, 2]), ((3, 3), [2, 4]), ((5, 1), [4, 2]), ((2, 4), [2, 4])],
)
async def test_pcm_is_never_cut_within_a_sample(sizes: tuple[int, ...], lengths: list[int]) -> None:
    samples = bytes(range(16, 16 + sum(sizes)))
    left = io.BytesIO(samples)
    # The first four bytes are waited for, to see what they are.
    script = streamed(*(left.read(size) for size in sizes), content_type="application/octet-stream")
    chunks = await chunks_of(script, response_format="pcm")
    assert b"".join(chunks) == samples
    assert all(len(chunk) % 2 == 0 for chunk in chunks)


async def test_the_emulators_odd_chunks_of_pcm_come_as_whole_samples(client: VoiceClient) -> None:
    async with client.stream_speech(HELLO, voice="anna", response_format="pcm") as speech:
        chunks = [chunk async for chunk in speech]
    assert {len(chunk) % 2 for chunk in chunks} == {0}
    assert sum(map(len, chunks)) == 24_000 * 2


@virtual_time
async def test_bytes_that_come_one_by_one_are_put_together_to_samples() -> None:
    async with Emulator(delivery=Delivery(chunk_bytes=1, pause=0.001)) as emulator:
        async with speaking(emulator.base_url) as client:
            async with client.stream_speech(
                "a", voice="anna", response_format="pcm", sample_rate=8_000, speed=4
            ) as speech:
                lengths = [len(chunk) async for chunk in speech]
    assert (set(lengths), sum(lengths)) == ({2, 4}, 2_000)


async def test_pcm_that_ends_within_a_sample_is_an_error() -> None:
    error = await failure_of(streamed(b"abcde"), response_format="pcm")
    assert isinstance(error, InvalidResponseError)
    assert str(error) == "The speech ended within a sample, after 5 bytes: a part of it is missing."


async def test_other_formats_may_have_any_number_of_bytes() -> None:
    assert b"".join(await chunks_of(streamed(b"ID3ab"))) == b"ID3ab"


@pytest.mark.parametrize(
    ("beginning", "asked", "found"),
    [
        (b"RIFF", "mp3", "wav"),
        (b"OggS", "mp3", "opus"),
        (b"ID3\4", "wav", "mp3"),
        (b"\xff\xfb\x90\x64", "wav", "mp3"),
        (b"\xff\xfb\x90\x64", "pcm", "pcm"),
        (b"\xff\x00\x90\x64", "opus", "opus"),
        (b"abcd", "mp3", "mp3"),
    ],
)
async def test_the_format_is_what_was_asked_for_or_what_the_first_bytes_say(
    beginning: bytes, asked: str, found: str
) -> None:
    async with raw_server(streamed(beginning, content_type="audio/x")) as server:
        async with speaking(server.base_url) as client:
            async with client.stream_speech(HELLO, voice="anna", response_format=asked) as speech:  # type: ignore[arg-type]
                assert speech.format == found


@pytest.mark.parametrize("content_type", ["audio/mpeg", "application/audio", "application/octet-stream", ""])
async def test_audio_is_taken_under_any_of_its_content_types(content_type: str) -> None:
    async with Emulator(delivery=Delivery(content_type=content_type)) as emulator:
        async with speaking(emulator.base_url) as client:
            async with client.stream_speech(HELLO, voice="anna") as speech:
                assert (await speech.read()).startswith(b"ID3")


@pytest.mark.parametrize("content_type", ["application/json", "audio/mpeg", "application/octet-stream", ""])
async def test_json_is_an_error_whatever_it_is_called(content_type: str) -> None:
    body = b'{"code":20047,"message":"Invalid voice","data":null}'
    error = await failure_of(streamed(body[:3], body[3:], content_type=content_type))
    assert isinstance(error, BadRequestError)
    assert (error.status, error.code, error.message) == (200, 20047, "Invalid voice")
    assert error.failure is Failure.FINAL


async def test_a_busy_code_with_200_is_waited_out() -> None:
    busy = streamed(b'{"code":50609,"message":"too busy"}')
    assert b"".join(await chunks_of(busy, busy, streamed(b"ID3a"))) == b"ID3a"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><title>502</title></html>", "text/html"),
        (b"<html><title>502</title></html>", "audio/mpeg"),
        ("你".encode() * 40, "text/plain"),
        (b'"an error"', "audio/mpeg"),
        (b'{"message":"an error"', "audio/mpeg"),
        (b'{"message":"an error"}', "application/problem+json"),
        (b"[" * 5_000, "application/json"),
    ],
)
async def test_text_is_an_error_whatever_it_is_called(body: bytes, content_type: str) -> None:
    error = await failure_of(streamed(body, content_type=content_type))
    assert isinstance(error, InvalidResponseError)
    assert "HTTP 200, but speech was answered with text" in str(error)


async def test_endless_text_is_not_read_to_its_end() -> None:
    error = await failure_of(streamed(b'"' + b"a" * (1 << 20), b"b" * (4 << 20), content_type="audio/mpeg"))
    assert isinstance(error, InvalidResponseError)


@pytest.mark.parametrize("content_type", ["application/json", "audio/mpeg"])
async def test_a_key_that_is_echoed_in_place_of_audio_is_blotted_out(content_type: str) -> None:
    error = await failure_of(streamed(b'{"message":"no key sk-test"}', content_type=content_type))
    assert isinstance(error, InvalidResponseError)
    assert ("sk-test" in f"{error} {error.body}", "***" in error.body) == (False, True)


async def test_an_empty_body_is_an_error() -> None:
    error = await failure_of(streamed())
    assert isinstance(error, InvalidResponseError)
    assert "HTTP 200, but speech was answered without audio" in str(error)


@pytest.mark.parametrize("body", [b'{"\xff\xff\xff\xff', b"{\0\0\0", '{"你'.encode()[:4] + b"aa"])
async def test_samples_that_begin_like_json_are_audio(body: bytes) -> None:
    assert b"".join(await chunks_of(streamed(body), response_format="pcm")) == body


async def test_a_letter_that_is_cut_off_at_the_end_of_a_chunk_is_waited_for() -> None:
    text = '{"你":1}'.encode()
    error = await failure_of(streamed(text[:4], text[4:]), response_format="pcm")
    assert isinstance(error, InvalidResponseError)


async def test_text_that_ends_within_a_letter_is_not_text() -> None:
    assert b"".join(await chunks_of(streamed('{"你'.encode()[:4]), response_format="pcm")) == b'{"\xe4\xbd'


async def test_audio_shorter_than_any_format_is_handed_out() -> None:
    assert await chunks_of(streamed(b"ab"), response_format="pcm") == [b"ab"]


async def test_a_refusal_is_typed_by_its_status_and_code(client: VoiceClient) -> None:
    with pytest.raises(BadRequestError, match="Invalid voice") as caught:
        async with client.stream_speech(HELLO, voice="bob"):
            pass
    assert (caught.value.status, caught.value.code) == (400, 20047)


async def exhaust(speech: Speech, received: bytearray) -> None:
    async for chunk in speech:
        received += chunk


async def test_a_stream_that_is_cut_off_is_an_error_and_not_retried(
    emulator: Emulator, client: VoiceClient
) -> None:
    emulator.add_fault(Fault.truncate_answer(5_000, endpoint="speech"))
    received = bytearray()
    async with client.stream_speech(HELLO, voice="anna") as speech:
        with pytest.raises(APIConnectionError, match="cut off after 5,000 bytes") as caught:
            await exhaust(speech, received)
        with pytest.raises(APIConnectionError):  # and again, instead of a quiet end
            await anext(speech)
        with pytest.raises(ConfigurationError):
            await speech.read()
    assert (len(received), len(emulator.requests)) == (5_000, 1)
    assert (caught.value.failure, len(caught.value.attempts)) == (Failure.UNKNOWN, 1)


@pytest.mark.parametrize("keep", [0, 3])
async def test_one_that_is_cut_off_before_its_first_bytes_were_handed_out_is_retried(
    emulator: Emulator, client: VoiceClient, keep: int
) -> None:
    emulator.add_fault(Fault.truncate_answer(keep, endpoint="speech"))
    async with client.stream_speech(HELLO, voice="anna") as speech:
        assert await speech.read()
        assert [attempt.status for attempt in speech.attempts] == [None, 200]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.return_status(500, times=2, endpoint="speech"),
        Fault.return_status(503, times=2, endpoint="speech"),
        Fault.return_status(200, code=50505, times=2, endpoint="speech"),
        Fault.drop_answer(times=2, endpoint="speech"),
        Fault.reset_after(0, times=2, endpoint="speech"),
    ],
    ids=str,
)
async def test_what_fails_before_the_first_byte_is_retried(
    emulator: Emulator, client: VoiceClient, fault: Fault
) -> None:
    emulator.add_fault(fault)
    async with client.stream_speech(HELLO, voice="anna") as speech:
        assert await speech.read()
        assert len(speech.attempts) == 3


async def test_a_server_that_does_not_answer_ends_by_the_attempts_bound() -> None:
    async with Emulator(faults=[Fault.drop_answer(endpoint="speech")]) as emulator:
        retry = RetryPolicy.none()
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            with pytest.raises(APIConnectionError):
                async with client.stream_speech(HELLO, voice="anna"):
                    pass


def patient(base_url: str, **timeouts: float | None) -> VoiceClient:
    retry = RetryPolicy(deadline=20)
    return VoiceClient("sk-test", base_url=base_url, retry=retry, timeouts=Timeouts(**timeouts))


@virtual_time
async def test_a_stream_that_stalls_is_given_up() -> None:
    async with Emulator(faults=[Fault.stall_answer(5_000, endpoint="speech")]) as emulator:
        async with patient(emulator.base_url, stall=5.0) as client:
            async with client.stream_speech(HELLO, voice="anna") as speech:
                with pytest.raises(APITimeoutError) as caught:
                    await speech.read()
    assert str(caught.value) == (
        "The stream was given up after 5,000 bytes: no byte came for 5 s (the bound is Timeouts.stall)."
    )


@pytest.mark.parametrize("stall", [5.0, None])
@virtual_time
async def test_a_stream_that_trickles_is_given_up(stall: float | None) -> None:
    async with Emulator(delivery=Delivery(chunk_bytes=100, pause=4.0)) as emulator:
        async with patient(emulator.base_url, attempt=10.0, stall=stall) as client:
            async with client.stream_speech(HELLO, voice="anna") as speech:
                with pytest.raises(APITimeoutError) as caught:
                    await speech.read()
    assert str(caught.value) == (
        "The stream was given up after 300 bytes: waiting for it took too long "
        "(the bound is Timeouts.attempt or RetryPolicy.deadline)."
    )


@virtual_time
async def test_one_without_any_bound_is_waited_for() -> None:
    timeouts, retry = Timeouts(attempt=None, stall=None), RetryPolicy(deadline=None)
    async with Emulator(delivery=Delivery(pause=4_000.0)) as emulator:
        async with speaking(emulator.base_url, timeouts=timeouts, retry=retry) as client:
            async with client.stream_speech(HELLO, voice="anna") as speech:
                assert len(await speech.read()) > 10_000
    assert asyncio.get_running_loop().time() > 10_000


@virtual_time
async def test_a_slow_consumer_meets_no_bound() -> None:
    async with Emulator(delivery=Delivery(pause=0.1)) as emulator:
        async with patient(emulator.base_url, attempt=10.0, stall=5.0) as client:
            async with client.stream_speech(HELLO, voice="anna") as speech:
                async for _chunk in speech:
                    await asyncio.sleep(1_000)
    assert asyncio.get_running_loop().time() >= 2_000


async def test_leaving_early_closes_the_connection_and_gives_the_place_back() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(CHUNKED.format("audio/mpeg", "").encode() + b"4\r\nID3a\r\n")
        await exchange.read_to_the_end()

    async with raw_server(script) as server, speaking(server.base_url) as client:
        async with client.stream_speech(HELLO, voice="anna") as speech:
            assert await anext(speech) == b"ID3a"
            (gate,) = client.throttle.snapshot()
            assert (gate.model, gate.in_flight) == ("FunAudioLLM/CosyVoice2-0.5B:speech", 1)
        await server.ended()
        assert client.throttle.snapshot()[0].in_flight == 0
        with pytest.raises(ConfigurationError, match="The speech is closed"):
            await anext(speech)


async def test_what_the_consumer_raises_goes_through_and_closes_the_stream(client: VoiceClient) -> None:
    with pytest.raises(ZeroDivisionError):
        async with client.stream_speech(HELLO, voice="anna"):
            raise ZeroDivisionError
    assert client.throttle.snapshot()[0].in_flight == 0


async def test_a_cancelled_read_loses_nothing() -> None:
    asked = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(CHUNKED.format("audio/mpeg", "").encode() + b"4\r\nID3a\r\n")
        await asked.wait()
        await exchange.send(b"1\r\nb\r\n0\r\n\r\n")

    async with raw_server(script) as server, speaking(server.base_url) as client:
        async with client.stream_speech(HELLO, voice="anna") as speech:
            assert await anext(speech) == b"ID3a"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(speech)
            asked.set()
            assert [chunk async for chunk in speech] == [b"b"]


async def test_two_tasks_can_not_read_it_at_once(emulator: Emulator, client: VoiceClient) -> None:
    emulator.add_fault(Fault.stall_answer(5_000, endpoint="speech"))
    async with client.stream_speech(HELLO, voice="anna") as speech:
        await anext(speech)
        reading = asyncio.create_task(speech.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match="is being read by another task"):
            await anext(speech)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_connection_whose_stream_was_read_is_used_again(
    emulator: Emulator, client: VoiceClient
) -> None:
    for _ in range(3):
        async with client.stream_speech(HELLO, voice="anna") as speech:
            await speech.read()
            assert client._process.connection.session().connector._acquired == set()  # type: ignore[union-attr]
    assert len(emulator.requests) == 3


async def test_it_is_read_once(client: VoiceClient) -> None:
    async with client.stream_speech(HELLO, voice="anna") as speech:
        await speech.read()
        with pytest.raises(ConfigurationError, match="was read already"):
            async for _ in speech:
                pass
        with pytest.raises(ConfigurationError, match="was read from already"):
            await speech.save("nowhere.mp3")
        with pytest.raises(ConfigurationError, match="was opened before"):
            await speech.__aenter__()


@pytest.mark.parametrize("use", [lambda speech: speech.trace_id, lambda speech: speech.format, aiter])
async def test_it_has_to_be_entered(client: VoiceClient, use: Callable[[object], object]) -> None:
    with pytest.raises(ConfigurationError, match="The speech is not open: use `async with"):
        use(client.stream_speech(HELLO, voice="anna"))


async def test_a_closed_client_does_not_speak(emulator: Emulator) -> None:
    client = speaking(emulator.base_url)
    await client.close()
    with pytest.raises(ClientClosedError):
        async with client.stream_speech(HELLO, voice="anna"):
            pass


async def test_closing_the_client_ends_its_streams(emulator: Emulator) -> None:
    emulator.add_fault(Fault.stall_answer(5_000, endpoint="speech"))
    client = speaking(emulator.base_url)
    async with client.stream_speech(HELLO, voice="anna") as speech:
        await anext(speech)
        await client.close()
        with pytest.raises(APIConnectionError, match="bytes: the client was closed"):
            await anext(speech)
    assert speech.received == 5_000


async def test_a_drain_waits_for_streams_and_accepts_no_further_ones(client: VoiceClient) -> None:
    async with client.stream_speech(HELLO, voice="anna") as speech:
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0)
        with pytest.raises(ClientClosedError):
            async with client.stream_speech(HELLO, voice="anna"):
                pass
        assert not draining.done()
        assert await speech.read()
    drained = await draining
    assert (drained.finished, drained.unfinished) == (1, 0)


async def test_events_tell_of_each_attempt_and_of_the_streams_end(emulator: Emulator) -> None:
    emulator.add_fault(Fault.return_status(500, endpoint="speech"))
    emulator.add_fault(Fault.truncate_answer(5_000, endpoint="speech"))
    events: list[Event] = []
    async with speaking(emulator.base_url, on_event=events.append) as client:
        async with client.stream_speech(HELLO, voice="anna") as speech:
            attempts = [event.attempt.status for event in events if isinstance(event, AttemptEvent)]
            assert (attempts, [event for event in events if isinstance(event, OutcomeEvent)]) == (
                [500, 200],
                [],
            )
            with pytest.raises(APIConnectionError) as caught:
                await speech.read()
        async with client.stream_speech(
            HELLO, references=[Reference(MP3, TEXT), Reference(WAV, TEXT)]
        ) as speech:
            await speech.read()
    outcomes = [event for event in events if isinstance(event, OutcomeEvent)]
    assert [(event.operation, event.subject, event.error) for event in outcomes] == [
        ("stream_speech", "FunAudioLLM/CosyVoice2-0.5B:anna", caught.value),
        ("stream_speech", "2 references", None),
    ]


async def test_the_throttle_counts_the_texts_bytes_and_learns_by_itself(emulator: Emulator) -> None:
    emulator.quota = Quota(requests=2, window=0.3)
    async with speaking(emulator.base_url) as client:
        voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
        async with client.stream_speech(HELLO, voice=voice) as speech:
            await speech.read()
        gates = {gate.model: gate.tokens_used for gate in client.throttle.snapshot()}
    assert gates["FunAudioLLM/CosyVoice2-0.5B:speech"] == len(HELLO.encode()) == 15
    assert gates["FunAudioLLM/CosyVoice2-0.5B"] == len(TEXT)


async def test_no_more_streams_are_open_at_once_than_requests_may_be(emulator: Emulator) -> None:
    async with speaking(emulator.base_url, throttle=Throttle(max_concurrency=1)) as client:

        async def speak() -> bytes:
            async with client.stream_speech(HELLO, voice="anna") as speech:
                return await speech.read()

        async with client.stream_speech(HELLO, voice="anna") as speech:
            second = asyncio.create_task(speak())
            await asyncio.sleep(0)
            (gate,) = client.throttle.snapshot()
            assert (gate.in_flight, gate.waiting, len(emulator.requests)) == (1, 1, 1)
            assert client.throttle.expected_wait("FunAudioLLM/CosyVoice2-0.5B:speech") > 0
            await speech.read()
            # All of it has come: the next may speak, though the context is still open.
            assert await second


@virtual_time
async def test_the_throttle_does_not_take_a_slow_consumer_for_a_slow_service() -> None:
    async with Emulator(latency=1.0) as emulator, speaking(emulator.base_url) as client:
        async with client.stream_speech(HELLO, voice="anna") as speech:
            await asyncio.sleep(1_000)
            await speech.read()
        gate = client.throttle.gate(client.base_url, "FunAudioLLM/CosyVoice2-0.5B:speech")
        assert gate.limiter.requests.traffic.latency == 1.0


async def test_an_overloaded_service_is_asked_as_often_as_allowed(emulator: Emulator) -> None:
    emulator.add_fault(Fault.return_status(503, times=None, endpoint="speech"))
    async with speaking(emulator.base_url, retry=RetryPolicy.none()) as client:
        with pytest.raises(OverloadedError):
            async with client.stream_speech(HELLO, voice="anna"):
                pass


async def test_a_server_error_without_end_is_raised(emulator: Emulator) -> None:
    emulator.add_fault(Fault.return_status(500, times=None, endpoint="speech"))
    async with speaking(emulator.base_url) as client:
        with pytest.raises(ServerError) as caught:
            async with client.stream_speech(HELLO, voice="anna"):
                pass
    assert len(caught.value.attempts) == 6


async def test_a_proxys_compression_is_undone(emulator: Emulator) -> None:
    import gzip  # noqa: PLC0415 - here alone

    packed = gzip.compress(b"ID3" + bytes(300_000))
    headers = "Content-Encoding: gzip\r\n"
    chunks = await chunks_of(streamed(packed[:50], packed[50:], headers=headers))
    assert b"".join(chunks) == b"ID3" + bytes(300_000)
    assert max(map(len, chunks)) <= 1 << 16
    error = await failure_of(streamed(b"not gzip", headers=headers))
    assert isinstance(error, APIConnectionError)


@pytest.mark.parametrize("list_chunk", [False, True])
async def test_a_wav_is_read_with_its_true_sizes(list_chunk: bool) -> None:
    async with Emulator(delivery=Delivery(list_chunk=list_chunk)) as emulator:
        async with speaking(emulator.base_url) as client:
            async with client.stream_speech(HELLO, voice="anna", response_format="wav") as speech:
                whole = await speech.read()
            async with client.stream_speech(HELLO, voice="anna", response_format="wav") as speech:
                as_it_came = await speech.read(repair=False)
    with wave.open(io.BytesIO(whole)) as read:
        assert (read.getframerate(), read.getnframes()) == (24_000, 24_000)
    assert as_it_came[4:8] == b"\xff\xff\xff\xff"

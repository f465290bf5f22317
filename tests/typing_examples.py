"""Typed usage of all that is public: for the type checkers, and never run."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Literal, assert_never, assert_type

import aiohttp

from siliconflow_voice import (
    AmbiguousUploadError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Attempt,
    AttemptEvent,
    Audio,
    AudioLimits,
    AudioSource,
    AudioSourceError,
    CheckReport,
    ClientOptions,
    ConfigurationError,
    Event,
    Failure,
    InvalidResponseError,
    InvalidUploadError,
    Journal,
    Manifest,
    ManifestUpload,
    ModelKind,
    OutcomeEvent,
    OverloadedError,
    PreparationReport,
    PreparedAudio,
    QueueEvent,
    QuotaExhaustedError,
    RateLimitError,
    Reference,
    RemoteAudio,
    ResponseFormat,
    RetryPolicy,
    Segment,
    SettleEvent,
    SiliconFlowError,
    Speech,
    Throttle,
    Timeouts,
    Transcript,
    UploadOutcome,
    UploadProblem,
    Voice,
    VoiceClient,
    VoiceUpload,
    WaitEvent,
    check_upload,
    prepare,
    upload_many,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota, RequestRecord, StoredVoice


async def what_is_prepared_is_audio(client: VoiceClient) -> None:
    prepared = await prepare("interview.m4a", format="wav", seconds=(6, 9), whole=9, loudness=-20, peak=-2)
    assert_type(prepared, PreparedAudio)
    assert_type(prepared.report, PreparationReport)
    assert_type(prepared.report.loudness_after, float | None)
    assert_type(prepared.format, Literal["mp3", "wav"])
    await prepared.save(Path("guest.wav"))
    await client.upload_voice(prepared.says("Hello"), custom_name="guest", text="Hello")


async def a_client_needs_nothing_but_its_environment() -> None:
    async with VoiceClient() as client:
        assert_type(client, VoiceClient)
        assert_type(await client.list_voices(), list[Voice])
        assert_type(await client.delete_voice("speech:a:b:c"), None)


async def a_client_takes_options(session: aiohttp.ClientSession) -> None:
    client = VoiceClient(
        "sk-test",
        base_url="https://api.siliconflow.com/v1",
        session=session,
        retry=RetryPolicy(attempts=3, deadline=None, wait_initial=0.1, wait_max=5, max_retry_after=60),
        throttle=Throttle(max_concurrency=4),
        timeouts=Timeouts(attempt=None, connect=5.0, stall=10),
        limits=None,
        on_event=told,
        allow_http=True,
    )
    options: ClientOptions = {
        "retry": RetryPolicy.none(),
        "limits": AudioLimits(max_seconds=60.0, formats=None),
    }
    assert_type(client.with_options(**options), VoiceClient)
    assert_type(client.with_options(timeouts=Timeouts(), on_event=None), VoiceClient)
    assert_type(await client.close(), None)


async def samples() -> AsyncIterator[bytes]:
    yield b"RIFF"


async def audio_comes_in_many_kinds(client: VoiceClient, path: Path, reader: aiohttp.StreamReader) -> None:
    with path.open("rb") as file:
        kinds: list[Audio] = [
            "narrator.mp3",
            path,
            b"ID3",
            bytearray(b"ID3"),
            memoryview(b"ID3"),
            file,
            io.BytesIO(b"ID3"),
            samples(),
            reader.iter_any(),
            AudioSource.of(b"\0\0", filename="samples", content_type="audio/L16; rate=16000"),
        ]
        for audio in kinds:
            voice = await client.upload_voice(audio, custom_name="narrator", text="慢工出细活")
            assert_type(voice, Voice)
        await client.upload_voice(file, custom_name="narrator", text="慢工出细活")
        await client.upload_voice(samples(), custom_name="narrator", text="慢工出细活")
    remote = RemoteAudio(
        hosts=["a.example"], schemes=("https", "s3"), max_redirects=0, timeout=5, private=True
    )
    assert_type(RemoteAudio("a.example").hosts, tuple[str, ...])
    await client.upload_voice(
        AudioSource.url("https://a.example/b", remote=remote), custom_name="narrator", text="慢工出细活"
    )
    source = AudioSource.of("narrator.mp3")
    assert_type(source, AudioSource)
    assert_type(source.replayable, bool)
    assert_type(source.filename, str)
    assert_type(source.content_type, str | None)


async def an_upload_takes_options(
    client: VoiceClient,
    encoding: Literal["multipart", "base64"],
    on_ambiguous: Literal["reconcile", "raise", "retry"],
) -> None:
    voice = await client.upload_voice(
        "narrator.mp3",
        custom_name="narrator",
        text="慢工出细活",
        model="fnlp/MOSS-TTSD-v0.5",
        encoding=encoding,
        on_ambiguous=on_ambiguous,
        progress=lambda sent, total: print(sent, total or "?"),  # noqa: T201 - never run
    )
    for text in (voice.uri, voice.model, voice.custom_name, voice.text):
        assert_type(text, str)
    assert_type(voice.recovered, bool)
    assert_type(voice.trace_id, str | None)
    for attempt in voice.attempts:
        assert_type(attempt, Attempt)
        assert_type(attempt.number, int)
        assert_type(attempt.waited + attempt.seconds, float)
        assert_type(attempt.status, int | None)
        assert_type(attempt.failure, Failure | None)


async def a_voice_speaks(
    client: VoiceClient, voice: Voice, path: Path, options: tuple[ResponseFormat, ModelKind]
) -> None:
    async with client.stream_speech("text", voice=voice) as speech:
        assert_type(speech, Speech)
        async for chunk in speech:
            assert_type(chunk, bytes)
        assert_type(await speech.read(repair=False), bytes)
        assert_type(await speech.save(path), int)
        assert_type((speech.trace_id, speech.first_chunk_after), tuple[str | None, float])
    references = [Reference(path, "text"), Reference(b"ID3", "text")]
    client.stream_speech("text", references=references, response_format=options[0], sample_rate=16_000)
    client.stream_speech("text", voice="anna", model="m", speed=2, gain=-1.5, max_tokens=100)
    transcript = await client.transcribe(path, model="m")
    assert_type(transcript, Transcript)
    assert_type((transcript.plain, transcript.language), tuple[str, str | None])
    assert_type(transcript.segments, tuple[Segment, ...] | None)
    assert_type(await client.list_models(options[1]), list[str])


def told(event: Event) -> str:
    match event:
        case AttemptEvent(operation=operation, attempt=attempt):
            assert_type(attempt, Attempt)
            return f"{operation} {attempt.number}"
        case QueueEvent(seconds=seconds, ahead=ahead):
            return f"{seconds:.1f} s behind {ahead} others"
        case SettleEvent(seconds=seconds, uploads=uploads):
            return f"{seconds:.1f} s for {uploads}"
        case WaitEvent(seconds=seconds, error=error):
            assert_type(error, SiliconFlowError)
            return f"{seconds:.1f} s because of {error}"
        case OutcomeEvent(attempts=attempts, error=None):
            assert_type(attempts, tuple[Attempt, ...])
            return "done"
        case OutcomeEvent(error=error):
            return str(error)
        case _:
            assert_never(event)


async def errors_know_what_happened(client: VoiceClient) -> float | None:
    try:
        await client.upload_voice("narrator.mp3", custom_name="narrator", text="慢工出细活")
    except InvalidUploadError as error:
        assert_type((error.field, error.reason), tuple[str, str])
    except QuotaExhaustedError as error:
        assert_type(error.kind, str | None)
    except (RateLimitError, OverloadedError) as error:
        return error.retry_after
    except APIStatusError as error:
        assert_type((error.status, error.code), tuple[int, int | None])
        assert_type((error.message, error.trace_id, error.body), tuple[str, str | None, str])
    except (APITimeoutError, APIConnectionError) as error:
        assert_type(error.failure, Failure)
    except InvalidResponseError as error:
        assert_type((error.status, error.trace_id, error.body), tuple[int, str | None, str])
    except AmbiguousUploadError as error:
        assert_type(error.candidates, tuple[Voice, ...])
    except (AudioSourceError, ConfigurationError) as error:
        assert_type(error.attempts, tuple[Attempt, ...])
    return None


def an_error_is_also_the_standard_librarys(timeout: APITimeoutError, invalid: InvalidUploadError) -> None:
    builtin: TimeoutError = timeout
    value: ValueError = invalid
    raise builtin from value


async def an_emulator_is_a_server_to_test_against() -> None:
    emulator = Emulator(
        api_key="sk-test",
        quota=Quota(requests=10, tokens=1000, window=0.5, kind="bucket", burst=2),
        faults=[Fault.return_status(503, times=3), Fault.drop_answer(share=0.5, endpoint="any")],
        latency=(0.01, 0.02),
    )
    async with emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        await client.upload_voice("narrator.mp3", custom_name="narrator", text="慢工出细活")
        emulator.add_fault(Fault.reset_after(1000))
        emulator.quota = None
    assert_type(emulator.voices, list[StoredVoice])
    assert_type(emulator.requests, list[RequestRecord])
    assert_type(emulator.unmet_faults, tuple[Fault, ...])
    assert_type(emulator.voices[0].sha256, str)


async def many_uploads_have_outcomes(client: VoiceClient, stream: AsyncIterator[VoiceUpload]) -> None:
    uploads = [VoiceUpload("a.mp3", "a", "一"), VoiceUpload(b"RIFF", "b", "二", encoding="base64")]
    async with aclosing(upload_many(client, uploads, concurrency=100)) as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, UploadOutcome)
            assert_type(outcome.status, Literal["uploaded", "recovered", "skipped", "failed"])
            assert_type((outcome.index, outcome.size), tuple[int, int | None])
            assert_type((outcome.voice, outcome.error), tuple[Voice | None, SiliconFlowError | None])
    async for _ in upload_many(client, stream, journal="voices.journal", settle=1):
        pass
    async with Journal(Path("voices.journal")) as journal:
        async for outcome in upload_many(client, Manifest("voices.csv"), journal=journal):
            if isinstance(outcome.upload, ManifestUpload):
                assert_type(outcome.upload.line, int)
        assert_type(await journal.counts(), dict[str, int])
        assert_type(await journal.export("voices.jsonl"), int)
    check = Manifest("voices.csv").check(limits=client.limits)
    async for problem in check:
        assert_type((problem.field, problem.rule, problem.line), tuple[str, str, int | None])
    assert_type(check.report, CheckReport)
    assert_type(await check_upload(uploads[0], limits=None), tuple[UploadProblem, ...])

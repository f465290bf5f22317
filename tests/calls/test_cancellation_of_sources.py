from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.blocked import BlockedFile, BlockedStream, outcome, stage
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import APITimeoutError, AudioSourceError, RetryPolicy, SiliconFlowError, Timeouts
from siliconflow_voice.api.requests import Encoding

both_encodings = pytest.mark.parametrize("encoding", ["multipart", "base64"])


# A stream.


@both_encodings
@virtual_time
async def test_an_upload_whose_stream_waits_can_be_cancelled(
    encoding: Encoding, caplog: pytest.LogCaptureFixture
) -> None:
    source = BlockedStream()
    async with stage(encoding) as there:
        task = there.upload(source.audio())
        await source.reached.wait()
        task.cancel()
        assert isinstance(await outcome(task), asyncio.CancelledError)
        assert source.closed
        assert await there.goes_on()
    assert "failed as it was closed" not in caplog.text


@both_encodings
@virtual_time
async def test_it_can_be_cancelled_twice(encoding: Encoding, caplog: pytest.LogCaptureFixture) -> None:
    source = BlockedStream()
    async with stage(encoding) as there:
        task = there.upload(source.audio())
        await source.reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        assert isinstance(await outcome(task), asyncio.CancelledError)
        assert source.closed
        assert await there.goes_on()
    assert "failed as it was closed" not in caplog.text


@virtual_time
async def test_a_stream_that_takes_long_to_close_is_not_waited_for_once_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reached, closed = asyncio.Event(), asyncio.Event()

    async def audio() -> AsyncIterator[bytes]:
        try:
            yield SPEECH[:8192]
            reached.set()
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(10)
            closed.set()

    async with stage("multipart") as there:
        task = there.upload(audio())
        await reached.wait()
        task.cancel()
        await asyncio.sleep(5)
        task.cancel()
        assert isinstance(await outcome(task), asyncio.CancelledError)
        assert asyncio.get_running_loop().time() == 5
        await closed.wait()
    assert "failed as it was closed" not in caplog.text


@both_encodings
@virtual_time
async def test_a_timeout_around_it_comes_out_as_one(
    encoding: Encoding, caplog: pytest.LogCaptureFixture
) -> None:
    source = BlockedStream()
    async with stage(encoding) as there:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(5):
                await there.client.upload_voice(
                    source.audio(), custom_name="narrator", text=TEXT, encoding=encoding
                )
        assert not isinstance(caught.value, SiliconFlowError)
        assert source.closed
        assert await there.goes_on()
    assert "failed as it was closed" not in caplog.text


@both_encodings
@virtual_time
async def test_a_stream_that_waits_too_long_has_stalled(
    encoding: Encoding, caplog: pytest.LogCaptureFixture
) -> None:
    source = BlockedStream()
    async with stage(encoding, timeouts=Timeouts(stall=5)) as there:
        with pytest.raises(APITimeoutError, match="stalled: no byte moved for 5 s"):
            await there.upload(source.audio())
        assert source.closed
        assert await there.goes_on()
    assert "failed as it was closed" not in caplog.text


@both_encodings
@virtual_time
async def test_a_stream_that_waits_past_the_deadline_is_not_waited_for(
    encoding: Encoding, caplog: pytest.LogCaptureFixture
) -> None:
    source = BlockedStream()
    async with stage(encoding) as there:
        hurried = there.client.with_options(retry=RetryPolicy(attempts=1, deadline=7))
        with pytest.raises(APITimeoutError, match="deadline"):
            await there.upload(source.audio(), hurried)
        assert source.closed
        assert asyncio.get_running_loop().time() == 7
        assert await there.goes_on()
    assert "failed as it was closed" not in caplog.text


# A stream that is looked at, before anything is sent.


@virtual_time
async def test_a_stream_that_waits_before_its_first_bytes_can_be_cancelled() -> None:
    source = BlockedStream()

    async def audio() -> AsyncIterator[bytes]:
        yield b"RIFF"
        async for chunk in source.audio():
            yield chunk[:4]

    async with stage("multipart") as there:
        stream = audio()
        task = there.upload(stream)
        await source.reached.wait()
        task.cancel()
        assert isinstance(await outcome(task), asyncio.CancelledError)
        assert there.emulator.requests == []
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@virtual_time
async def test_a_stream_that_waits_before_its_first_bytes_past_the_deadline_is_not_waited_for() -> None:
    closed = asyncio.Event()

    async def audio() -> AsyncIterator[bytes]:
        try:
            await asyncio.sleep(1000)
            yield SPEECH
        finally:
            closed.set()

    async with stage("multipart") as there:
        hurried = there.client.with_options(retry=RetryPolicy(deadline=7))
        with pytest.raises(APITimeoutError, match="while audio stream was read; nothing was sent"):
            await there.upload(audio(), hurried)
        assert (closed.is_set(), asyncio.get_running_loop().time()) == (True, 7)
        assert there.emulator.requests == []


# A file.


@both_encodings
async def test_an_upload_whose_file_hangs_can_be_cancelled(encoding: Encoding) -> None:
    file = BlockedFile()
    async with stage(encoding) as there:
        task = there.upload(file)
        assert await asyncio.to_thread(file.reached.wait, 30)
        task.cancel()
        assert isinstance(await outcome(task), asyncio.CancelledError)
        assert await there.goes_on()
        file.go_on.set()
    assert not file.closed


@both_encodings
@pytest.mark.parametrize(
    ("timeouts", "retry", "reason"),
    [
        (Timeouts(stall=0.05), RetryPolicy.none(), "stalled"),
        (Timeouts(attempt=0.2), RetryPolicy.none(), "took longer than 0.2 s"),
        (Timeouts(), RetryPolicy(attempts=1, deadline=0.2), "deadline"),
    ],
    ids=["stall", "attempt", "deadline"],
)
async def test_a_file_that_hangs_is_not_waited_for(
    encoding: Encoding, timeouts: Timeouts, retry: RetryPolicy, reason: str
) -> None:
    file = BlockedFile()
    async with stage(encoding) as there:
        with pytest.raises(APITimeoutError, match=reason):
            await there.upload(file, there.client.with_options(timeouts=timeouts, retry=retry))
        assert await there.goes_on()
        file.go_on.set()
    assert not file.closed


@both_encodings
async def test_a_timeout_around_a_file_that_hangs_comes_out_as_one(encoding: Encoding) -> None:
    file = BlockedFile()
    async with stage(encoding) as there:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.2):
                await there.client.upload_voice(file, custom_name="narrator", text=TEXT, encoding=encoding)
        assert not isinstance(caught.value, SiliconFlowError)
        assert await there.goes_on()
        file.go_on.set()
    assert not file.closed


# A stream with troubles of its own.


class Unclosable:
    """A stream that fails as it is closed."""

    def __init__(self) -> None:
        self.chunks = iter([SPEECH])

    def __aiter__(self) -> Unclosable:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self.chunks)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        raise OSError("it can't be closed")


@virtual_time
async def test_a_stream_that_fails_as_it_is_closed_fails_no_upload(caplog: pytest.LogCaptureFixture) -> None:
    async with stage("multipart") as there:
        await there.upload(Unclosable())
    assert "audio stream failed as it was closed" in caplog.text


@virtual_time
async def test_a_stream_that_was_cancelled_itself_is_an_error_of_its_own() -> None:
    async def audio() -> AsyncIterator[bytes]:
        yield SPEECH[:8192]
        raise asyncio.CancelledError

    async with stage("multipart") as there:
        with pytest.raises(AudioSourceError, match="audio stream was cancelled"):
            await there.upload(audio())
        assert await there.goes_on()

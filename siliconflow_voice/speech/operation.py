"""Speech and transcripts as operations: what is sent for them, and what an attempt comes to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import ClassVar

from attrs import define, field

from siliconflow_voice.api.answers import Answer
from siliconflow_voice.api.responses import parse_no_audio
from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.calls.operation import Operation, Success
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Transcript
from siliconflow_voice.speech.recordings import Recording
from siliconflow_voice.transport.channel import Channel
from siliconflow_voice.transport.payload import RequestPayload, Section, Transfer
from siliconflow_voice.transport.streaming import AudioStream

__all__ = ["Speaking", "Transcribing"]


@define(eq=False, kw_only=True)
class Speaking(Operation[AudioStream]):
    """One request for speech. It may be repeated until its first byte is handed out."""

    lasts: ClassVar[bool] = True

    references: Sequence[Recording]
    end: Callable[[SiliconFlowError | None], None] = field(init=False)
    """To be called when the stream has ended, with the error that ended it."""

    @property
    def replayable(self) -> bool:
        return all(reference.reading.can_replay for reference in self.references)

    def payload(self, transfer: Transfer) -> RequestPayload | None:
        envelopes = [envelope for envelope in (self.request.envelope, *self.request.further) if envelope]
        if not self.references:
            return super().payload(transfer)
        first, *further = [
            Section(envelope, reference.blocks(), reference.facts.size)
            for envelope, reference in zip(envelopes, self.references, strict=True)
        ]
        return RequestPayload(first.envelope, first.blocks, first.audio, transfer, further)

    def waits(self) -> None:
        for reference in self.references:
            reference.reading.wait()

    async def exchange(
        self, channel: Channel, transfer: Transfer, until: float | None
    ) -> Success[AudioStream] | SiliconFlowError:
        opened = await channel.stream(self.request, self.payload(transfer), transfer, until)
        match opened:
            case AudioStream():
                return Success(opened, opened.answer.status, opened.answer.trace_id)
            case Answer():
                return parse_no_audio(opened)
            case error:
                return error

    def goes_on(self, end: Callable[[SiliconFlowError | None], None]) -> None:
        self.end = end


@define(eq=False, kw_only=True)
class Transcribing(Operation[Transcript]):
    """One request for a transcript."""

    recording: Recording

    @property
    def replayable(self) -> bool:
        return self.recording.reading.can_replay

    def blocks(self) -> AsyncGenerator[Block, None]:
        return self.recording.blocks()

    def waits(self) -> None:
        self.recording.reading.wait()

"""Opens speech and transcribes recordings: what these calls of a client share."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing

from attrs import define, evolve, frozen

from siliconflow_voice.api import speaking
from siliconflow_voice.api.responses import parse_no_audio
from siliconflow_voice.api.speaking import ModelKind, ReferenceFacts
from siliconflow_voice.api.transcripts import parse_models, parse_transcript
from siliconflow_voice.audio.checks import AudioLimits, check_text
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import Audio
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.engine import Engine
from siliconflow_voice.calls.operation import Operation, Success
from siliconflow_voice.errors import InvalidUploadError
from siliconflow_voice.models import Transcript
from siliconflow_voice.speech.operation import Speaking, Transcribing
from siliconflow_voice.speech.parameters import SpeechParameters
from siliconflow_voice.speech.recordings import Recording, open_recording
from siliconflow_voice.transport.streaming import AudioStream

__all__ = ["OpenSpeech", "Speaker"]

# Formats that working clients send; sizes and times from the vendor's page.
_TRANSCRIBED = AudioLimits(
    formats=frozenset({"flac", "m4a", "mp3", "ogg", "opus", "wav", "webm"}),
    max_seconds=3_600.0,
    max_bytes=50_000_000,
)
# Opus is in an Ogg file, by whose name working clients send it.
_EXTENSIONS = {"opus": "ogg"}


@frozen
class OpenSpeech:
    """Speech whose first bytes have come."""

    success: Success[AudioStream]
    operation: Speaking
    pool: ReadPool
    """Whose threads write files."""


@define(eq=False)
class Speaker:
    """Speaks and transcribes for a client."""

    engine: Engine
    pool: ReadPool

    async def open(self, parameters: SpeechParameters, stack: AsyncExitStack) -> OpenSpeech:
        """Open speech, and wait for its first bytes; *stack* closes what it needs.

        Raises:
            SiliconFlowError: It can't be had.
        """
        stack.enter_context(self.engine.calls.counted())
        until = self.engine.until()
        recordings: list[Recording] = []
        for index, reference in enumerate(parameters.references):
            limits, field = self.engine.settings.limits, f"references[{index}].audio"
            recording = await open_recording(reference.audio, self.pool, limits, until, field)
            recordings.append(await stack.enter_async_context(aclosing(recording)))
        facts = [
            ReferenceFacts(reference.text, recording.facts.media_type)
            for reference, recording in zip(parameters.references, recordings, strict=True)
        ]
        operation = Speaking(
            request=speaking.stream_speech(parameters.fields(), facts),
            parse=parse_no_audio,
            subject=parameters.who(),
            references=recordings,
        )
        return OpenSpeech(await self.engine.call(operation, Deadline.by(until)), operation, self.pool)

    async def transcribe(self, audio: Audio, model: str) -> Transcript:
        """Transcribe a recording."""
        settings, until = self.engine.settings, self.engine.until()
        check_text("model", model)
        if not model:
            raise InvalidUploadError("model", "is empty", rule="empty")
        limits = None if settings.limits is None else _TRANSCRIBED
        with self.engine.calls.counted():
            async with aclosing(await open_recording(audio, self.pool, limits, until)) as recording:
                facts = recording.facts
                extension = _EXTENSIONS.get(facts.extension, facts.extension)
                operation = Transcribing(
                    request=speaking.transcribe(model, facts.media_type, extension),
                    parse=parse_transcript,
                    subject=recording.name,
                    size=facts.size,
                    recording=recording,
                )
                success = await self.engine.call(operation, Deadline.by(until))
        return evolve(success.value, trace_id=success.trace_id)

    async def list_models(self, kind: ModelKind) -> list[str]:
        """List the models of a kind."""
        operation = Operation(speaking.list_models(kind), parse_models, kind)
        with self.engine.calls.counted():
            return (await self.engine.call(operation, Deadline.by(self.engine.until()))).value

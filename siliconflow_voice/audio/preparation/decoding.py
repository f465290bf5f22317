"""Decodes recordings with PyAV: from one open file, piece by piece, to mono samples."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, BinaryIO, TypeAlias, cast

import av
from attrs import frozen
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import BlockingIOError as NothingYetError
from av.error import EOFError as EndedError
from av.error import FFmpegError
from av.filter import Graph
from av.filter.context import FilterContext
from av.stream import Discard

from siliconflow_voice.audio.blocks import reading_errors
from siliconflow_voice.audio.wording import one_line
from siliconflow_voice.errors import AudioSourceError

__all__ = [
    "ALL_CHANNELS",
    "FIRST_CHANNEL",
    "Decoder",
    "Filters",
    "Mix",
    "SourceFacts",
    "decoding_errors",
    "samples_of",
]

# A playlist or a script names other files and addresses: nothing but the file itself is opened.
_ALONE = {"protocol_whitelist": "none"}
Mix: TypeAlias = "tuple[tuple[str, str], ...]"
"""What makes one channel of several, before they are mixed evenly."""
ALL_CHANNELS: Mix = ()
FIRST_CHANNEL: Mix = (("pan", "mono|c0=c0"),)

_RATES = range(4_000, 768_001)
_MOST_CHANNELS = 64
# Damaged packets in a row, after which it is not a recording.
_MOST_DAMAGE = 1_000
_PUSHED_AT_ONCE = 16


@frozen
class SourceFacts:
    """What ffmpeg says of a recording."""

    format: str
    codec: str
    channels: int
    rate: int


class Filters:
    """A chain of ffmpeg's filters, for frames of one kind.

    Args:
        frame: One of those that will come.
        chain: The filters' names, each with its arguments.
    """

    def __init__(self, frame: AudioFrame, *chain: tuple[str, str]) -> None:
        self.kind = _kind(frame)
        self._graph = Graph()
        self._graph.threads = 1
        rate, name, layout = self.kind
        self._time_base, self._position = Fraction(1, rate), 0
        self._source = last = self._graph.add_abuffer(
            sample_rate=rate, format=name, layout=layout, time_base=self._time_base
        )
        for name, arguments in (*chain, ("abuffersink", "")):
            added: FilterContext = self._graph.add(name, arguments or None)
            last.link_to(added)
            last = added
        self._sink = last
        self._graph.configure()

    def push(self, frame: AudioFrame | None) -> None:
        """Put in a frame; None ends it."""
        if frame is not None:
            # By what was decoded: a container's own times may have gaps, and jump.
            frame.time_base, frame.pts = self._time_base, self._position
            self._position += frame.samples
        self._source.push(frame)

    def pull(self) -> Iterator[AudioFrame]:
        """Yield what has come out."""
        while True:
            try:
                yield cast("AudioFrame", self._sink.pull())
            except (NothingYetError, EndedError):
                return


class Decoder:
    """Reads an open file as often as is asked for; a context manager.

    Args:
        file: The recording, which can be rewound.
        name: What messages call it.
        raw: The rate and the channels of raw 16-bit samples; None for anything that has a header.
        stopped: Called often; what it raises ends the work.
    """

    def __init__(
        self, file: BinaryIO, name: str, *, raw: tuple[int, int] | None, stopped: Callable[[], None]
    ) -> None:
        self._file = file
        self._name = name
        self._raw = raw
        self._stopped = stopped

    @contextmanager
    def _opened(self) -> Generator[tuple[InputContainer, AudioStream], None, None]:
        self._file.seek(0)
        options, name = dict(_ALONE), None
        if self._raw is not None:
            rate, channels = self._raw
            name = "s16le"
            options |= {"sample_rate": str(rate), "ch_layout": f"{channels}c"}
        watched = _Watched(self._file, self._name, self._stopped)
        container = av.open(watched, "r", format=name, options=options, metadata_errors="replace")
        with container:
            stream = container.streams.best("audio")
            if not isinstance(stream, AudioStream):
                raise AudioSourceError(
                    f"{self._name} has no sound in it; pass a recording with an audio track"
                )
            for other in container.streams:
                other.discard = Discard.default if other is stream else Discard.all
            stream.codec_context.thread_count = 1
            yield container, stream

    def facts(self) -> SourceFacts:
        """Return what the recording is.

        Raises:
            AudioSourceError: It has no sound, or one that no recording has.
        """
        with self._opened() as (container, stream):
            codec = stream.codec_context
            if codec.sample_rate not in _RATES or not 1 <= codec.channels <= _MOST_CHANNELS:
                raise AudioSourceError(
                    f"{self._name} says that it has {codec.channels} channels of {codec.sample_rate} samples "
                    f"a second, which is not a recording: check that it is the file you meant"
                )
            return SourceFacts(container.format.name, codec.name, codec.channels, codec.sample_rate)

    def frames(self, *chain: tuple[str, str]) -> Generator[AudioFrame, None, None]:
        """Decode all of it, through a chain of filters, which begins anew where the kind of frames changes.

        What is damaged is left out, as players do.
        """
        filters: Filters | None = None
        with self._opened() as (container, stream):
            for number, frame in enumerate(_decoded(container, stream), 1):
                self._stopped()
                if filters is None or filters.kind != _kind(frame):
                    yield from _rest(filters)
                    filters = Filters(frame, *chain)
                filters.push(frame)
                if number % _PUSHED_AT_ONCE == 0:
                    yield from filters.pull()
            yield from _rest(filters)


class _Watched:
    """A file that says where it is read whether to go on."""

    def __init__(self, file: BinaryIO, name: str, stopped: Callable[[], None]) -> None:
        self._file = file
        self._name = name
        self._stopped = stopped
        self.seek = file.seek
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        self._stopped()
        with reading_errors(self._name):
            return self._file.read(count)


@contextmanager
def decoding_errors(name: str) -> Generator[None, None, None]:
    """Turn what ffmpeg says into the SDK's own error."""
    try:
        yield
    except FFmpegError as error:
        reason = one_line(error.strerror or type(error).__name__)
        raise AudioSourceError(
            f"{name} can't be decoded: {reason[:1].lower()}{reason[1:]}; check that it is a whole recording"
        ) from error


def samples_of(frame: AudioFrame, kind: str) -> array[Any]:
    """Return the samples of a mono frame: *kind* is ``h`` for 16 bits, ``f`` for floating point."""
    samples: array[Any] = array(kind)
    samples.frombytes(memoryview(cast("Any", frame.planes[0]))[: frame.samples * samples.itemsize])
    return samples


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decode as far as it goes: where a recording can't be taken apart any further, it ends."""
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet: Any = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except FFmpegError:
            damaged += 1
            if damaged > _MOST_DAMAGE:
                raise
            continue
        damaged = 0
        yield from frames


def _rest(filters: Filters | None) -> Iterator[AudioFrame]:
    if filters is not None:
        filters.push(None)
        yield from filters.pull()


def _kind(frame: AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name

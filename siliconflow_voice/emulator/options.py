"""The emulator's command line: latency, quota, and an option for each fault."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from siliconflow_voice.emulator.faults import Fault
from siliconflow_voice.emulator.quotas import Quota
from siliconflow_voice.emulator.server import Emulator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["emulator_of"]

_ABOUT_FAULTS = """\
Each may be passed several times; a request meets the first that is due. A fault
hits every upload, unless settings behind a comma say otherwise: share=0.2 (the
fraction of requests that meet it), times=3 (how many meet it), endpoint=upload,
list, delete, speech, transcribe, models or any."""
_EXAMPLES = """\
examples:
  %(prog)s --port 8000
  %(prog)s --requests-per-minute 60 --window 6 --latency 0.5-1.5
  %(prog)s --return-status 503,share=0.2 --drop-answer share=0.02
  %(prog)s --return-status 429,times=1,code=50608 --delay 2,endpoint=list
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without a screen of usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}. For usage, run: {self.prog} --help\n")


def emulator_of(arguments: Sequence[str] | None, program: str) -> Emulator:
    """Return the emulator that a command line of *program* orders; exit with status 2 if it is invalid."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if options.burst is not None and (options.quota_kind != "bucket" or options.requests_per_minute is None):
        parser.error("--burst needs --quota-kind bucket and --requests-per-minute")
    quota = Quota(
        requests=options.requests_per_minute,
        tokens=options.tokens_per_minute,
        window=options.window,
        kind=options.quota_kind,
        burst=options.burst,
        told_as=options.limit_status,
    )
    return Emulator(
        api_key=options.api_key,
        port=options.port,
        quota=quota,
        faults=options.faults,
        latency=options.latency,
        max_audio_bytes=int(options.max_audio_mb * 1_000_000),
        status_page=True,
    )


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        usage="%(prog)s [options]",
        description="Run an emulator of SiliconFlow's voice API on loopback, and print its address.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", type=_port, default=0, help="port to listen on (default: any free port)")
    add("--api-key", default="sk-test", metavar="KEY", help="API key to accept (default: sk-test)")
    add(
        "--latency",
        type=_latency,
        default=0.0,
        metavar="SECONDS",
        help="how long each answer takes, or a range, such as 0.5-1.5 (default: 0)",
    )
    add(
        "--max-audio-mb",
        type=_number,
        default=5.0,
        metavar="N",
        help="largest recording to accept (default: 5)",
    )
    _add_quota(parser)
    _add_faults(parser)
    return parser


def _add_quota(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("quota, counted for each model").add_argument
    add("--requests-per-minute", type=_count, metavar="N", help="uploads a minute (default: unlimited)")
    add("--tokens-per-minute", type=_count, metavar="N", help="characters of text (default: unlimited)")
    add(
        "--window",
        type=_window,
        default=60.0,
        metavar="SECONDS",
        help="how long that minute takes, for tests; pass it to the client's Throttle too (default: 60)",
    )
    add(
        "--quota-kind",
        choices=("fixed", "sliding", "bucket"),
        default="fixed",
        help="windows one after the other, a sliding window, or an even refill (default: fixed)",
    )
    add("--burst", type=_count, metavar="N", help="uploads that a full bucket holds (default: the limit)")
    add(
        "--limit-status",
        type=int,
        choices=(429, 403),
        default=429,
        help="status that refuses an upload above these limits (default: 429)",
    )


@frozen(eq=False)
class _FaultOption:
    """Reads an option such as ``503,share=0.2``."""

    make: Callable[..., Fault]
    value: Callable[[str], object] | None
    """What reads the part in front of the settings; None if there is no such part."""
    more: Mapping[str, Callable[[str], object]] = {}
    endpoint: str = "upload"

    def __call__(self, text: str) -> Fault:
        values: list[object] = []
        settings: dict[str, object] = {"times": None, "endpoint": self.endpoint}
        readers: dict[str, Callable[[str], object]] = {
            "share": _number,
            "times": _count,
            "endpoint": str,
            **self.more,
        }
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if equals and name in readers:
                settings[name] = readers[name](value)
            elif not equals and self.value is not None and not values:
                values.append(self.value(part))
            else:
                known = ", ".join(f"{name}=…" for name in readers)
                raise argparse.ArgumentTypeError(f"{part!r:.80} is not a setting: pass {known}")
        if self.value is not None and not values:
            raise argparse.ArgumentTypeError(f"{text!r:.80} has no value in front of its settings")
        try:
            return self.make(*values, **settings)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error


def _add_faults(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("faults", _ABOUT_FAULTS)

    def add(option: str, metavar: str, fault: _FaultOption, what: str) -> None:
        group.add_argument(
            option, action="append", dest="faults", default=[], type=fault, metavar=metavar, help=what
        )

    status = _FaultOption(Fault.return_status, _whole, {"code": _whole, "message": str})
    add("--return-status", "STATUS", status, "answer with it, store nothing; also code=… and message=…")
    add("--delay", "SECONDS", _FaultOption(Fault.delay, _number), "answer late")
    add("--stall-after", "BYTES", _FaultOption(Fault.stall_after, _whole), "stop reading after so many")
    add("--reset-after", "BYTES", _FaultOption(Fault.reset_after, _whole), "reset the connection there")
    group.add_argument(
        "--drop-answer",
        action="append",
        dest="faults",
        nargs="?",
        type=_FaultOption(Fault.drop_answer, None),
        const=Fault.drop_answer(times=None),
        metavar="SETTINGS",
        help="store the voice, and close the connection without an answer",
    )
    truncate = _FaultOption(Fault.truncate_answer, _whole)
    add("--truncate-answer", "BYTES", truncate, "store the voice, and cut the answer off after so many")
    stall = _FaultOption(Fault.stall_answer, _whole)
    add("--stall-answer", "BYTES", stall, "store the voice, and stop sending the answer after so many")
    trickle = _FaultOption(Fault.trickle_answer, _number)
    add("--trickle-answer", "SECONDS", trickle, "store the voice, and wait before each byte of the answer")
    idle = _FaultOption(Fault.close_idle, _number, endpoint="any")
    add(
        "--close-idle",
        "SECONDS",
        idle,
        "close connections that are idle so long, 0 behind each answer, on any endpoint",
    )


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a whole number")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a whole number from 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a port, from 0 to 65535")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a number from 0")
    return number


def _window(text: str) -> float:
    number = _number(text)
    if not number:
        raise argparse.ArgumentTypeError("a window takes more than 0 seconds")
    return number


def _latency(text: str) -> float | tuple[float, float]:
    low, dash, high = text.partition("-")
    if not low or not dash:
        return _number(text)
    span = _number(low), _number(high)
    if span[0] > span[1]:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a range from less to more seconds")
    return span

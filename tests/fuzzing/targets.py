"""What is fuzzed: everything that reads what others wrote, each with the seeds that its mutants come from."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen
from support.made import frames, hum, id3, opus, wav

from siliconflow_voice.api.answers import Answer, Redactor
from siliconflow_voice.api.responses import parse_nothing, parse_uri
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.audio.checks import AudioLimits, audio_refusal
from siliconflow_voice.audio.formats import facts_of
from siliconflow_voice.bulk.rows import read_rows
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.transport import origin

__all__ = ["TARGETS", "Target"]

RECORDINGS = Path(__file__).parents[2] / "examples" / "recordings"
TABLES = Path(__file__).parents[1] / "field" / "tables"
ENTRY = {"model": "m", "customName": "n", "text": "慢工", "uri": "speech:n:a:b"}
REDACT = Redactor("sk-test")
FOLDER = Path(tempfile.mkdtemp(prefix="fuzzing-"))


@frozen
class Target:
    """One reader."""

    name: str
    read: Callable[[bytes], object]
    """Raises nothing but errors of the SDK's."""
    seeds: list[bytes] = field(repr=False)
    megabyte: float = 0.02
    """Seconds of CPU that a megabyte may take."""
    row: float = 0.0
    """Those that each line may take beside its bytes, where each is a row, that is checked."""
    fixed: float = 0.003
    """Those that an input of no bytes may take."""


def answers(data: bytes) -> None:
    status = 200 + data[0] * 2 if data else 200
    answer = Answer(status, {"retry-after": data[:20].decode("latin-1")}, data[1:], redact=REDACT)
    parse_uri(answer)
    parse_nothing(answer)


def lists(data: bytes) -> None:
    voices = VoiceList(lambda _voice: True)
    for start in range(0, len(data), 4096):
        voices.feed(data[start : start + 4096])
    voices.end()


def recordings(data: bytes) -> None:
    facts = facts_of(data, len(data), None, None)
    audio_refusal(AudioLimits(), facts, "fuzz")


def _file(name: str, data: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path


def tables(data: bytes) -> None:
    for _ in read_rows(str(_file("table.csv", data)), "utf-8"):
        pass


def json_lines(data: bytes) -> None:
    for _ in read_rows(str(_file("table.jsonl", data)), "utf-8"):
        pass


def workbooks(data: bytes) -> None:
    for _ in read_rows(str(_file("table.xlsx", data)), "utf-8"):
        pass


def journals(data: bytes) -> None:
    path = FOLDER / "voices.journal"
    for leftover in FOLDER.glob("voices.journal*"):
        leftover.unlink()
    path.write_bytes(data)
    path.chmod(0o600)
    store = Store.open(path)
    try:
        with store.transaction():
            store.unknown()
            store.counts()
            store.page(0, 100)
    finally:
        store.close()


def keys(data: bytes) -> None:
    origin.key(data)
    origin.key(data.decode("utf-8", "replace"))


def addresses(data: bytes) -> None:
    origin.check_encrypted(origin.base_url(data.decode("utf-8", "replace") or "x"))


def _journal() -> bytes:
    path = Path(tempfile.mkdtemp(prefix="fuzzing-")) / "voices.journal"
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


LISTS = [
    _dumps(wrapping) for wrapping in ([ENTRY] * 3, {"result": [ENTRY]}, {"data": {"results": [ENTRY] * 9}})
]
TARGETS = [
    Target(
        "answers",
        answers,
        [
            b"\0" + _dumps({"uri": "speech:n:a:b"}),
            b"\x64" + _dumps({"code": 20012, "message": "no"}),
            b"\x65" + _dumps("RPM limit exceeded."),
            b"\x72" + _dumps({"error": {"code": 50606, "message": "sk-test"}}),
            b"\x96<html><title>502 Bad Gateway</title></html>",
            *(b"\0" + seed for seed in LISTS),
        ],
    ),
    Target("lists", lists, LISTS, megabyte=0.4),  # 3 µs an entry, of which the shortest have eleven bytes
    Target(
        "recordings",
        recordings,
        [
            *(path.read_bytes()[:40_000] for path in sorted(RECORDINGS.glob("*.*")) if path.suffix != ".csv"),
            frames(1),
            id3(500) + frames(1),
            wav(hum(1)),
            opus(1),
        ],
    ),
    Target(
        "tables",
        tables,
        [
            b"audio,custom_name,text\na.mp3,a,slow\n",
            b'sep=;\r\naudio;custom_name;text;note\r\n"a b.mp3";a;"one\r\ntwo";\r\n;;;\r\n\x1a',
            *(path.read_bytes() for path in sorted(TABLES.glob("*.csv"))),
        ],
        # A byte that is not of the encoding is a call of the codec's error handler; behind a quote that is
        # never closed, a megabyte may be read again.
        megabyte=0.4,
        row=10e-6,
        fixed=0.06,
    ),
    Target(
        "json lines",
        json_lines,
        [_dumps({"audio": "a.mp3", "custom_name": "a", "text": "x"}) * 2 + b"\n"],
        megabyte=0.4,
        row=6e-6,
    ),
    Target(
        "workbooks",
        workbooks,
        [path.read_bytes() for path in sorted(TABLES.glob("*.xlsx"))],
        # What isn't one is read as a table.
        megabyte=0.4,
        row=10e-6,
        fixed=0.06,
    ),
    Target("journals", journals, [_journal()], fixed=0.006),  # SQLite makes or opens a database
    Target(
        "keys",
        keys,
        [b"sk-test", b"export SILICONFLOW_API_KEY='sk-test'\n", "Bearer sk-test".encode("utf-16")],
    ),
    Target(
        "addresses", addresses, [b"https://api.siliconflow.cn/v1", b"http://[::1]:8000/v1/chat/completions "]
    ),
]

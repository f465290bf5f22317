"""The table of what each fault comes to, as a page of the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from siliconflow_voice import Failure
from support.faults.rules import Case, Outcome
from support.faults.stage import Moment
from support.faults.table import CASES

PAGE = Path(__file__).parents[3] / "docs" / "fault-matrix.md"
VARIABLE = "SILICONFLOW_VOICE_WRITE_DOCS"

_INTRODUCTION = f"""\
# The fault matrix

<!-- Written by {VARIABLE}=1 python -m pytest tests/faults -k documentation -->

Each row is what the tests in `tests/faults` hold its cases to. They also fail where this page says anything
else; this writes it:

```console
$ {VARIABLE}=1 python -m pytest tests/faults -k documentation
```

Each fault is played by a server on a raw socket, at its moment, to uploads in both encodings (multipart,
base64) and from each kind of source (a path, bytes, a file, a stream), with `RetryPolicy(attempts=2)` and
`on_ambiguous="raise"`. From its second connection on, the server is well: a failure that may be tried again
ends in a voice, if the source can be read again. What is expected comes from the rules of
[Failures, and what to do](failures.md).

Each case also makes sure that the error says what happened, in the words of the table in
`tests/support/faults`; that the fault was played to its point; that another origin was never connected to;
that what was accepted in the end is the recording; and that no connection, open file, task, thread or warning
is left.
"""

_NOTES = """\
## What the table shows besides

- *Before the headers are read* and *within the body*, the recording is larger than what the sockets' buffers
  take: it is certain that not all of it was handed over. Elsewhere it is small, and was read whole.
- To connect, or in the TLS handshake, a stream was not begun: it can still be sent.
- *FIN, and nothing is read*: what waits to be sent keeps the connection from ending,
  until it counts as stalled.
- A server that says no and ends with RST is heard if its words came before the client wrote again.
- aiohttp drops an answer together with nonsense that comes in the same packet, so that a 503 is not heard;
  nonsense between chunks that comes in a later packet ends nothing, and the attempt ends by its timeouts.
"""


def page() -> str:
    """Return the page, in the matrix's own order."""
    outcomes = {case: case.expected() for case in CASES}
    sections = [_INTRODUCTION, _summary(outcomes)]
    sections += [_section(moment, outcomes) for moment in Moment]
    return "\n".join([*sections, _NOTES])


def _summary(outcomes: Mapping[Case, Outcome]) -> str:
    count = Counter(outcome.failure for outcome in outcomes.values())
    voices = Counter(outcome.failure for outcome in outcomes.values() if outcome.raised is None)
    faults = len({(case.fault, case.moment) for case in outcomes})
    rows = [(_class(failure), str(count[failure]), str(voices[failure])) for failure in (None, *Failure)]
    total = f"{len(outcomes)} cases: {faults} faults at their moments, 2 encodings, 4 kinds of source.\n\n"
    return total + _table(("class of the first attempt", "cases", "of these, ended in a voice"), rows)


def _section(moment: Moment, outcomes: Mapping[Case, Outcome]) -> str:
    groups: dict[str, dict[Case, Outcome]] = {}
    for case, outcome in outcomes.items():
        if case.moment is moment:
            groups.setdefault(case.fault.name, {})[case] = outcome
    rows = [
        (
            name,
            _joined(_name(outcome.met) for outcome in group.values()),
            _joined(_class(outcome.failure) for outcome in group.values()),
            _joined(_end(outcome) for case, outcome in group.items() if case.source != "stream"),
            _joined(_end(outcome) for case, outcome in group.items() if case.source == "stream"),
            str(len(group)),
        )
        for name, group in groups.items()
    ]
    header = ("fault", "the first attempt meets", "class", "path, bytes, file", "stream", "cases")
    return f"## {moment.value}\n\n{_table(header, rows)}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _joined(texts: Iterable[str]) -> str:
    return "; or ".join(dict.fromkeys(texts))


def _class(failure: Failure | None) -> str:
    return "–" if failure is None else f"*{failure.value}*"


def _name(error: type[Exception] | None) -> str:
    return "–" if error is None else f"`{error.__name__}`"


def _end(outcome: Outcome) -> str:
    attempts = "1 attempt" if outcome.attempts == 1 else f"{outcome.attempts} attempts"
    return f"{attempts}: {'the voice' if outcome.raised is None else _name(outcome.raised)}"

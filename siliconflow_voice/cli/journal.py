"""The command ``journal``: shows what a bulk run's journal knows, and records what only its owner knows."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Flag
from siliconflow_voice.cli.terminal import Stdout, shortened
from siliconflow_voice.errors import ConfigurationError, SiliconFlowError

__all__ = ["journal"]

journal = App(name="journal", help="Show or correct the journal of bulk runs, while no run has it.")


@journal.command
async def counts(file: Path, /, *, json: Flag = False) -> int:
    """Count the uploads of a journal by state.

    For example:

        siliconflow-voice journal counts voices.journal

    Parameters
    ----------
    file
        The journal, such as voices.journal.
    json
        Print one JSON object, for programs (default: off).
    """
    stdout = Stdout()
    async with _existing(file) as opened:
        found = await opened.counts()
    if json:
        stdout.event("counts", **found)
    else:
        for state, count in found.items():
            stdout.write(f"{count:>9,}  {state}\n")
    return _written(stdout)


@journal.command
async def records(file: Path, /, *, state: str | None = None, json: Flag = False) -> int:
    """List the uploads of a journal: state, name, uri and audio.

    For example:

        siliconflow-voice journal records voices.journal --state unknown

    Parameters
    ----------
    file
        The journal, such as voices.journal.
    state
        Only those in this state: uploaded, recovered, failed, pending or unknown (default: all).
    json
        Print one JSON object per upload, for programs (default: off).
    """
    stdout = Stdout()
    async with _existing(file) as opened:
        async for record in opened.records():
            if state is not None and record["state"] != state:
                continue
            if json:
                stdout.event("record", **record)
            else:
                parts = [
                    str(record[name] or "-") for name in ("state", "custom_name", "uri", "audio", "sha256")
                ]
                stdout.write("  ".join(shortened(part, 200) for part in parts) + "\n")
            if stdout.error is not None:
                break
    return _written(stdout)


@journal.command
async def superseded(file: Path, /, *, json: Flag = False) -> int:
    """List the voices that a later upload replaced: name, uri, the later uri, and audio.

    The later one has the same model and name, or is the same recording with another text. Nothing is deleted:
    check that a voice is not wanted, pass its uri to `siliconflow-voice delete`, and to `journal forget`.

    For example:

        siliconflow-voice journal superseded voices.journal

    Parameters
    ----------
    file
        The journal, such as voices.journal.
    json
        Print one JSON object per voice, for programs (default: off).
    """
    stdout = Stdout()
    async with _existing(file) as opened:
        async for record in opened.superseded():
            if json:
                stdout.event("superseded", **record)
            else:
                parts = [str(record[name]) for name in ("custom_name", "uri", "superseded_by", "audio")]
                stdout.write("  ".join(shortened(part, 200) for part in parts) + "\n")
            if stdout.error is not None:
                break
    return _written(stdout)


@journal.command
async def export(file: Path, target: Path, /) -> int:
    """Write all uploads of a journal to a .csv or .jsonl file.

    For example:

        siliconflow-voice journal export voices.journal journal.csv

    Parameters
    ----------
    file
        The journal, such as voices.journal.
    target
        The file to write; one that exists is replaced.
    """
    stdout = Stdout()
    async with _existing(file) as opened:
        try:
            count = await opened.export(target)
        except OSError as error:
            raise SiliconFlowError(
                translated("{file} can't be written: {reason}", file=target, reason=error.strerror or error)
            ) from error
    line = translated("{count:,} uploads are in {file}", count=count, file=shortened(str(target)))
    stdout.write(f"{line}\n")
    return _written(stdout)


@journal.command
async def decide(
    file: Path, /, *, sha256: str, name: str, uri: str | None = None, absent: Flag = False
) -> int:
    """Record what became of an upload that is unknown, where no list can show it.

    For example:

        siliconflow-voice journal decide voices.journal --sha256 SHA256 --name dream --uri speech:dream:a:b
        siliconflow-voice journal decide voices.journal --sha256 SHA256 --name dream --absent

    Exit status: 0 recorded; 1 the journal has no such upload.

    Parameters
    ----------
    file
        The journal, such as voices.journal.
    sha256
        Of the upload's audio, as `journal records` shows it.
    name
        The upload's custom_name.
    uri
        The voice that it has.
    absent
        It has no voice, and is to be sent again (default: off).
    """
    if (uri is None) is not absent:
        raise ConfigurationError(translated("Pass either --uri, for the voice that it has, or --absent"))
    async with _existing(file) as opened:
        return _told(await opened.decide(sha256=sha256, custom_name=name, uri=uri))


@journal.command
async def forget(file: Path, uri: str, /) -> int:
    """Forget a voice that was deleted: the next run sends its upload again.

    For example:

        siliconflow-voice journal forget voices.journal speech:narrator:account:token

    Exit status: 0 forgotten; 1 the journal has no such voice.

    Parameters
    ----------
    file
        The journal, such as voices.journal.
    uri
        The voice's uri.
    """
    async with _existing(file) as opened:
        return _told(await opened.forget(uri))


def _existing(path: Path) -> Journal:
    """Return a journal that is there: opening another would create it."""
    if not path.is_file():
        raise ConfigurationError(
            translated("There is no journal {file}: pass the file that a run wrote", file=path)
        )
    return Journal(path)


def _told(found: bool) -> int:  # noqa: FBT001 - the answer of the journal
    stdout = Stdout()
    line = translated("Recorded" if found else "The journal has no such upload; nothing was changed")
    stdout.write(f"{line}\n")
    return max(ALL_DONE if found else SOME_FAILED, _written(stdout))


def _written(stdout: Stdout) -> int:
    stdout.finish()
    return ALL_DONE

"""The commands ``upload``, ``list`` and ``delete``: the account's voices, one by one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from attrs import asdict
from cyclopts import Parameter
from rich import box
from rich.table import Table

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.cli.activity import Activity
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED, STOPPED
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Connection, Flag
from siliconflow_voice.cli.terminal import Stdout, escaped, is_watched, print_error, shortened
from siliconflow_voice.cli.texts import text_of
from siliconflow_voice.cli.wording import told
from siliconflow_voice.errors import (
    AmbiguousUploadError,
    BadRequestError,
    ConfigurationError,
)
from siliconflow_voice.models import Voice
from siliconflow_voice.signals import default_interrupt
from siliconflow_voice.uploads.values import DEFAULT_MODEL

__all__ = ["delete", "list_voices", "upload"]

_CONNECTION = Connection()


async def upload(
    file: Path,
    /,
    *,
    name: str,
    text: str | None = None,
    text_file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    model: str = DEFAULT_MODEL,
    encoding: Encoding = "multipart",
    ensure: Flag = False,
    json: Flag = False,
    connection: Connection = _CONNECTION,
) -> int:
    """Upload a recording, and print the uri of the voice made from it.

    If the answer is lost, the voice is looked for in the account's list before anything is sent again.

    For example:

        siliconflow-voice upload narrator.mp3 --name narrator --text '慢工出细活，再给我两分钟'
        siliconflow-voice upload narrator.mp3 --name narrator --text-file narrator.txt --ensure
        uri=$(siliconflow-voice upload narrator.mp3 --name narrator --text-file narrator.txt)

    Exit status: 0 uploaded; 2 invalid usage, or a recording that would be refused: nothing was sent; 3 it
    failed.

    Parameters
    ----------
    file
        The recording: mp3, wav, opus or pcm; under 30 s, ideally 8 to 10 s.
    name
        The voice's name: letters, digits, `_` and `-`, at most 64.
    text
        What is spoken in the recording, word for word.
    text_file
        Read the text from this file, in UTF-8, or with - from standard input.
    model
        The model that will speak with the voice.
    encoding
        How the audio is sent.
    ensure
        If the account has a voice with this model, name and text, print its uri and upload nothing (default:
        off).
    json
        Print one JSON object, for programs (default: off).
    connection
        How the service is reached.
    """
    stdout, activity = Stdout(), Activity()
    spoken = text_of(text, text_file)
    async with connection.client(on_event=activity.event) as client:
        send = client.ensure_voice if ensure else client.upload_voice
        try:
            with activity.showing(translated("Uploading {file}", file=file.name), bar=True):
                voice = await send(
                    file,
                    custom_name=name,
                    text=spoken,
                    model=model,
                    encoding=encoding,
                    progress=activity.sent,
                )
        except AmbiguousUploadError as error:
            print_error(f"{error.summary.rstrip('.')}. {_look_for(name)}")
            return STOPPED
        except asyncio.CancelledError as cancelled:
            if hasattr(cancelled, "__notes__"):  # all was sent
                stored = translated("All was sent, and the voice may have been stored.")
                print_error(f"{stored} {_look_for(name)}")
            raise
    if json:
        stdout.event("voice", **_fields(voice), status=_status(voice))
    else:
        if voice.recovered:
            print_error(translated("The answer was lost; the voice was found in the account's list."))
        stdout.write(f"{escaped(voice.uri)}\n")
    stdout.finish()
    return ALL_DONE


async def list_voices(
    *,
    name: str | None = None,
    model: str | None = None,
    json: Flag = False,
    connection: Connection = _CONNECTION,
) -> int:
    """List the account's own voices: uri, name, model and text.

    In a terminal as a table; elsewhere a line per voice, its cells separated by tabs.

    For example:

        siliconflow-voice list
        siliconflow-voice list --name 'test-*'
        siliconflow-voice list --name 'test-*' | cut -f 1 | xargs siliconflow-voice delete --yes

    Parameters
    ----------
    name
        Only voices with such a name; `*` stands for any text, and `?` for any letter (default: all).
    model
        Only voices of this model (default: all).
    json
        Print one JSON object per voice, for programs (default: off).
    connection
        How the service is reached.
    """
    stdout, activity = Stdout(), Activity()
    async with connection.client(on_event=activity.event) as client:
        with activity.showing(translated("Listing voices")):
            voices = await client.list_voices()
    chosen = [voice for voice in voices if _matches(voice, name, model)]
    if json:
        for voice in chosen:
            stdout.event("voice", **_fields(voice))
        stdout.finish()
        return ALL_DONE
    console = stdout.console()
    if is_watched(console):
        if chosen:
            console.print(_table(chosen))
        count = len(chosen)
        found = translated("{count:,} voice" if count == 1 else "{count:,} voices", count=count)
        console.print(found, style="dim")
    else:
        for voice in chosen:
            cells = (voice.uri, voice.custom_name, voice.model, voice.text)
            stdout.write("\t".join(map(escaped, cells)) + "\n")
    stdout.finish()
    return ALL_DONE


async def delete(
    uris: Annotated[list[str], Parameter(name="URI")],
    /,
    *,
    yes: Flag = False,
    json: Flag = False,
    connection: Connection = _CONNECTION,
) -> int:
    """Delete voices of the account, by their uris. A voice that was deleted can't be restored.

    In a terminal it asks before it deletes; elsewhere --yes is required.

    For example:

        siliconflow-voice delete speech:narrator:account:token
        siliconflow-voice delete --yes speech:narrator:account:token speech:dream:account:token

    Exit status: 0 all deleted; 1 at least one was not, such as one that does not exist; 2 invalid usage:
    nothing was deleted; 3 stopped early by an error that would hit every voice.

    Parameters
    ----------
    uris
        The voices, each by its uri, which begins with `speech:`.
    yes
        Delete without asking (default: off).
    json
        Print one JSON object per voice, for programs (default: off).
    connection
        How the service is reached.
    """
    wanted = [*dict.fromkeys(uris)]
    for uri in wanted:
        if not uri.startswith("speech:"):
            raise ConfigurationError(
                translated(
                    "{uri} is not the uri of a voice, which begins with speech:; find it with: "
                    "siliconflow-voice list",
                    uri=shortened(repr(uri), 80),
                )
            )
    if not yes and not _confirmed(wanted):
        print_error(translated("Nothing was deleted."))
        return SOME_FAILED
    stdout, activity, refused = Stdout(), Activity(), False
    async with connection.client(on_event=activity.event) as client:
        for uri in wanted:
            problem = None
            with activity.showing(translated("Deleting {uri}", uri=uri)):
                try:
                    await client.delete_voice(uri)
                except BadRequestError as error:
                    problem, refused = told(error), True
            if json:
                stdout.event("deletion", uri=uri, deleted=problem is None, error=problem)
            elif problem is None:
                stdout.write(translated("Deleted {uri}", uri=escaped(uri)) + "\n")
            else:
                print_error(f"{uri}: {problem}")
            stdout.finish()
    return SOME_FAILED if refused else ALL_DONE


def _confirmed(uris: Sequence[str]) -> bool:
    """Return whether the terminal's user wants these deleted.

    Raises:
        ConfigurationError: Standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(
            translated("Nothing was deleted, since there is no terminal to ask in: pass --yes to delete")
        )
    for uri in uris:
        sys.stderr.write(f"  {escaped(uri)}\n")
    count = len(uris)
    question = translated(
        "Delete this voice for good? [y/N] "
        if count == 1
        else "Delete these {count:,} voices for good? [y/N] ",
        count=count,
    )
    sys.stderr.write(question)
    sys.stderr.flush()
    with default_interrupt():
        return sys.stdin.readline().strip().lower() in {"y", "yes", "是"}


def _matches(voice: Voice, name: str | None, model: str | None) -> bool:
    return (name is None or fnmatchcase(voice.custom_name, name)) and model in {None, voice.model}


def _table(voices: Sequence[Voice]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # A uri that is cut can't be copied: the text is what makes room.
    table.add_column(translated("name"), no_wrap=True, style="bold")
    table.add_column("uri", no_wrap=True)
    table.add_column(translated("model"), overflow="fold")
    table.add_column(translated("text"))
    for voice in voices:
        cells = (voice.custom_name, voice.uri, voice.model, voice.text)
        table.add_row(*(shortened(cell, 200) for cell in cells))
    return table


def _fields(voice: Voice) -> dict[str, Any]:
    return {name: value for name, value in asdict(voice).items() if name not in {"recovered", "attempts"}}


def _status(voice: Voice) -> str:
    if voice.recovered:
        return "recovered"
    return "uploaded" if voice.attempts else "existing"


def _look_for(name: str) -> str:
    command = f"siliconflow-voice list --name {name}"
    return translated("Look for it before you upload it again: {command}", command=command)

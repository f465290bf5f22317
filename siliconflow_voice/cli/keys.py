"""Where a command gets its key from: the environment, a file or a prompt, and never its arguments."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from pathlib import Path

from siliconflow_voice.errors import ConfigurationError

__all__ = ["find_key"]


def find_key(file: Path | None) -> str:
    """Give the key in *file*, or that of the environment, or ask for it if somebody is there.

    Raises:
        ConfigurationError: There is none, or the file can't be read.
    """
    if file is not None:
        key = _read(file)
    else:
        key = os.environ.get("SILICONFLOW_API_KEY") or (_ask() if sys.stdin.isatty() else "")
    if not key:
        raise ConfigurationError(
            f"--api-key-file {file} is empty"
            if file is not None
            else "There is no API key: set SILICONFLOW_API_KEY, or give --api-key-file"
        )
    return key


def _read(file: Path) -> str:
    try:
        # Windows' editor begins a file with a byte order mark.
        return file.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        reason = "it is no text"
    except OSError as error:
        reason = error.strerror or str(error)
    raise ConfigurationError(f"--api-key-file {file} can't be read: {reason}")


def _ask() -> str:
    # asyncio's own handler would wait for the loop, which waits for this.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return getpass.getpass("SiliconFlow API key: ").strip()
    except EOFError:
        sys.stderr.write("\n")  # the prompt's line has not ended
        return ""
    finally:
        signal.signal(signal.SIGINT, before)

"""Options that commands share: flags, counts, and how the service is reached, with which key."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from attrs import frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.signals import default_interrupt
from siliconflow_voice.transport.pasted import MOST_KEY, key_in

__all__ = ["Connection", "Count", "Flag", "MaybeCount", "Several", "find_key"]

_COUNT = Parameter(validator=Number(gte=1))

Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is there or not."""
Several: TypeAlias = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]
"""An option that can be repeated."""
Count: TypeAlias = Annotated[int, _COUNT]
"""A whole number from 1."""
MaybeCount: TypeAlias = Annotated[int | None, _COUNT]
"""A whole number from 1, or nothing."""


@Parameter(name="*", group=Group("Connection", sort_key=9))
@frozen
class Connection:
    """How a command reaches the service."""

    api_key_file: Path | None = None
    """Read the API key from this file, which holds only that (default: SILICONFLOW_API_KEY or a prompt)."""
    base_url: str | None = None
    """Address of the API (default: SILICONFLOW_BASE_URL, or https://api.siliconflow.cn/v1)."""
    proxy: str | None = None
    """Address of an HTTP proxy, such as http://proxy.example:3128 (default: none)."""
    trust_env: Flag = False
    """Use the proxy that HTTPS_PROXY and NO_PROXY name; a password is safer there (default: off)."""

    def client(self, **settings: Any) -> VoiceClient:
        """Return a client with the key, the address and the proxy, and other settings of its own.

        Raises:
            ConfigurationError: There is no key, the key file can't be read, or a setting is invalid.
        """
        return VoiceClient(
            find_key(self.api_key_file),
            base_url=self.base_url,
            proxy=self.proxy,
            trust_env=self.trust_env,
            **settings,
        )


def find_key(file: Path | None) -> str:
    """Return the API key: from *file*, or the environment, or a prompt if standard input is a terminal.

    It is never an argument, since everybody on the machine can read those.

    Raises:
        ConfigurationError: There is none, or the file can't be read.
    """
    if file is not None:
        if key := _read(file):
            return key
        raise ConfigurationError(f"--api-key-file {file} is empty; put the API key into it, and nothing else")
    key = os.environ.get("SILICONFLOW_API_KEY") or (_ask() if sys.stdin.isatty() else "")
    if not key:
        raise ConfigurationError("No API key: set SILICONFLOW_API_KEY, or pass --api-key-file")
    return key


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_KEY + 1)
    except OSError as error:
        raise ConfigurationError(f"--api-key-file {file} can't be read: {error.strerror or error}") from error
    if len(data) > MOST_KEY:
        raise ConfigurationError(
            f"--api-key-file {file} is larger than {MOST_KEY:,} bytes; pass a file that holds only the key"
        )
    key = key_in(data)
    if "\ufffd" in key:
        raise ConfigurationError(f"--api-key-file {file} can't be read: it is not a text file")
    return key


def _ask() -> str:
    with default_interrupt():
        try:
            return getpass.getpass("SiliconFlow API key: ").strip()
        except EOFError:
            sys.stderr.write("\n")  # the prompt's line has not ended
            return ""

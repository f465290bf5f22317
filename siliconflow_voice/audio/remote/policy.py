"""From where recordings may be fetched, and within which bounds: what the one who runs it allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from attrs import Attribute, field, frozen

from siliconflow_voice.audio.remote.address import OBJECTS, WEB, Address
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.validation import at_least_one, kind, positive

__all__ = ["RemoteAudio", "check_address", "refused"]

_ENTRY = re.compile(r"(\*|(\*\.)?[\w-][\w.-]*|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)


def _texts(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return one text, or several, in lower case."""
    try:
        items: list[Any] = [given] if isinstance(given, str) else list(given)
    except TypeError:
        raise ConfigurationError(
            f"RemoteAudio's hosts and schemes must be lists of str, got {type(given).__name__}"
        ) from None
    return tuple(item.strip().lower() if isinstance(item, str) else item for item in items)


def _hosts(given: str | Iterable[str]) -> tuple[str, ...]:
    hosts: tuple[Any, ...] = _texts(given)
    return tuple(_in_ascii(host) if isinstance(host, str) else host for host in hosts)


def _in_ascii(host: str) -> str:
    """Return a name as DNS has it, if it can be written so."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _entries(_instance: object, _attribute: Attribute[Any], hosts: tuple[Any, ...]) -> None:
    for host in hosts:
        if not isinstance(host, str) or not _ENTRY.fullmatch(host):
            raise ConfigurationError(
                f"RemoteAudio.hosts must hold hosts such as example.com, got {host!r:.80}"
            )


def _known(_instance: object, _attribute: Attribute[Any], schemes: tuple[Any, ...]) -> None:
    for scheme in schemes:
        if not isinstance(scheme, str) or not (scheme in WEB or scheme in OBJECTS):
            supported = ", ".join([*WEB, *sorted(OBJECTS)])
            raise ConfigurationError(f"RemoteAudio.schemes must be among {supported}, got {scheme!r:.80}")
        if scheme in OBJECTS and find_spec("fsspec") is None:
            raise ConfigurationError(
                f"{scheme}:// needs fsspec: install siliconflow-voice[fleet], and fsspec's package for it"
            )


def _from_zero(_instance: object, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(
            f"RemoteAudio.{attribute.name} must be a whole number from 0, got {value!r:.80}"
        )


@frozen
class RemoteAudio:
    """The hosts that recordings may be fetched from, and the bounds of a download.

    ::

        remote = RemoteAudio(hosts=["recordings.example.com", "*.oss-cn-hangzhou.aliyuncs.com"])
        source = AudioSource.url("https://recordings.example.com/narrator.mp3", remote=remote)

    Whatever a name leads to, no connection is made to an address of this machine or of a private network,
    unless *private* allows it, and never to a link-local one, where clouds hand out credentials. No proxy is
    used, and neither the API key nor cookies are sent.

    Raises:
        ConfigurationError: A field is invalid, or a scheme needs fsspec and that is not installed.
    """

    hosts: tuple[str, ...] = field(converter=_hosts, validator=_entries)
    """Names or addresses: ``example.com``, ``example.com:8443``, ``*.example.com`` for all names below it,
    ``*`` for all of the internet; for object storage, names of buckets. Without a port, the scheme's own."""
    schemes: tuple[str, ...] = field(default=("https",), converter=_texts, validator=_known)
    """``https``, ``http``, and, with the extra ``fleet`` and what fsspec needs for each, those of object
    storage: ``s3``, ``oss``, ``gs``, ``az``, ``abfs``, ``tos``, ``oci``; ``memory`` in tests."""
    max_redirects: int = field(default=3, validator=_from_zero)
    """Redirects to follow; each must lead to one of the hosts, by one of the schemes. 0 follows none."""
    max_bytes: int = field(default=256 << 20, validator=at_least_one)
    """The largest recording to fetch, in bytes, where :class:`AudioLimits` has no lower limit."""
    timeout: float = field(default=60.0, validator=positive)
    """Seconds that a download may take, its retries included."""
    attempts: int = field(default=3, validator=at_least_one)
    """How often it is tried if the connection breaks or the server fails (5xx, 429, 408)."""
    private: bool = field(default=False, validator=kind(bool))
    """Whether the hosts may be on this machine or in a private network."""


def check_address(address: Address, remote: RemoteAudio, *, redirected_from: Address | None = None) -> None:
    """Refuse an address that is not allowed.

    Raises:
        InvalidUploadError: Of ``audio``, with the rule ``host``.
    """
    where = f"{address.shown}: its"
    if redirected_from is not None:
        where = f"{redirected_from.shown} redirects to {address.shown}, whose"
    if address.scheme not in remote.schemes:
        raise refused(f"{where} scheme is not allowed; RemoteAudio(schemes=…) or --allow-scheme allows it")
    if not any(_matches(host, address) for host in remote.hosts):
        raise refused(f"{where} host is not allowed; RemoteAudio(hosts=…) or --allow-host allows it")


def refused(reason: str) -> InvalidUploadError:
    """Return the error of an address that is not allowed."""
    return InvalidUploadError("audio", reason, rule="host")


def _matches(entry: str, address: Address) -> bool:
    host = f"[{address.host}]" if ":" in address.host else address.host
    name, port = (entry, None) if entry.endswith("]") else _split(entry)
    if port is not None and address.scheme in WEB and port == WEB[address.scheme]:
        port = None
    if port != address.port:
        return False
    return name in {"*", host} or (name.startswith("*.") and host.endswith(name[1:]))


def _split(entry: str) -> tuple[str, int | None]:
    name, colon, port = entry.rpartition(":")
    return (name, int(port)) if colon else (entry, None)

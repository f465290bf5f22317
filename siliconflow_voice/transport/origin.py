"""The address that requests go to and the key they carry: checked once, before anything is sent."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import NoReturn

from attrs import frozen
from yarl import URL

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.transport.pasted import address_in, key_in

__all__ = ["LOCALHOST", "Origin", "Secret", "base_url", "check_encrypted", "is_loopback", "key"]

LOCALHOST = "localhost"
"""The one name that plain http is accepted for; whether it is this machine, the address decides."""

_DEFAULT = "https://api.siliconflow.cn/v1"
# It is not shown: it might be a key, or have one in it.
_NO_ADDRESS = f"base_url is not an http or https address: pass one such as {_DEFAULT}"

_NAME = re.compile(r"[\w.-]+")


class Secret(str):
    """A string that tracebacks and logs show as ``'***'``, and that can't be pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key can't be pickled: set SILICONFLOW_API_KEY in the other process")


@frozen
class Origin:
    """An account: one key at one address."""

    key: Secret
    base_url: URL

    @property
    def host(self) -> str:
        """The address's host, for messages."""
        return self.base_url.host or ""


def key(given: object) -> Secret:
    """Return *given*, or ``SILICONFLOW_API_KEY``, as a key.

    Raises:
        ConfigurationError: Neither is set, or it can't be a key.
    """
    found = os.environ.get("SILICONFLOW_API_KEY") if given is None else given
    text = "" if found is None else key_in(found)
    if not text:
        raise ConfigurationError("No API key: pass api_key, or set SILICONFLOW_API_KEY")
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ConfigurationError(
            "The API key has a space, a line break or a character that is not ASCII: copy it again"
        )
    return Secret(text)


def base_url(given: str | URL | None) -> URL:
    """Return *given*, ``SILICONFLOW_BASE_URL``, or the vendor's address.

    Raises:
        ConfigurationError: It is not an http or https address, or has a user, a query or a fragment.
    """
    if isinstance(given, URL):
        given = str(given)
    text = os.environ.get("SILICONFLOW_BASE_URL") or _DEFAULT if given is None else given
    text = address_in(text)
    if re.search(r"\s", text):
        raise ConfigurationError(_NO_ADDRESS)
    try:
        # Twice, since yarl writes some garbage that it doesn't read; and it reads these only when asked for.
        url = URL(str(URL(text)))
        host, user, password, _ = url.host, url.user, url.password, url.port
        if host is not None and ":" in host:
            ipaddress.ip_address(host.partition("%")[0])  # which yarl takes for one by its colons
    except (ValueError, IndexError):
        raise ConfigurationError(_NO_ADDRESS) from None
    if url.scheme not in {"http", "https"} or not host or not (":" in host or _NAME.fullmatch(host)):
        raise ConfigurationError(_NO_ADDRESS)
    if user is not None or password is not None:
        raise ConfigurationError("base_url has a user or a password in it: pass the key as api_key")
    if url.query_string or url.fragment:
        raise ConfigurationError(f"base_url, of {host:.80}, has a query or a fragment: end it with the path")
    return url.with_path(url.raw_path.rstrip("/") or "/", encoded=True)


def check_encrypted(url: URL) -> None:
    """Refuse an address to which the key would go in clear over a network.

    Raises:
        ConfigurationError: It is http, and not loopback.
    """
    host = url.host or ""
    # Of names, this one alone: the session checks where it leads.
    if url.scheme == "http" and host != LOCALHOST and not is_loopback(host):
        raise ConfigurationError(
            f"base_url would send the key to {host:.80} unencrypted: use https, or pass allow_http=True"
        )


def is_loopback(address: str) -> bool:
    """Return whether an address, not a name, is this machine's own."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback

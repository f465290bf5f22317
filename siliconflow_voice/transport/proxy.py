"""The proxy that requests go through: the one that is passed or, with trust_env, the environment's."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

from attrs import field, frozen
from yarl import URL

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.transport.origin import Secret
from siliconflow_voice.transport.pasted import MOST_ADDRESS

__all__ = ["Proxy"]


@frozen
class Proxy:
    """An HTTP proxy. Requests go through a tunnel (CONNECT): it sees neither the key nor the audio."""

    url: URL
    """Without the credentials."""
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    """Headers for the proxy alone: its ``Proxy-Authorization``."""

    @classmethod
    def of(cls, given: object, *, trust_env: bool, target: URL) -> Proxy | None:
        """Return the proxy for requests to *target*, or None.

        Args:
            given: The address that was passed, or None.
            trust_env: Whether ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` count (and on Windows and macOS
                the system's settings). ``~/.netrc`` never does.
            target: The API's address.

        Raises:
            ConfigurationError: The proxy's address is invalid, or the target is http, where a proxy would
                see the key.
        """
        if given is not None:
            proxy = cls._parsed(given, "proxy")
            if target.scheme != "https":
                raise ConfigurationError(
                    "proxy is valid only for https addresses, since over http it would see the key: use https"
                )
            return proxy
        if not trust_env or target.scheme != "https" or proxy_bypass(f"{target.host}:{target.port}"):
            return None
        found = getproxies()
        for name in ("https", "all"):
            if found.get(name):
                return cls._parsed(found[name], f"{name.upper()}_PROXY")
        return None

    @classmethod
    def _parsed(cls, given: object, name: str) -> Proxy:
        """Read an address; it is not shown, since it may have a password in it."""
        if not isinstance(given, str | URL):
            raise ConfigurationError(f"{name} must be str, got {type(given).__name__}")
        text = str(given).strip()
        if len(text) > MOST_ADDRESS:
            raise ConfigurationError(
                f"{name} is {len(text):,} characters long; the limit is {MOST_ADDRESS:,}: "
                f"pass the address alone"
            )
        try:
            url = URL(text if "://" in text else f"http://{text}")
            host, user, password, port = url.host, url.user, url.password, url.port
        except ValueError:
            host, user, password, port, url = None, None, None, None, URL()
        if url.scheme not in {"http", "https"}:
            raise ConfigurationError(f"{name} must be an http proxy, got {url.scheme!r:.20}")
        if not host or port is None:
            raise ConfigurationError(f"{name} is invalid: pass an address such as http://proxy.example:3128")
        headers: dict[str, str] = {}
        if user is not None or password is not None:
            login = base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()
            headers["Proxy-Authorization"] = Secret(f"Basic {login}")
        return cls(url.with_user(None).with_path("/"), headers)

"""The address of a recording: checked as it is made, and shown without what may be secret in it."""

from __future__ import annotations

import ipaddress
import re

from attrs import field, frozen
from yarl import URL

from siliconflow_voice.audio.wording import one_line
from siliconflow_voice.errors import InvalidUploadError

__all__ = ["OBJECTS", "WEB", "Address"]

WEB = {"http": 80, "https": 443}
"""Schemes that are fetched by HTTP, with their ports."""
OBJECTS = frozenset({"abfs", "az", "gcs", "gs", "memory", "oci", "oss", "s3", "s3a", "tos"})
"""Schemes of fsspec whose host is a bucket, and never a machine, a folder or another scheme."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_LOCAL = ("file:", "local:", "dir:")
_EXPECTED = "expected one such as https://example.com/narrator.mp3"


@frozen
class Address:
    """Where a recording is. Its query may hold a signature: it is in no repr and no message."""

    scheme: str
    host: str
    """In lower case and ASCII; of an object, its bucket."""
    port: int | None
    """None for the scheme's own."""
    shown: str
    """As messages call it: without the query."""
    url: URL = field(repr=False)
    """Where to fetch it over HTTP."""
    key: str = field(repr=False)
    """The path of an object, its bucket included."""

    @classmethod
    def of(cls, text: object) -> Address:
        """Read an address.

        Raises:
            InvalidUploadError: Of ``audio``, with the rule ``address``: it is not one, it is one of this
                disk, or it has a user or a password in it.
        """
        if not isinstance(text, str):
            raise _refusal(f"{_EXPECTED}, not {type(text).__name__}")
        text = text.strip()
        if text.lower().startswith(_LOCAL):
            raise _refusal("an address of this machine's own disk: pass the path in it")
        found = _SCHEME.match(text)
        if found is None:
            # What stands before it is not shown: it may be anything.
            what = "a chain of file systems (::)" if "::" in text else "not an address"
            raise _refusal(f"{what}; {_EXPECTED}")
        scheme = found[1].lower()
        if scheme in WEB:
            return cls._of_web(scheme, _parsed(text))
        key = text[found.end() :]
        bucket = key.partition("/")[0].partition("?")[0]
        if "@" in bucket:
            raise _credentials()
        if not bucket or not key.partition("/")[2]:
            raise _refusal(f"{_shown(scheme, bucket, '')} names no object; {_EXPECTED}")
        path = key.partition("/")[2].partition("?")[0]
        return cls(scheme, bucket, None, _shown(scheme, bucket, f"/{path}"), URL(), key)

    @classmethod
    def _of_web(cls, scheme: str, url: URL) -> Address:
        host = (url.raw_host or "").lower().rstrip(".")
        if not (":" in host or _HOST.fullmatch(host)):
            raise _refusal(f"not an address; {_EXPECTED}")
        port = None if url.explicit_port == WEB[scheme] else url.explicit_port
        name = f"[{host}]" if ":" in host else host
        shown = _shown(scheme, name if port is None else f"{name}:{port}", url.path)
        return cls(scheme, host, port, shown, url.with_fragment(None), "")

    @property
    def authority(self) -> str:
        """The host, with the port if that is not the scheme's own."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port is None else f"{name}:{self.port}"

    def join(self, location: str) -> Address:
        """Return where a redirect from here leads.

        Raises:
            InvalidUploadError: As of :meth:`of`.
        """
        url = self.url.join(_parsed(location))
        if url.scheme not in WEB:
            raise _refusal(f"{self.shown} redirects to what is not an address of the web")
        return Address._of_web(url.scheme, url)


def _parsed(text: str) -> URL:
    """Parse an address as it is, since a signature may cover how it is written; quote only what must be."""
    url: URL | None
    try:
        url = URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)
        host, user, password, _ = url.raw_host or "", url.user, url.password, url.explicit_port
        if ":" in host:
            ipaddress.ip_address(host.partition("%")[0])  # which yarl takes for one by its colons
    except (ValueError, IndexError):
        url = user = password = None
    if url is None:  # not from within: what is raised there would lead to the text
        raise _refusal(f"not an address; {_EXPECTED}")
    if user is not None or password is not None:
        raise _credentials()
    return url


def _shown(scheme: str, host: str, path: str) -> str:
    return one_line(f"{scheme}://{host}{path}")


def _credentials() -> InvalidUploadError:
    return _refusal("an address with a user or a password in it: leave them out, and use one that is signed")


def _refusal(reason: str) -> InvalidUploadError:
    return InvalidUploadError("audio", reason, rule="address")

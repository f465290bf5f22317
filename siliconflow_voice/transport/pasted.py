"""Keys and addresses as people paste them: taken where they have one meaning."""

from __future__ import annotations

import codecs
import re
from typing import Protocol, TypeAlias

from siliconflow_voice.errors import ConfigurationError

__all__ = ["MOST_ADDRESS", "MOST_KEY", "APIKey", "address_in", "key_in"]

MOST_KEY = 4_096
"""Characters, or bytes, of a key and what is around it: keys have some fifty, gateways' tokens a thousand."""
MOST_ADDRESS = 2_048
"""Characters of an address and what is around it."""
_MOST_LAYERS = 16
"""Of quotes and names that are peeled off."""


class _SecretStr(Protocol):
    def get_secret_value(self) -> str: ...


APIKey: TypeAlias = "str | bytes | _SecretStr"
"""What a key may be passed as."""

# Space of any kind, and what has no width: marks of byte order and direction, joiners.
_AROUND = (
    " \t\r\n\v\f\x1a\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\0"
)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "「": "」"}
_BEFORE_KEY = re.compile(
    r"(?:export\s+|set\s+|\$env:)?(?:siliconflow_)?api[_-]?key\s*[=:]\s*|authorization\s*:\s*|bearer(?:\s+|$)",
    re.IGNORECASE,
)
_BEFORE_ADDRESS = re.compile(
    r"(?:export\s+|set\s+|\$env:)?(?:siliconflow_)?base[_-]?url\s*[=:]\s*", re.IGNORECASE
)
_VENDOR = re.compile(r"(https?://)?(api(?:-st)?\.siliconflow\.(?:cn|com))(?::443)?(/.*)?", re.IGNORECASE)
_ENDPOINT = re.compile(
    r"/(?:chat/completions|completions|embeddings|rerank|models|images/generations|video/submit"
    r"|uploads/audio/voice|audio/voice/(?:list|deletions)|audio/(?:speech|transcriptions))/*",
    re.IGNORECASE,
)


def key_in(given: object) -> str:
    """Return the key in what was passed: a string, bytes, or an object with ``get_secret_value()``.

    Quotes, space and line breaks around it, ``Bearer`` and ``SILICONFLOW_API_KEY=`` before it are left out.

    Raises:
        ConfigurationError: It is of another kind, or longer than 4,096 characters.
    """
    reveal = getattr(given, "get_secret_value", None)
    if callable(reveal):
        given = reveal()
    if isinstance(given, str | bytes | bytearray) and len(given) > MOST_KEY:
        raise ConfigurationError(
            f"api_key is {len(given):,} characters long; the limit is {MOST_KEY:,}: pass the key alone"
        )
    if isinstance(given, bytes | bytearray):
        given = _decoded(bytes(given))
    if not isinstance(given, str):
        raise ConfigurationError(f"api_key must be str, bytes or a SecretStr, got {type(given).__name__}")
    return _without(given, _BEFORE_KEY)


def address_in(given: object) -> str:
    """Return the address in what was passed.

    Quotes, space and line breaks around it are left out, as is the path of an endpoint behind it. Where the
    host is the vendor's, ``https://`` and ``/v1`` are filled in.

    Raises:
        ConfigurationError: It is not a string, or longer than 2,048 characters.
    """
    if not isinstance(given, str):
        raise ConfigurationError(f"base_url must be str, got {type(given).__name__}")
    if len(given) > MOST_ADDRESS:
        raise ConfigurationError(
            f"base_url is {len(given):,} characters long; the limit is {MOST_ADDRESS:,}: "
            f"pass the address alone"
        )
    text = _without(given, _BEFORE_ADDRESS)
    endpoint = _ENDPOINT.search(text)
    if endpoint is not None and endpoint.end() == len(text):
        text = text[: endpoint.start()]
    vendor = _VENDOR.fullmatch(text)
    if vendor is None:
        return text
    scheme, host, path = vendor.groups()
    return f"{scheme or 'https://'}{host}{path if path and path.strip('/') else '/v1'}"


def _without(text: str, before: re.Pattern[str]) -> str:
    """Peel off what stands around, in whatever order it does."""
    for _ in range(_MOST_LAYERS):
        peeled = text.strip(_AROUND)
        if len(peeled) > 1 and _QUOTES.get(peeled[0]) == peeled[-1]:
            peeled = peeled[1:-1]
        if match := before.match(peeled):
            peeled = peeled[match.end() :]
        if peeled == text:
            break
        text = peeled
    return text


def _decoded(data: bytes) -> str:
    """Decode a key file's bytes: Windows' editors and shells write UTF-16, with a mark in front."""
    # What can't be decoded is replaced, and refused for that: an error of the codec would show it.
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8", "replace")

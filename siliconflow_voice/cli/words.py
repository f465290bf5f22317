"""Numbers as people write them, and texts as they can be shown to them."""

from __future__ import annotations

import re

__all__ = ["UNSHOWABLE", "amount", "brief", "clock", "harmless"]

UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey, what turns the direction of what stands beside it, and what is no character."""


def amount(count: float) -> str:
    """Write bytes as people do."""
    for unit in ("B", "kB", "MB"):
        # What would be rounded to 1000.0 is 1.0 of the next.
        if count < 999.95:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def clock(seconds: float) -> str:
    """Write a duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def harmless(text: str) -> str:
    r"""Show control characters instead of sending them to a terminal: as ``\x1b``, ``\n`` and so on."""
    return UNSHOWABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def brief(text: str, most: int = 400) -> str:
    """Cut a text that nobody would read to its end, and show the rest harmlessly."""
    return harmless(text if len(text) <= most else f"{text[: most - 1]}…")

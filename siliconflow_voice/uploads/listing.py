"""The account's list as an operation: parsed while it arrives, keeping only the voices that are asked for."""

from __future__ import annotations

from collections.abc import Callable

from siliconflow_voice.api import requests
from siliconflow_voice.api.answers import Answer
from siliconflow_voice.api.responses import parse_voices
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.calls.operation import Operation
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Voice

__all__ = ["Listing", "everything"]


def everything(_voice: Voice) -> bool:
    """Return True: every voice is kept."""
    return True


class Listing(Operation[list[Voice]]):
    """One listing of an account.

    Args:
        keep: Called with each voice, again in each attempt; returns whether to keep it.
        most: The largest answer to accept, in bytes.
    """

    def __init__(self, keep: Callable[[Voice], bool], most: int) -> None:
        super().__init__(requests.list_voices(most), self._parse, "the account")
        self._keep = keep
        self._voices = VoiceList(keep)

    def voices(self) -> VoiceList:
        self._voices = VoiceList(self._keep)
        return self._voices

    def _parse(self, answer: Answer) -> list[Voice] | SiliconFlowError:
        return parse_voices(answer, self._voices) or self._voices.voices

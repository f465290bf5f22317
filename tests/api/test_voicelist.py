"""A long list of voices, read as it comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.api import voicelist
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.models import Voice

ENTRY = {"model": "m", "customName": "narrator", "text": "慢工出细活", "uri": "speech:narrator:a:b"}
VOICE = Voice("speech:narrator:a:b", "m", "narrator", "慢工出细活")
WRAPPINGS = [
    "%s",
    '{"results": %s}',
    '{"result": %s}',
    '{"data": %s}',
    '{"code": 20000, "message": "OK", "data": {"result": %s}, "total": 3}',
    '{"data": {"results": %s}}',
    '{"results": null, "result": %s}',
    '{"warnings": [1, 2], "result": %s}',
]


def everything(_voice: Voice) -> bool:
    return True


def fed(document: bytes, size: int = 7) -> VoiceList:
    voices = VoiceList(everything)
    for start in range(0, len(document), size):
        voices.feed(document[start : start + size])
    voices.end()
    return voices


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_list_in_pieces_is_read_from_each_wrapping(wrapping: str, count: int, size: int) -> None:
    voices = fed((wrapping % json.dumps([ENTRY] * count)).encode(), size)
    assert (voices.wrong, voices.voices) == (None, [VOICE] * count)


@given(st.lists(st.integers(1, 40)), st.booleans())
def test_wherever_it_is_cut_the_list_is_the_same(cuts: list[int], ascii_only: bool) -> None:
    document = json.dumps({"result": [ENTRY] * 4}, ensure_ascii=ascii_only).encode()
    voices = VoiceList(everything)
    for cut in cuts:
        voices.feed(document[:cut])
        document = document[cut:]
    voices.feed(document)
    voices.end()
    assert (voices.wrong, voices.voices) == (None, [VOICE] * 4)


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ("", "has an unknown shape"),
        ("{}", "has an unknown shape"),
        ("7", "has an unknown shape"),
        ('{"voices": [1]}', "has an unknown shape"),
        ("<html>", "has an unknown shape"),
        ('{"result": [', "not JSON"),
        ('{"result": []', "not JSON"),
        ('{"result": [{"uri": "speech:a"} {', "not JSON"),
        ('{"result": [{"uri": "speech:\\ud8"}]}', "not JSON"),
        ('{"result": [7]}', "an entry that is not a voice"),
        ('{"result": [7, {"uri": "speech:a"}]}', "an entry that is not a voice"),
        # More digits than Python makes an integer of: ijson's C backend crashed at it.
        ('{"result": [{"uri": "speech:a", "x": %s}]}' % ("9" * 6000), "not JSON"),
        ("[%s]" % ("9" * 6000), "not JSON"),
        ('{"result": [{"uri": "speech:a"}, {"uri": 7}]}', "an entry that is not a voice"),
        ('{"result": [{"uri": "speech:a", "text": 7}]}', "an entry that is not a voice"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(document: str, wrong: str) -> None:
    voices = fed(document.encode())
    assert voices.wrong is not None
    assert wrong in voices.wrong


def test_bytes_that_are_not_utf_8_are_not_json() -> None:
    assert fed(b'{"result": [{"uri": "speech:\xff"}]}').wrong == "the answer is not JSON"


def test_a_document_without_a_list_is_not_read_to_its_end() -> None:
    voices = VoiceList(everything)
    voices.feed(b"{")
    for _ in range(200):
        voices.feed(b'"a": 1,' * 100)
    assert voices.wrong == "the list of voices has an unknown shape"


def test_only_what_is_asked_for_is_kept() -> None:
    seen: list[str] = []

    def keep(voice: Voice) -> bool:
        seen.append(voice.uri)
        return voice.custom_name == "b"

    voices = VoiceList(keep)
    entries: list[Any] = [{"uri": f"speech:{name}", "customName": name} for name in "abc"]
    voices.feed(json.dumps(entries).encode())
    voices.end()
    assert seen == ["speech:a", "speech:b", "speech:c"]
    assert [voice.uri for voice in voices.voices] == ["speech:b"]


def test_a_list_of_too_many_voices_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voicelist, "MOST_VOICES", 2)
    voices = fed(json.dumps([ENTRY] * 3).encode())
    assert (voices.wrong, len(voices.voices)) == ("the list has more than 2 voices", 2)

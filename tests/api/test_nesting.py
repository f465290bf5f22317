"""How deep a document is, told without parsing it, however it is cut into pieces."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.api.nesting import Nesting

TEXTS = st.text(st.sampled_from('[]{}"\\a慢'), max_size=6)
DOCUMENTS = st.recursive(
    TEXTS | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


def depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
        case _:
            return 0


@given(DOCUMENTS, st.booleans(), st.integers(1, 40))
def test_it_is_the_depth_of_what_is_parsed(document: Any, ascii_only: bool, step: int) -> None:
    document = [document]
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    pieces = [data[start : start + step] for start in range(0, len(data), step)]

    def exceeds(most: int) -> bool:
        nesting = Nesting()
        return any(nesting.exceeds(most, piece) for piece in pieces)

    assert (exceeds(depth(document) - 1), exceeds(depth(document))) == (True, False)

"""What is kept for ever is small, bounded, and not what was said.

Then: model, name and text of each upload whose answer was lost, 502 bytes each, without a bound.
"""

from __future__ import annotations

import gc
import tracemalloc

from support.recordings import TEXT

from siliconflow_voice import AmbiguousUploadError, Voice
from siliconflow_voice.uploads import recovery
from siliconflow_voice.uploads.recovery import KnownVoices


def lose(known: KnownVoices, numbers: range) -> None:
    for number in numbers:
        known.lose(Voice("", "model", f"narrator-{number}", TEXT * 10))


def test_lost_uploads_are_kept_as_digests_up_to_a_number() -> None:
    known = KnownVoices()
    lose(known, range(1))
    tracemalloc.start()
    lose(known, range(recovery._MOST_LOST * 2))
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < recovery._MOST_LOST * 200
    assert len(known._lost) == recovery._MOST_LOST
    assert not any(TEXT.encode() in digest for digest in known._lost)


async def test_one_that_was_lost_again_is_the_latest_and_still_a_rival() -> None:
    known = KnownVoices()
    lose(known, range(recovery._MOST_LOST))
    lose(known, range(1))
    lose(known, range(recovery._MOST_LOST, recovery._MOST_LOST + 1))
    wanted = Voice("", "model", "narrator-0", TEXT * 10)

    async def listed(_until: object, _keep: object) -> list[Voice]:
        return [Voice("speech:a", wanted.model, wanted.custom_name, wanted.text)]

    with known.uploading(wanted):
        found = await known.find(wanted, listed, until=None)
    assert isinstance(found, AmbiguousUploadError)
    assert recovery._digest(("model", "narrator-1", TEXT * 10)) not in known._lost

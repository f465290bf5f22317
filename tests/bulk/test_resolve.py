from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journals import entry

from siliconflow_voice.bulk.resume import Listed, Resumption, old_ones, resolve
from siliconflow_voice.bulk.store import Entry, Record
from siliconflow_voice.models import Voice


def open_record(upload: Entry) -> Record:
    return Record(
        upload.key,
        "unknown",
        upload.audio,
        upload.sha256,
        upload.model,
        upload.custom_name,
        upload.text,
        None,
        None,
        None,
        0,
        0.0,
    )


def voice_of(upload: Entry, uri: str = "speech:a") -> Voice:
    return Voice(uri, upload.model, upload.custom_name, upload.text)


ONE, TWIN, OTHER = entry(0), entry(1, custom_name="narrator-0"), entry(2)


def test_one_voice_of_one_upload_is_its_own() -> None:
    voice = voice_of(ONE)
    assert resolve([open_record(ONE)], [voice]) == Resumption({ONE.key: voice}, frozenset(), {})


@pytest.mark.parametrize("ends", ["", " ", "\n"])
def test_whether_the_service_keeps_the_ends_of_a_text_does_not_matter(ends: str) -> None:
    upload = entry(text=f"{ends}words")
    assert set(resolve([open_record(upload)], [voice_of(entry(text=f"words{ends}"))]).found) == {upload.key}


@pytest.mark.parametrize("change", [{"model": "other"}, {"custom_name": "other"}, {"text": "other"}])
def test_a_voice_of_another_model_name_or_text_is_not(change: dict[str, str]) -> None:
    voice = voice_of(entry(0, **change))
    assert resolve([open_record(ONE)], [voice]) == Resumption({}, frozenset({ONE.key}), {})


def test_of_two_that_are_alike_none_is_taken_for_the_one_voice() -> None:
    voice = voice_of(ONE)
    assert resolve([open_record(ONE), open_record(TWIN)], [voice]) == Resumption(
        {}, frozenset(), {ONE.key: (voice,), TWIN.key: (voice,)}
    )


def test_nor_for_one_of_two() -> None:
    voices = voice_of(ONE, "speech:a"), voice_of(ONE, "speech:b")
    assert resolve([open_record(ONE), open_record(TWIN)], voices) == Resumption(
        {}, frozenset(), {ONE.key: voices, TWIN.key: voices}
    )


def test_one_with_two_voices_has_neither() -> None:
    voices = voice_of(ONE, "speech:a"), voice_of(ONE, "speech:b")
    assert resolve([open_record(ONE)], voices) == Resumption({}, frozenset(), {ONE.key: voices})


def test_two_that_are_alike_and_have_no_voice_are_both_absent() -> None:
    assert resolve([open_record(ONE), open_record(TWIN)], [voice_of(OTHER)]) == Resumption(
        {}, frozenset({ONE.key, TWIN.key}), {}
    )


def test_without_uploads_voices_say_nothing() -> None:
    assert resolve([], [voice_of(ONE)]) == Resumption({}, frozenset(), {})


names = st.sampled_from(["a", "b", "c"])
texts = st.sampled_from(["x", "y", " x"])
unknown_entries = st.lists(
    st.builds(
        lambda number, name, text: entry(number, custom_name=name, text=text), st.integers(0, 9), names, texts
    ),
    unique_by=lambda upload: upload.key,
    max_size=8,
)
candidate_voices = st.lists(st.tuples(names, texts), max_size=8).map(
    lambda pairs: [Voice(f"speech:{at}", entry().model, *pair) for at, pair in enumerate(pairs)]
)


@given(unknown_entries, candidate_voices)
def test_nothing_is_guessed(uploads: list[Entry], voices: list[Voice]) -> None:
    def alike(upload: Entry) -> list[Voice]:
        likeness = upload.custom_name, upload.text.strip()
        return [voice for voice in voices if (voice.custom_name, voice.text.strip()) == likeness]

    told = resolve([open_record(upload) for upload in uploads], voices)
    by_key = {upload.key: upload for upload in uploads}
    assert set(told.found) | told.absent | set(told.ambiguous) == set(by_key)
    assert len(told.found) + len(told.absent) + len(told.ambiguous) == len(by_key)
    assert all([voice] == alike(by_key[key]) for key, voice in told.found.items())
    assert not any(alike(by_key[key]) for key in told.absent)
    assert all(list(candidates) == alike(by_key[key]) for key, candidates in told.ambiguous.items())
    taken = [voice.uri for voice in told.found.values()]
    assert len(set(taken)) == len(taken)
    assert not {voice.uri for candidates in told.ambiguous.values() for voice in candidates} & set(taken)


def listed(uris: set[str]) -> Listed:
    account = Listed(frozenset(["narrator-0"]))
    for uri in uris:
        assert account.keep(voice_of(ONE, uri))
        assert not account.keep(voice_of(OTHER, uri))
    return account


@given(st.sets(st.text()), st.sets(st.text()), st.sets(st.text()))
def test_what_was_there_before_is_known_by_its_uri(before: set[str], others: set[str], but: set[str]) -> None:
    assert old_ones(listed(before).before(but), before | others | but) == before - but


@given(st.sets(st.text()))
def test_it_takes_eight_bytes_each(uris: set[str]) -> None:
    account = listed(uris)
    assert (len(account.before([])), list(account.known)) == (
        2 * 8 * len(uris),
        [hash(uri) for uri in uris for _ in range(2)],
    )


@given(st.sets(st.text()))
def test_of_a_journal_without_a_run_nothing_was(uris: set[str]) -> None:
    assert old_ones(b"", uris) == set()

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice import AudioSource, InvalidUploadError
from siliconflow_voice.audio.remote.address import Address


def refusal(text: Any) -> str:
    with pytest.raises(InvalidUploadError) as caught:
        Address.of(text)
    assert (caught.value.field, caught.value.rule) == ("audio", "address")
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "shown", "fetched"),
    [
        ("https://a.example/b.mp3?sig=s", "https://a.example/b.mp3", "https://a.example/b.mp3?sig=s"),
        (" HTTPS://A.Example./b.mp3#x ", "https://a.example/b.mp3", "https://A.Example./b.mp3"),
        ("https://a.example:443/b", "https://a.example/b", "https://a.example/b"),
        ("http://a.example:8080/b", "http://a.example:8080/b", "http://a.example:8080/b"),
        ("http://[::1]:80/b", "http://[::1]/b", "http://[::1]/b"),
        ("https://例子.example/录音 1.mp3", "https://xn--fsqu00a.example/录音 1.mp3", None),
        ("https://a.example", "https://a.example/", "https://a.example"),
    ],
)
def test_an_address_is_shown_without_its_query(text: str, shown: str, fetched: str | None) -> None:
    address = Address.of(text)
    assert address.shown == shown
    if fetched is not None:
        assert str(address.url) == fetched


def test_what_a_signature_may_cover_is_left_as_it_is() -> None:
    text = "https://a.example/b%2Fc%7E.mp3?X-Amz-Credential=k%2F20260101%2Fus-east-1&x=a+b%20c&y=%7e"
    assert str(Address.of(text).url) == text


def test_what_can_not_be_in_an_address_is_quoted() -> None:
    assert str(Address.of("https://a.example/录 1.mp3?x=音").url) == (
        "https://a.example/%E5%BD%95%201.mp3?x=%E9%9F%B3"
    )


@pytest.mark.parametrize(
    ("text", "host", "key", "shown"),
    [
        ("s3://bucket/folder/a b#1.mp3", "bucket", "bucket/folder/a b#1.mp3", "s3://bucket/folder/a b#1.mp3"),
        ("oss://bucket/a.mp3?versionId=1", "bucket", "bucket/a.mp3?versionId=1", "oss://bucket/a.mp3"),
        ("gs://bucket/a::zip%20", "bucket", "bucket/a::zip%20", "gs://bucket/a::zip%20"),
    ],
)
def test_an_object_has_a_bucket_and_a_key(text: str, host: str, key: str, shown: str) -> None:
    address = Address.of(text)
    assert (address.host, address.key, address.shown) == (host, key, shown)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"https://a.example", "expected one such as https://example.com/narrator.mp3, not bytes"),
        ("", "not an address; expected one such as"),
        ("a.mp3", "not an address; expected one such as"),
        ("https:/a.example/b", "not an address; expected one such as"),
        ("https:///b", "not an address; expected one such as"),
        ("https://exa mple/b", "not an address; expected one such as"),
        ("https://a.example:99999/b", "not an address; expected one such as"),
        ("https://[::x]/b", "not an address; expected one such as"),
        ("https://-/b", "not an address; expected one such as"),
        ("https://%31/b", "not an address; expected one such as"),
        ("file:///etc/passwd", "an address of this machine's own disk: pass the path in it"),
        ("local:///etc/passwd", "an address of this machine's own disk: pass the path in it"),
        ("simplecache::s3://bucket/a.mp3", "a chain of file systems (::); expected one such as"),
        ("s3://bucket", "s3://bucket names no object; expected one such as"),
        ("s3:///a.mp3", "s3:// names no object; expected one such as"),
        ("https://me:secret@a.example/b", "an address with a user or a password in it: leave them out"),
        ("https://secret@a.example/b", "an address with a user or a password in it: leave them out"),
        ("s3://key:secret@bucket/b", "an address with a user or a password in it: leave them out"),
    ],
)
def test_what_is_not_an_address_is_refused(text: Any, reason: str) -> None:
    assert refusal(text).startswith(reason)
    assert "secret" not in refusal(text)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://b.example/c?d=%2F", "https://b.example/c?d=%2F"),
        ("/c?d", "https://a.example:8443/c?d"),
        ("c", "https://a.example:8443/x/c"),
        ("//b.example/c", "https://b.example/c"),
        ("http://b.example/c", "http://b.example/c"),
    ],
)
def test_a_redirect_may_be_relative(location: str, target: str) -> None:
    assert str(Address.of("https://a.example:8443/x/y?z").join(location).url) == target


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "https://a.example/x redirects to what is not an address of the web"),
        ("s3://bucket/a", "https://a.example/x redirects to what is not an address of the web"),
        ("https://me:secret@b.example/", "an address with a user or a password in it"),
        ("https://b.example:x/", "not an address"),
        ("https://\udcff/", "not an address"),
    ],
)
def test_a_redirect_to_anything_but_the_web_is_refused(location: str, reason: str) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        Address.of("https://a.example/x?secret").join(location)
    assert caught.value.reason.startswith(reason)
    assert "secret" not in str(caught.value)


@given(
    st.sampled_from(["", "https://", "http://a@", "s3://", "//", "https://a:", "https://[", "/"]), st.text()
)
def test_any_text_is_an_address_or_refused(front: str, text: str) -> None:
    whole = Address.of("https://a.example/b")
    for read in (Address.of, whole.join):
        try:
            address = read(front + text)
        except InvalidUploadError as error:
            assert error.rule == "address"  # noqa: PT017 - what comes of a text is not known before
        else:
            assert address.host
            assert address.shown.isprintable()


def test_a_query_is_in_no_repr() -> None:
    source = AudioSource.url("https://a.example/b.mp3?X-Amz-Signature=secret")
    assert repr(source) == "UrlSource('https://a.example/b.mp3')"
    assert "secret" not in repr(Address.of("https://a.example/b.mp3?X-Amz-Signature=secret"))
    assert "secret" not in repr(Address.of("oss://bucket/b.mp3?Signature=secret"))

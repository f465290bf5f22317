from __future__ import annotations

from typing import Any

import pytest

from siliconflow_voice import AudioSource, ConfigurationError, InvalidUploadError, RemoteAudio
from siliconflow_voice.audio.remote import policy


def allows(remote: RemoteAudio | None, address: str) -> bool:
    try:
        AudioSource.url(address, remote=remote)
    except InvalidUploadError as error:
        refused = error
    else:
        return True
    assert (refused.field, refused.rule) == ("audio", "host")
    return False


@pytest.mark.parametrize(
    ("hosts", "address", "allowed"),
    [
        ("a.example", "https://a.example/b", True),
        ("A.example", "https://a.EXAMPLE./b", True),
        ("a.example", "https://a.example:443/b", True),
        ("a.example", "https://a.example:8443/b", False),
        ("a.example:8443", "https://a.example:8443/b", True),
        ("a.example:443", "https://a.example/b", True),
        ("a.example:8443", "https://a.example/b", False),
        ("a.example", "https://b.a.example/b", False),
        ("a.example", "https://a.example.b/b", False),
        ("*.a.example", "https://b.a.example/b", True),
        ("*.a.example", "https://c.b.a.example/b", True),
        ("*.a.example", "https://a.example/b", False),
        ("*.a.example", "https://ba.example/b", False),
        ("*.a.example:8443", "https://b.a.example:8443/b", True),
        ("*", "https://b.example/b", True),
        ("*", "https://b.example:8443/b", False),
        ("*:8443", "https://b.example:8443/b", True),
        ("例子.example", "https://例子.example/b", True),
        ("[2606:4700::1]", "https://[2606:4700::1]/b", True),
        ("[2606:4700::1]:8443", "https://[2606:4700::1]:8443/b", True),
        ("[2606:4700::1]", "https://[2606:4700::2]/b", False),
        ((), "https://a.example/b", False),
        (["x", "y"], "https://y/b", True),
    ],
)
def test_a_host_is_allowed_with_its_port(hosts: Any, address: str, allowed: bool) -> None:
    assert allows(RemoteAudio(hosts=hosts), address) == allowed


@pytest.mark.parametrize(
    ("schemes", "address", "allowed"),
    [
        (("https",), "http://a/b", False),
        ("HTTP", "http://a/b", True),
        ("http", "https://a/b", False),
        (("https",), "s3://a/b", False),
        (("https", "s3"), "s3://a/b", True),
        (("s3",), "s3://c/b", False),
    ],
)
def test_a_scheme_is_allowed_by_its_name(schemes: Any, address: str, allowed: bool) -> None:
    assert allows(RemoteAudio(hosts=["a"], schemes=schemes), address) == allowed


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://a.example/b", True),
        ("https://a.example:8443/b", True),
        ("https://[2606:4700::1]:8443/b", True),
        ("http://a.example/b", False),
        ("s3://bucket/b", False),
    ],
)
def test_without_a_word_the_addresss_own_host_is_allowed_by_https(address: str, allowed: bool) -> None:
    assert allows(None, address) == allowed


def test_a_refusal_names_the_option() -> None:
    with pytest.raises(InvalidUploadError) as caught:
        AudioSource.url("https://b.example/c?secret", remote=RemoteAudio(hosts=["a.example"]))
    assert caught.value.reason == (
        "https://b.example/c: its host is not allowed; RemoteAudio(hosts=…) or --allow-host allows it"
    )
    with pytest.raises(InvalidUploadError) as caught:
        AudioSource.url("http://a.example/c")
    assert caught.value.reason == (
        "http://a.example/c: its scheme is not allowed; RemoteAudio(schemes=…) or --allow-scheme allows it"
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "hosts",
            "https://a.example",
            "RemoteAudio.hosts must hold hosts such as example.com, got 'https://a.",
        ),
        (
            "hosts",
            ["a.example/b"],
            "RemoteAudio.hosts must hold hosts such as example.com, got 'a.example/b'",
        ),
        ("hosts", [None], "RemoteAudio.hosts must hold hosts such as example.com, got None"),
        ("hosts", [""], "RemoteAudio.hosts must hold hosts such as example.com, got ''"),
        ("hosts", ["\u0378.\u2603" + "x" * 80], "RemoteAudio.hosts must hold hosts such as example.com, got"),
        ("hosts", None, "RemoteAudio's hosts and schemes must be lists of str, got NoneType"),
        ("schemes", 5, "RemoteAudio's hosts and schemes must be lists of str, got int"),
        ("schemes", "file", "RemoteAudio.schemes must be among http, https, abfs, az, gcs, gs, memory"),
        ("schemes", [["s3"]], "RemoteAudio.schemes must be among http, https, abfs, az, gcs, gs, memory"),
        ("schemes", "simplecache", "RemoteAudio.schemes must be among"),
        ("schemes", "sftp", "RemoteAudio.schemes must be among"),
        ("max_redirects", -1, "RemoteAudio.max_redirects must be a whole number from 0, got -1"),
        ("max_redirects", True, "RemoteAudio.max_redirects must be a whole number from 0, got True"),
        ("max_redirects", None, "RemoteAudio.max_redirects must be a whole number from 0, got None"),
        ("max_bytes", 0, "RemoteAudio.max_bytes must be at least 1, got 0"),
        ("timeout", 0, "RemoteAudio.timeout must be a number above 0, got 0"),
        ("attempts", 0, "RemoteAudio.attempts must be at least 1, got 0"),
        ("private", "yes", "private must be bool, got str"),
    ],
)
def test_a_wrong_field_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RemoteAudio(**{"hosts": ["a.example"]} | {field: value})
    assert str(caught.value).startswith(message)


def test_object_storage_needs_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "find_spec", lambda _: None)
    assert RemoteAudio(hosts=["a.example"]).schemes == ("https",)
    with pytest.raises(ConfigurationError) as caught:
        RemoteAudio(hosts=["bucket"], schemes=["s3"])
    assert str(caught.value) == (
        "s3:// needs fsspec: install siliconflow-voice[fleet], and fsspec's package for it."
    )


def test_the_policy_is_one() -> None:
    wrong: Any = {"hosts": ["a.example"]}
    with pytest.raises(ConfigurationError, match="remote must be RemoteAudio or None, got dict"):
        AudioSource.url("https://a.example/b", remote=wrong)

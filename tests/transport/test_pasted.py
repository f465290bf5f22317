"""Keys and addresses as people paste them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice import ConfigurationError, VoiceClient
from siliconflow_voice.transport.pasted import address_in, key_in

KEY = "sk-test"
CN = "https://api.siliconflow.cn/v1"


class SecretStr:
    """As pydantic has it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def get_secret_value(self) -> object:
        return self._value


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        f" {KEY}",
        f"{KEY}\n",
        f"{KEY}\r\n",
        f"\ufeff{KEY}",
        f"{KEY}\u200b",
        f"\u3000{KEY}\xa0",
        f'"{KEY}"',
        f"'{KEY}'\n",
        f"“{KEY}”",
        f"`{KEY}`",
        f"Bearer {KEY}",
        f"bearer  {KEY}",
        f"Authorization: Bearer {KEY}",
        f'"Bearer {KEY}"',
        f"SILICONFLOW_API_KEY={KEY}",
        f"SILICONFLOW_API_KEY = '{KEY}'",
        f'export SILICONFLOW_API_KEY="{KEY}"\n',
        f'$env:SILICONFLOW_API_KEY="{KEY}"',
        f"set SILICONFLOW_API_KEY={KEY}",
        f"api_key: {KEY}",
        SecretStr(KEY),
        SecretStr(f" {KEY}\n"),
        SecretStr(KEY.encode()),
        KEY.encode(),
        bytearray(KEY.encode()),
        KEY.encode("utf-16"),
        f"{KEY}\r\n".encode("utf-16"),
        b"\xfe\xff" + KEY.encode("utf-16-be"),
        f"{KEY}\r\n".encode("utf-8-sig"),
    ],
)
def test_a_key_is_found_in_what_was_pasted(pasted: object) -> None:
    assert key_in(pasted) == KEY
    assert VoiceClient(pasted)._uploader.settings.api_key == KEY  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize("key", ["sk-a=b", "sk-'x", 'a"b', "x:y", "export", "bearers"])
def test_what_may_belong_to_a_key_stays(key: str) -> None:
    assert key_in(key) == key


@pytest.mark.parametrize(
    "pasted", [5, 5.0, True, ["sk-test"], {"key": "sk-test"}, object(), SecretStr(7), SecretStr(None)]
)
def test_a_key_of_another_kind_is_refused_by_its_kind(pasted: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^api_key must be str, bytes or a SecretStr, got \w+\.$"):
        VoiceClient(pasted)  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize(
    "pasted",
    [
        f"{KEY} {KEY}",
        f"{KEY}\n{KEY}-2",
        f"{KEY}，",
        "sk-tëst",
        b"\xffsk-test",
        KEY.encode("utf-16-le") + b"\xd8",
    ],
)
def test_what_has_no_one_meaning_is_refused_without_being_shown(pasted: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        VoiceClient(pasted)  # type: ignore[arg-type] # on purpose
    assert "sk-t" not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert "API key" in str(caught.value) or "api_key" in str(caught.value)


@pytest.mark.parametrize("pasted", ["", " \n", '""', "Bearer ", "SILICONFLOW_API_KEY="])
def test_a_key_of_nothing_is_none(pasted: str) -> None:
    with pytest.raises(ConfigurationError):
        VoiceClient(pasted)


@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_key_that_is_too_long_is_refused_before_anything_looks_at_it(kind: Callable[[str], object]) -> None:
    assert key_in(kind("k" * 4_096)) == "k" * 4_096
    with pytest.raises(ConfigurationError, match=r"^api_key is 4,097 characters long; the limit is 4,096: "):
        key_in(kind("'" * 4_097))


def test_an_address_that_is_too_long_is_refused_before_anything_looks_at_it() -> None:
    address = f"{CN}/".ljust(2_048, "a")
    assert address_in(address) == address
    with pytest.raises(ConfigurationError, match=r"^base_url is 2,049 characters long; the limit is 2,048: "):
        address_in(f"{address}a")


def test_quotes_around_quotes_are_peeled_off_a_few_times() -> None:
    assert (key_in("'" * 32 + "k"), len(key_in("'" * 34 + "k" + "'" * 34))) == ("'" * 32 + "k", 69 - 32)


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\"'`:=$"), min_size=8)
)
def test_a_key_without_quotes_and_names_is_what_it_is(key: str) -> None:
    assert key_in(key) == key
    assert key_in(f"  SILICONFLOW_API_KEY='{key}'\n") == key


@pytest.mark.parametrize(
    ("pasted", "address"),
    [
        (f"{CN}\n", CN),
        (f" {CN} ", CN),
        (f'"{CN}"', CN),
        (f"SILICONFLOW_BASE_URL={CN}", CN),
        (f"\ufeff{CN}\u200b", CN),
        ("api.siliconflow.cn", CN),
        ("api.siliconflow.cn/v1", CN),
        ("https://api.siliconflow.cn", CN),
        ("https://api.siliconflow.cn/", CN),
        ("https://api.siliconflow.cn:443/v1", CN),
        ("https://API.SiliconFlow.cn/v1/", CN),
        ("https://api.siliconflow.com", "https://api.siliconflow.com/v1"),
        ("https://api-st.siliconflow.cn", "https://api-st.siliconflow.cn/v1"),
        (f"{CN}/chat/completions", CN),
        (f"{CN}/uploads/audio/voice", CN),
        (f"{CN}/audio/voice/list/", CN),
        (f"{CN}/audio/speech", CN),
        ("https://gateway.example/openai/v1/chat/completions", "https://gateway.example/openai/v1"),
        ("https://gateway.example/siliconflow", "https://gateway.example/siliconflow"),
        ("http://127.0.0.1:8000/v1 ", "http://127.0.0.1:8000/v1"),
    ],
)
def test_an_address_is_found_in_what_was_pasted(pasted: str, address: str) -> None:
    assert VoiceClient(KEY, base_url=pasted).base_url == address


@pytest.mark.parametrize(
    "pasted",
    [
        "gateway.example/v1",
        "https//api.siliconflow.cn/v1",
        f"{CN} {CN}",
        "https://api.siliconflow.cn /v1",
        "sk-test",
    ],
)
def test_an_address_without_one_meaning_is_refused(pasted: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        VoiceClient(KEY, base_url=pasted)
    assert "sk-test" not in str(caught.value)


@pytest.mark.parametrize("pasted", [5, b"https://api.siliconflow.cn/v1", ["x"]])
def test_an_address_of_another_kind_is_refused_by_its_kind(pasted: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url must be str, got \w+\.$"):
        VoiceClient(KEY, base_url=pasted)  # type: ignore[arg-type] # on purpose


def test_http_to_the_vendor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        VoiceClient(KEY, base_url="http://api.siliconflow.cn/v1")


def test_a_url_object_is_an_address() -> None:
    assert address_in(CN) == CN

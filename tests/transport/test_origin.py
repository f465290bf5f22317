from __future__ import annotations

import copy
import pickle
import re
import traceback
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.transport import origin
from siliconflow_voice.transport.origin import Secret

KEY = "sk-test"
NO_ADDRESS = "base_url is not an http or https address: pass one such as https://api.siliconflow.cn/v1."


def checked(given: str | None, *, allow_http: bool) -> URL:
    """The address as a client checks it."""
    url = origin.base_url(given)
    if not allow_http:
        origin.check_encrypted(url)
    return url


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SILICONFLOW_API_KEY", raising=False)
    monkeypatch.delenv("SILICONFLOW_BASE_URL", raising=False)


def test_a_key_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", KEY)
    assert origin.key(None) == KEY


def test_a_key_that_is_given_goes_before_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-other")
    assert origin.key(KEY) == KEY


@pytest.mark.parametrize("given", [None, ""])
def test_without_a_key_it_says_where_one_could_be(given: str | None) -> None:
    with pytest.raises(ConfigurationError, match="No API key: pass api_key, or set SILICONFLOW_API_KEY"):
        origin.key(given)


def test_an_empty_key_is_not_replaced_by_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", KEY)
    with pytest.raises(ConfigurationError):
        origin.key("")


@pytest.mark.parametrize("flaw", [" ", "\n", "\r\n", "\t", "\0", "\x7f", "é", "密", "²"])
@pytest.mark.parametrize("place", ["{key}{flaw}{key}", "{key}{flaw}{flaw}x"])
def test_a_key_that_no_header_could_carry_is_refused_and_not_shown(flaw: str, place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        origin.key(place.format(flaw=flaw, key=KEY))
    assert (
        str(caught.value)
        == "The API key has a space, a line break or a character that is not ASCII: copy it again."
    )
    assert KEY not in "".join(traceback.format_exception(caught.value))


@given(st.text(min_size=1))
def test_a_key_is_text_that_a_header_can_carry_or_refused(text: str) -> None:
    try:
        taken = origin.key(text)
    except ConfigurationError:
        assert not re.fullmatch(r"[\w.-]+", text, re.ASCII) or text.lower() == "bearer"
    else:
        assert re.fullmatch(r"[\x21-\x7e]+", taken)
        assert str(taken) in text


@pytest.mark.parametrize(
    "show",
    [
        repr,
        "{!r}".format,
        lambda secret: f"{secret!r}",
        lambda secret: str({"Authorization": secret}),
        lambda secret: repr([secret]),
        lambda secret: repr(CIMultiDict({"Authorization": secret})),
    ],
    ids=["repr", "format", "f-string", "dict", "list", "CIMultiDict"],
)
def test_a_secret_shows_as_nothing(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(KEY))
    assert (KEY in shown, "'***'" in shown) == (False, True)


def test_a_secret_is_sent_as_it_is() -> None:
    assert f"Bearer {Secret(KEY)}" == f"Bearer {KEY}"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match=r"^an API key can't be pickled: "):
        pickle.dumps({"key": Secret(KEY)}, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied_in_passing(duplicate: Callable[[Secret], Secret]) -> None:
    with pytest.raises(TypeError, match=r"^an API key can't be pickled: "):
        duplicate(Secret(KEY))


def test_the_address_is_the_vendors_unless_told() -> None:
    assert URL("https://api.siliconflow.cn/v1") == checked(None, allow_http=False)


def test_an_address_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_BASE_URL", "https://api.siliconflow.com/v1")
    assert URL("https://api.siliconflow.com/v1") == checked(None, allow_http=False)


def test_an_address_that_is_given_empty_is_none() -> None:
    with pytest.raises(ConfigurationError, match="not an http or https address"):
        checked("", allow_http=False)


def test_an_address_that_is_given_goes_before_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_BASE_URL", "https://api.siliconflow.com/v1")
    assert URL("https://x.cn/v1") == checked("https://x.cn/v1", allow_http=False)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://x.cn/v1/", "https://x.cn/v1"),
        ("https://x.cn/v1//", "https://x.cn/v1"),
        ("https://x.cn", "https://x.cn/"),
        ("https://x.cn///", "https://x.cn/"),
        ("HTTPS://X.CN:443/v1", "https://x.cn/v1"),
        ("https://x.cn:8443/v1", "https://x.cn:8443/v1"),
        ("https://x.cn/a%2Fb/v1", "https://x.cn/a%2Fb/v1"),
        ("https://例子.cn/v1", "https://xn--fsqu00a.cn/v1"),
        ("https://[2001:db8::1]/v1", "https://[2001:db8::1]/v1"),
    ],
)
def test_an_address_is_put_in_one_form(given: str, taken: str) -> None:
    assert taken == str(checked(given, allow_http=False))


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8080/v1",
        "http://127.8.8.8/v1",
        "http://[::1]:8080/v1",
        "http://localhost/v1",
        "http://LOCALHOST/v1",
        "http://[::ffff:127.0.0.1]/v1",
    ],
)
def test_http_is_taken_for_this_machine(address: str) -> None:
    assert URL(address) == checked(address, allow_http=False)


@pytest.mark.parametrize(
    "host",
    [
        "x.cn",
        "localhost.cn",
        "notlocalhost",
        "api.localhost",
        "localhost.",
        "127.1",
        "10.0.0.1",
        "[2001:db8::1]",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
    ],
)
def test_http_is_taken_for_another_machine_only_if_allowed(host: str) -> None:
    address = f"http://{host}/v1"
    with pytest.raises(ConfigurationError, match="unencrypted: use https, or pass allow_http=True"):
        checked(address, allow_http=False)
    assert URL(address) == checked(address, allow_http=True)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://x.cn/v1",
        "https://",
        "http://[::o]:80",
        "https:///v1",
        "https:x.cn",
        "/v1",
        "https://x.cn:99999/v1",
        "https://x.cn:a/v1",
        "https://[::1/v1",
        "https://[x]/v1",
        "https://a%2Fb/v1",
        "https://a b/v1",
        " ",
        KEY,
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(text, allow_http=True)
    assert str(caught.value) == NO_ADDRESS


@pytest.mark.parametrize("userinfo", ["user", f"user:{KEY}", f":{KEY}", f"{KEY}:"])
def test_an_address_with_a_user_or_password_is_refused(userinfo: str) -> None:
    with pytest.raises(ConfigurationError, match="has a user or a password in it") as caught:
        checked(f"https://{userinfo}@x.cn/v1", allow_http=True)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("end", [f"?key={KEY}", f"?{KEY}", f"#{KEY}", f"?a=b#{KEY}"])
def test_an_address_with_a_query_or_a_fragment_is_refused(end: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.cn, has a query or a fragment") as caught:
        checked(f"https://x.cn/v1{end}", allow_http=True)
    assert KEY not in "".join(traceback.format_exception(caught.value))


addresses = st.text() | st.builds(
    "{}{}".format,
    st.sampled_from(["https://", "http://", "https:", "https://[", ""]),
    st.text("[]@:/?#%.é例²\\ 01x\n\0") | st.text(),
)


@given(addresses)
@example("https://][]@https@")
@example("https://[::1https..127.0.0.1]")
@example("https://[::1²]/")
@example("https://[:]")
@example("https://%2F%2F.useré")
def test_any_text_is_an_address_that_is_taken_again_or_refused(text: str) -> None:
    try:
        url = checked(text, allow_http=True)
    except ConfigurationError as error:
        assert str(error).startswith("base_url")  # noqa: PT017 - most texts are none
    else:
        assert url == checked(str(url), allow_http=True)


@given(addresses)
def test_no_address_that_is_refused_shows_what_could_be_a_key(text: str) -> None:
    assume(KEY not in text.lower())  # a host is shown, in lower case
    for place in (f"{text}{KEY}@x.cn", f"{KEY}{text}", f"https://x.cn{text}?{KEY}", f"{text}{KEY}"):
        try:
            checked(place, allow_http=True)
        except ConfigurationError as error:
            shown = str(error)
        else:
            shown = ""
        assert KEY not in shown

from __future__ import annotations

import functools
from typing import Any

import pytest
from support.recordings import SPEECH, TEXT

from siliconflow_voice import ConfigurationError, Event, InvalidUploadError, VoiceClient
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.validation import check_callback, check_choice

WRONG = {
    "session": object(),
    "retry": 3,
    "throttle": 16,
    "timeouts": 30.0,
    "limits": True,
    "on_event": "print",
}


async def ignored(*_arguments: object) -> None:
    """What would never be awaited."""


class Handler:
    def __call__(self, event: Event) -> None:
        """Take an event."""

    async def later(self, event: Event) -> None:
        """Take one, some day."""


@pytest.mark.parametrize("name", WRONG)
def test_an_option_of_the_wrong_kind_is_refused_by_its_name(name: str) -> None:
    options: dict[str, Any] = {name: WRONG[name]}
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        VoiceClient("sk-test", **options)


@pytest.mark.parametrize("name", ["retry", "timeouts"])
def test_what_can_not_be_turned_off_takes_no_none(name: str) -> None:
    options: dict[str, Any] = {name: None}
    with pytest.raises(ConfigurationError, match=f"^{name} must be .+, got NoneType"):
        VoiceClient("sk-test", **options)


def test_what_can_be_left_out_takes_none() -> None:
    VoiceClient("sk-test", session=None, throttle=None, limits=None, on_event=None)


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"session"}))
async def test_a_sibling_is_no_less_strict(name: str) -> None:
    options: dict[str, Any] = {name: WRONG[name]}
    async with VoiceClient("sk-test") as client:
        with pytest.raises(ConfigurationError, match=f"^{name} must be "):
            client.with_options(**options)


class Later:
    async def __call__(self, event: Event) -> None:
        """Take an event, some day."""


@pytest.mark.parametrize("callback", [ignored, Handler().later, functools.partial(ignored, 1), Later()])
def test_a_coroutine_function_is_no_event_handler(callback: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^on_event must be a plain function"):
        VoiceClient("sk-test", on_event=callback)  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize("callback", [print, Handler(), [].append, lambda _: None, None])
def test_whatever_can_be_called_is(callback: object) -> None:
    check_callback("on_event", callback)


@pytest.mark.parametrize("progress", [ignored, "a bar"])
async def test_what_is_no_plain_function_is_refused_as_progress_before_anything_is_sent(
    emulator: Emulator, client: VoiceClient, progress: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"^progress must be a plain function"):
        await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, progress=progress)
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("encoding", "gzip", "multipart, base64"),
        ("encoding", None, "multipart, base64"),
        ("on_ambiguous", "ignore", "reconcile, raise, retry"),
    ],
)
async def test_what_is_none_of_the_choices_is_refused_with_them(
    emulator: Emulator, client: VoiceClient, name: str, value: object, choices: str
) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InvalidUploadError, match=choices) as caught:
        await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, **options)
    assert (caught.value.field, emulator.requests) == (name, [])


def test_a_wrong_choice_is_quoted_shortly() -> None:
    with pytest.raises(InvalidUploadError) as caught:
        check_choice("encoding", "x" * 10_000, Any)
    assert len(str(caught.value)) < 200

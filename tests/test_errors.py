from __future__ import annotations

import copy
import pickle
import pydoc
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from siliconflow_voice import errors
from siliconflow_voice.errors import (
    AmbiguousUploadError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    InvalidResponseError,
    InvalidUploadError,
    RateLimitError,
    SiliconFlowError,
)
from siliconflow_voice.models import Attempt, Failure, Voice

ATTEMPTS = (
    Attempt(1, 0.0, 0.5, cause="reset", failure=Failure.NOT_SENT),
    Attempt(2, 1.5, 0.5, status=503, code=50505, failure=Failure.REFUSED, trace_id="ti_1"),
)
CLASSES: list[type[SiliconFlowError]] = [getattr(errors, name) for name in errors.__all__]


def example(class_: type[SiliconFlowError]) -> SiliconFlowError:
    """Make an error with all that it can have."""
    facts = {"status": 429, "code": 50602, "trace_id": "ti_1", "retry_after": 1.5, "body": "{}"}
    make: Callable[..., SiliconFlowError] = class_
    if issubclass(class_, InvalidUploadError):
        return make("text", "is empty")
    if issubclass(class_, RateLimitError):
        return make("Too fast", kind="tpm", **facts)
    if issubclass(class_, APIStatusError):
        return make("It says no", **facts)
    if issubclass(class_, InvalidResponseError):
        return make("HTTP 200, but it is not JSON", status=200, trace_id="ti_1", body="<p>")
    if issubclass(class_, AmbiguousUploadError):
        return make("It was lost", candidates=(Voice("speech:a:b:c", "m", "a", "t"),))
    return make("It failed")


def drawn_tree() -> dict[str, tuple[str, ...]]:
    """Read the module's drawing: each class with its bases, those said to be "also" included."""
    tree: dict[str, tuple[str, ...]] = {}
    path: list[str] = []
    drawing = re.findall(r"^    ([│├└─ ]*)(\w+Error)\b(.*)$", errors.__doc__ or "", re.MULTILINE)
    for branches, name, note in drawing:
        path[len(branches) // 4 :] = [name]
        also = re.findall(r"also (\w+)", note)
        tree[name] = (path[-2] if path[1:] else "Exception", *also)
    return tree


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    real = {class_.__name__: tuple(base.__name__ for base in class_.__bases__) for class_ in CLASSES}
    assert real == drawn_tree()


def test_every_error_of_the_module_is_public() -> None:
    of_the_module = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(errors.__all__) == of_the_module - {"Any", "Attempt", "Failure", "Voice"}


def pickled(error: SiliconFlowError, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - it is our own


DUPLICATES = {"copy": copy.copy, "deepcopy": copy.deepcopy} | {
    f"pickle {protocol}": partial(pickled, protocol=protocol)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
}


@pytest.mark.parametrize("class_", CLASSES)
@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_an_error_is_duplicated_with_all_that_it_knows(
    class_: type[SiliconFlowError], duplicate: Callable[[SiliconFlowError], SiliconFlowError]
) -> None:
    error = example(class_)
    error.attempts = ATTEMPTS
    error.failure = Failure.UNKNOWN
    error.add_note("while uploading a.mp3")
    twin = duplicate(error)
    assert (type(error), error.args, vars(error)) == (type(twin), twin.args, vars(twin))
    assert (str(error), ["while uploading a.mp3"]) == (str(twin), twin.__notes__)


@pytest.mark.parametrize("class_", CLASSES)
def test_an_error_reads_as_a_sentence_with_what_to_do_about_it(class_: type[SiliconFlowError]) -> None:
    error = example(class_)
    assert str(error).endswith(f". {class_.hint}" if class_.hint else ".")
    assert class_.hint.endswith("." if class_.hint else "")


@pytest.mark.parametrize("class_", CLASSES)
def test_an_error_has_no_history_before_its_call_has_ended(class_: type[SiliconFlowError]) -> None:
    error = example(class_)
    failure = Failure.UNKNOWN if class_ is errors.AmbiguousUploadError else Failure.FINAL
    assert (error.attempts, error.failure) == ((), failure)


def test_an_error_of_several_attempts_says_how_many() -> None:
    error = SiliconFlowError("The connection broke.")
    error.attempts = ATTEMPTS
    assert str(error) == "The connection broke. Gave up after 2 attempts."


def test_an_error_of_one_attempt_does_not_count() -> None:
    error = SiliconFlowError("The connection broke")
    error.attempts = ATTEMPTS[:1]
    assert str(error) == "The connection broke."


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "HTTP 451: Refused."),
        ({"code": 20021}, "HTTP 451 (code 20021): Refused."),
        ({"trace_id": "ti_1"}, "HTTP 451 (trace id ti_1): Refused."),
        ({"code": 0, "trace_id": "ti_1"}, "HTTP 451 (code 0, trace id ti_1): Refused."),
    ],
)
def test_a_refusal_names_its_status_code_and_trace_id(facts: dict[str, Any], expected: str) -> None:
    assert expected == str(APIStatusError("Refused.", status=451, **facts))


def test_a_refusal_knows_no_more_than_it_was_told() -> None:
    error = RateLimitError("no", status=429)
    facts = (error.status, error.code, error.trace_id, error.retry_after, error.body, error.kind)
    assert facts == (429, None, None, None, "", None)


def test_a_401_says_that_the_two_clouds_have_keys_of_their_own() -> None:
    text = str(AuthenticationError("Invalid token", status=401))
    assert "api.siliconflow.cn and api.siliconflow.com are not interchangeable" in text


def test_bad_input_names_the_field_and_the_rule() -> None:
    error = InvalidUploadError("text", "is empty")
    assert (str(error), error.field, error.reason) == ("text: is empty.", "text", "is empty")


def test_an_ambiguous_upload_has_no_candidates_unless_told() -> None:
    assert AmbiguousUploadError("It was lost").candidates == ()


@pytest.mark.parametrize(
    ("class_", "builtin"),
    [(APITimeoutError, TimeoutError), (InvalidUploadError, ValueError), (ConfigurationError, ValueError)],
)
def test_an_error_is_also_the_standard_librarys(
    class_: type[SiliconFlowError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin) as caught:
        raise example(class_)
    assert type(caught.value) is class_


@pytest.mark.parametrize("class_", CLASSES)
def test_help_of_an_error_names_its_attributes(class_: type[SiliconFlowError]) -> None:
    shown = pydoc.plain(pydoc.render_doc(class_))
    assert {name for name in [*vars(example(class_)), "attempts", "failure"] if name not in shown} == set()

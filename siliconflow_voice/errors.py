"""Every way in which the SDK fails.

::

    SiliconFlowError
    ├── ConfigurationError (also ValueError)      no key, a bad address, another event loop
    │   └── ClientClosedError                     closed, or drained before this call was sent
    ├── InvalidUploadError (also ValueError)      refused before a byte was sent: .field, .rule, .reason
    ├── AudioSourceError                          unreadable
    │   ├── SourceConsumedError                   can't be read a second time
    │   └── SourceChangedError                    grew, shrank or changed while it was sent
    ├── APIConnectionError                        no answer
    │   └── APITimeoutError (also TimeoutError)
    ├── APIStatusError                            .status .code .message .trace_id .retry_after .body
    │   ├── BadRequestError 400
    │   ├── AuthenticationError 401
    │   ├── PermissionDeniedError 403
    │   │   ├── InsufficientBalanceError          402 too
    │   │   └── RealNameRequiredError
    │   ├── NotFoundError 404
    │   ├── PayloadTooLargeError 413
    │   ├── RateLimitError 429                    .kind: rpm tpm …
    │   │   └── QuotaExhaustedError               a daily one: never retried
    │   ├── ServerError 5xx
    │   │   ├── OverloadedError 503
    │   │   └── GatewayTimeoutError 504
    │   └── UnexpectedRedirectError 3xx
    ├── InvalidResponseError                      a 2xx that isn't what the API promises
    ├── AmbiguousUploadError                      may or may not have been stored: .candidates
    ├── FleetError                                the database of a fleet can't be used
    ├── JournalError
    └── ThrottleError                             a shared throttle's database can't be used

Each pickles, has the history of its call in ``.attempts``, and reads as a sentence.
"""

from __future__ import annotations

import copyreg
from typing import Any, ClassVar

from siliconflow_voice.models import Attempt, Failure, Voice

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AmbiguousUploadError",
    "AudioSourceError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ConfigurationError",
    "FleetError",
    "GatewayTimeoutError",
    "InsufficientBalanceError",
    "InvalidResponseError",
    "InvalidUploadError",
    "JournalError",
    "NotFoundError",
    "OverloadedError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "RealNameRequiredError",
    "ServerError",
    "SiliconFlowError",
    "SourceChangedError",
    "SourceConsumedError",
    "ThrottleError",
    "UnexpectedRedirectError",
]


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class SiliconFlowError(Exception):
    """The base of all errors of this package.

    Attributes:
        message: What went wrong; ``str()`` of the error adds what to do next.
        attempts: Every attempt of the failed call, the last one included; empty if nothing was tried.
        failure: What the failure means for the voice: not sent, refused, unknown or final.
        hint: What to do next, where that is known.
    """

    hint: ClassVar[str] = ""
    failure: Failure = Failure.FINAL
    attempts: tuple[Attempt, ...] = ()

    def __init__(self, message: str) -> None:
        # Names and uris in it were written by others, and a line break in one would forge a line of a log.
        self.message = _one_line(message)
        super().__init__(self.message)

    def __str__(self) -> str:
        sentences = [self.summary.rstrip(".") + "."]
        if len(self.attempts) > 1:
            sentences.append(f"Gave up after {len(self.attempts)} attempts.")
        if self.hint:
            sentences.append(self.hint)
        return " ".join(sentences)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls __init__ with the message alone, which subclasses don't take; and the
        # __new__ that a timeout has of OSError's forgets its arguments.
        # typeshed leaves out copyreg's __newobj__, which is what pickle itself puts here.
        return copyreg.__newobj__, (type(self),), {**self.__dict__, "args": self.args}  # type: ignore[attr-defined]

    @property
    def summary(self) -> str:
        """What went wrong, without the history and the hint: for a message that goes on."""
        return self.message


class ConfigurationError(SiliconFlowError, ValueError):
    """The client is set up or used in a way that can't work: no key, a bad address, another event loop."""


class ClientClosedError(ConfigurationError):
    """The client is closed, or is being drained and let this call go; nothing of the call is stored."""


class InvalidUploadError(SiliconFlowError, ValueError):
    """An argument of an upload, of speech or of a transcript breaks a rule; nothing was sent.

    Attributes:
        field: The argument at fault: ``audio``, ``custom_name``, ``text``, ``model``, ``speed`` …
        rule: The rule that it breaks, as a word that stays: ``empty``, ``too_large``, ``too_long``,
            ``format``, ``source``, ``address``, ``host``, ``media_type``, ``no_speech``, ``too_short``,
            ``cut``, ``name``, ``text``, ``type``, ``choice``, ``range``, ``required``, ``combination`` …; or
            empty.
        reason: What is wrong with it; ``message`` has both.
    """

    def __init__(self, field: str, reason: str = "", *, rule: str = "") -> None:
        super().__init__(f"{field}: {reason}" if reason else field)
        self.field = field
        self.rule = rule
        self.reason = _one_line(reason)


class AudioSourceError(SiliconFlowError):
    """The audio can't be read: missing, not a regular file, no permission, an I/O error, a failed download.

    Attributes:
        status: The HTTP status that the server of an :meth:`AudioSource.url` answered with, or None.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class SourceConsumedError(AudioSourceError):
    """The audio was read already and can't be read again; the failure before is its ``__cause__``."""

    hint = "Pass a path, bytes or a seekable file: these can be sent again after a failure."


class SourceChangedError(AudioSourceError):
    """The file, or what an address leads to, changed between the checks and the end of the upload."""


class APIConnectionError(SiliconFlowError):
    """No answer came: DNS, connect, TLS, a reset, an answer cut short."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """A bound passed: on connecting, on a transfer that stalls, on one attempt, or on the whole call."""


class APIStatusError(SiliconFlowError):
    """The service answered with a status that is not a success.

    Attributes:
        status: The HTTP status; 0 if the error was made without one, in a test.
        code: SiliconFlow's own error code, or None.
        message: The service's message.
        trace_id: ``x-siliconcloud-trace-id``: quote it to SiliconFlow's support. None if the answer had none.
        retry_after: Seconds, from the ``Retry-After`` header, or None.
        body: The answer's text, at most its first 4,096 characters.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: int | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.trace_id = trace_id
        self.retry_after = retry_after
        self.body = body

    @property
    def summary(self) -> str:
        facts: list[str] = []
        if self.code is not None:
            facts.append(f"code {self.code}")
        if self.trace_id is not None:
            facts.append(f"trace id {self.trace_id}")
        aside = f" ({', '.join(facts)})" if facts else ""
        status = f"HTTP {self.status}" if self.status else "Refused"
        return f"{status}{aside}: {self.message}"


class BadRequestError(APIStatusError):
    """400: the service rejected a field."""


class AuthenticationError(APIStatusError):
    """401: invalid API key."""

    hint = (
        "Keys of api.siliconflow.cn and api.siliconflow.com are not interchangeable: "
        "check that base_url is the cloud that issued the key."
    )


class PermissionDeniedError(APIStatusError):
    """403: the account is not allowed to do this."""

    hint = "Check on SiliconFlow's console what the account may use."


class InsufficientBalanceError(PermissionDeniedError):
    """402, or 403 with code 30001 or 30011: the balance is too low."""

    hint = "Top up the account."


class RealNameRequiredError(PermissionDeniedError):
    """403 with code 20051 or 30005: the account lacks real-name verification."""

    hint = "Complete real-name verification on SiliconFlow's console."


class NotFoundError(APIStatusError):
    """404: no such endpoint."""

    hint = "Check base_url: it ends in /v1."


class PayloadTooLargeError(APIStatusError):
    """413: the body is larger than the service, or a proxy before it, accepts."""

    hint = "Upload a smaller recording."


class RateLimitError(APIStatusError):
    """429, or a 403 that names such a limit: more requests or tokens than the account may use.

    Attributes:
        kind: Which limit: ``rpm``, ``tpm``, ``rph``, ``rpd``, ``tpd``, ``ipm``, ``ipd``; None if the service
            did not name it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: int | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
        body: str = "",
        kind: str | None = None,
    ) -> None:
        super().__init__(
            message, status=status, code=code, trace_id=trace_id, retry_after=retry_after, body=body
        )
        self.kind = kind


class QuotaExhaustedError(RateLimitError):
    """429 for a daily limit, which outlasts any reasonable wait: never retried."""

    hint = "A daily quota is used up: try again tomorrow, or ask SiliconFlow to raise it."


class ServerError(APIStatusError):
    """5xx: the service failed."""


class OverloadedError(ServerError):
    """503 (code 50505 and its like): the service is overloaded."""


class GatewayTimeoutError(ServerError):
    """504: a gateway before the model timed out."""


class UnexpectedRedirectError(APIStatusError):
    """3xx: the API has no redirects, and following one would send the audio to another address."""

    hint = "Check base_url; redirects are never followed."


class InvalidResponseError(SiliconFlowError):
    """The service answered with success, but not with what the API promises.

    Attributes:
        status: The HTTP status; 0 if the error was made without one, in a test.
        trace_id: ``x-siliconcloud-trace-id``: quote it to SiliconFlow's support. None if the answer had none.
        body: The answer's text, at most its first 4,096 characters.
    """

    def __init__(self, message: str, *, status: int = 0, trace_id: str | None = None, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.trace_id = trace_id
        self.body = body


class AmbiguousUploadError(SiliconFlowError):
    """The audio was sent, its answer was lost, and the voice may or may not exist.

    The failure that lost the answer is its ``__cause__``.

    Attributes:
        candidates: New voices of the account, any of which could be the upload's.
    """

    hint = "Check list_voices() before you upload it again."
    failure = Failure.UNKNOWN

    def __init__(self, message: str, *, candidates: tuple[Voice, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


class FleetError(SiliconFlowError):
    """The database of a fleet can't be read, written or used."""


class JournalError(SiliconFlowError):
    """The journal of a bulk run can't be read, written or used."""


class ThrottleError(SiliconFlowError):
    """The database of a shared throttle can't be used; nothing was sent, as nothing passes without it."""

    hint = "Check that the database runs, and that it can be reached from here."

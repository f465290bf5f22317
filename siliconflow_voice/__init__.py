"""Upload reference voices to SiliconFlow from asyncio: streamed, retried, throttled, and accounted for.

``VoiceClient`` is where to begin; ``siliconflow_voice.errors`` draws the tree of what can go wrong, and
``siliconflow_voice.emulator`` is a server to test against.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.api.speaking import ModelKind
from siliconflow_voice.audio.checks import AudioLimits
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.inspection import inspect_audio
from siliconflow_voice.audio.preparation.prepare import prepare
from siliconflow_voice.audio.preparation.values import PreparationReport, PreparedAudio, PreparedFormat
from siliconflow_voice.audio.remote.policy import RemoteAudio
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.calls.draining import Drained
from siliconflow_voice.calls.events import (
    AttemptEvent,
    Event,
    OutcomeEvent,
    QueueEvent,
    SettleEvent,
    WaitEvent,
)
from siliconflow_voice.calls.retry import RetryPolicy
from siliconflow_voice.calls.settings import ClientOptions
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import (
    AmbiguousUploadError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AudioSourceError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    FleetError,
    GatewayTimeoutError,
    InsufficientBalanceError,
    InvalidResponseError,
    InvalidUploadError,
    JournalError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RealNameRequiredError,
    ServerError,
    SiliconFlowError,
    SourceChangedError,
    SourceConsumedError,
    ThrottleError,
    UnexpectedRedirectError,
)
from siliconflow_voice.models import Attempt, Failure, Segment, Transcript, Voice
from siliconflow_voice.speech.parameters import Reference, ResponseFormat
from siliconflow_voice.speech.speech import Speech
from siliconflow_voice.throttle.throttle import GateSnapshot, Throttle
from siliconflow_voice.transport.timeouts import Timeouts
from siliconflow_voice.uploads.checking import UploadProblem, check_upload
from siliconflow_voice.uploads.recovery import OnAmbiguous
from siliconflow_voice.uploads.values import UploadOutcome, VoiceUpload
from siliconflow_voice.version import __version__ as __version__

if TYPE_CHECKING:
    from siliconflow_voice.bulk.checking import CheckReport, ManifestCheck
    from siliconflow_voice.bulk.journal import Journal
    from siliconflow_voice.bulk.listed import ManifestUpload
    from siliconflow_voice.bulk.manifest import Manifest
    from siliconflow_voice.bulk.run import upload_many

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AmbiguousUploadError",
    "Attempt",
    "AttemptEvent",
    "Audio",
    "AudioFacts",
    "AudioLimits",
    "AudioSource",
    "AudioSourceError",
    "AuthenticationError",
    "BadRequestError",
    "CheckReport",
    "ClientClosedError",
    "ClientOptions",
    "ConfigurationError",
    "Drained",
    "Encoding",
    "Event",
    "Failure",
    "FleetError",
    "GateSnapshot",
    "GatewayTimeoutError",
    "InsufficientBalanceError",
    "InvalidResponseError",
    "InvalidUploadError",
    "Journal",
    "JournalError",
    "Manifest",
    "ManifestCheck",
    "ManifestUpload",
    "ModelKind",
    "NotFoundError",
    "OnAmbiguous",
    "OutcomeEvent",
    "OverloadedError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PreparationReport",
    "PreparedAudio",
    "PreparedFormat",
    "QueueEvent",
    "QuotaExhaustedError",
    "RateLimitError",
    "RealNameRequiredError",
    "Reference",
    "RemoteAudio",
    "ResponseFormat",
    "RetryPolicy",
    "Segment",
    "ServerError",
    "SettleEvent",
    "SiliconFlowError",
    "SourceChangedError",
    "SourceConsumedError",
    "Speech",
    "Throttle",
    "ThrottleError",
    "Timeouts",
    "Transcript",
    "UnexpectedRedirectError",
    "UploadOutcome",
    "UploadProblem",
    "Voice",
    "VoiceClient",
    "VoiceUpload",
    "WaitEvent",
    "check_upload",
    "inspect_audio",
    "prepare",
    "upload_many",
]

_BULK = {
    "CheckReport": "siliconflow_voice.bulk.checking",
    "Journal": "siliconflow_voice.bulk.journal",
    "Manifest": "siliconflow_voice.bulk.manifest",
    "ManifestCheck": "siliconflow_voice.bulk.checking",
    "ManifestUpload": "siliconflow_voice.bulk.listed",
    "upload_many": "siliconflow_voice.bulk.run",
}


def __getattr__(name: str) -> object:
    # A service that uploads one voice at a time has no use for SQLite: what bulk runs need is imported with
    # the first of their names.
    if name not in _BULK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_BULK[name]), name)

"""Turns what aiohttp raises, in objects that know the key, into errors of the SDK's own."""

from __future__ import annotations

import ssl

import aiohttp

from siliconflow_voice.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    SiliconFlowError,
)

__all__ = ["translate"]


def translate(problem: BaseException, host: str) -> SiliconFlowError:
    """Return an error that has only safe words of *problem* in it."""
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return APITimeoutError(f"No connection to {host} in time")
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(f"The name {host} can't be resolved: {_reason(problem.os_error)}")
        case aiohttp.ClientConnectorCertificateError():
            return APIConnectionError(
                f"The TLS certificate of {host} is not valid: {_reason(problem.certificate_error)}"
            )
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"No connection to {host}: {_reason(problem.os_error)}")
        case aiohttp.ServerDisconnectedError():
            return APIConnectionError(f"{host} closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return APIConnectionError(f"The answer of {host} was cut short")
        case aiohttp.ClientResponseError():
            return APIConnectionError(f"The answer of {host} is not valid HTTP")
        case ValueError() | RuntimeError():
            # A borrowed session with credentials of its own, or an address that aiohttp won't have.
            return ConfigurationError(f"This session can't make the request: {type(problem).__name__}")
        case OSError():
            return APIConnectionError(f"The connection to {host} broke: {_reason(problem)}")
        case _:
            return APIConnectionError(f"The connection to {host} failed: {type(problem).__name__}")


def _reason(problem: BaseException) -> str:
    match problem:
        case ssl.SSLCertVerificationError():
            return problem.verify_message
        case ssl.SSLError():
            return problem.reason or "TLS failed"
        case OSError() if problem.strerror:
            return problem.strerror
        case _:
            return type(problem).__name__

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


def translate(problem: BaseException, host: str) -> SiliconFlowError:  # noqa: C901 - a case for each kind
    """Return an error of the SDK's own, with only the safe parts of *problem* in its message."""
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return APITimeoutError(
                f"No connection to {host} in time: check the network, or raise Timeouts.connect"
            )
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return APIConnectionError(_of_a_proxy(problem, host))
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(
                f"The name {host} can't be resolved: {_reason(problem.os_error)}; "
                "check base_url and the network"
            )
        case aiohttp.ClientConnectorCertificateError():
            return APIConnectionError(
                f"The TLS certificate of {host} is not valid: {_reason(problem.certificate_error)}; "
                "if a proxy issued it, pass a session that trusts its authority"
            )
        case aiohttp.ClientConnectorError():
            return APIConnectionError(
                f"No connection to {host}: {_reason(problem.os_error)}; check base_url and the network"
            )
        case aiohttp.ServerDisconnectedError():
            return APIConnectionError(f"{host} closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return APIConnectionError(f"The answer of {host} was cut short")
        case aiohttp.ClientResponseError():
            return APIConnectionError(f"The answer of {host} is not valid HTTP: check base_url and any proxy")
        case ValueError() | RuntimeError():
            # A borrowed session with credentials of its own, or an address that aiohttp rejects.
            return ConfigurationError(
                f"This session can't make the request ({type(problem).__name__}): pass one without auth=, "
                "and without trust_env=True where ~/.netrc has an entry for the address"
            )
        case OSError():
            return APIConnectionError(f"The connection to {host} broke: {_reason(problem)}")
        case _:
            return APIConnectionError(f"The connection to {host} failed: {type(problem).__name__}")


def _of_a_proxy(problem: aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError, host: str) -> str:
    if isinstance(problem, aiohttp.ClientHttpProxyError):
        return f"The proxy refused a tunnel to {host}: HTTP {problem.status}"
    return f"No connection to the proxy {problem.host}: {_reason(problem.os_error)}"


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

"""Says what the SDK's messages say in the command's words: its options, and not Python's parameters."""

from __future__ import annotations

import re

from siliconflow_voice.cli.language import translated
from siliconflow_voice.errors import APIStatusError, InvalidUploadError, SiliconFlowError

__all__ = ["in_options", "told"]

# Whole phrases: a name alone may be a file's or a voice's.
_PHRASES = {
    r"^base_url(?= (?:is|has|would)|,)": "--base-url",
    r"\b([Cc]heck(?: that)?) base_url\b": r"\1 --base-url",
    r"\bpass the key as api_key\b": "pass the key with --api-key-file",
    r"^Check base_url\b": "Check --base-url",
    r", or pass allow_http=True\b": "",
    r"^proxy(?= (?:is|must))": "--proxy",
    r"^encoding(?= must be the name of a text encoding)": "--manifest-encoding",
    r"\ballow_outside permits that\b": "--allow-outside permits that",
    r"\bthe throttle allows\b": "--tokens-per-minute allows",
    r"\braise RetryPolicy\.deadline, or make fewer calls at once\b": "lower --concurrency, or run it again",
    r"\brun again later, or raise RetryPolicy\.deadline\b": "run it again later",
    r"\braise RetryPolicy\.deadline\b": "run it again",
    r", or raise Timeouts\.connect\b": "",
    r" \(the bound is (?:Timeouts|RetryPolicy)\.\w+\)": "",
    r"^settle(?= must be seconds)": "--settle",
    r"^concurrency(?= must be a whole number)": "--concurrency",
    r"\bCheck list_voices\(\) before you upload it again\b": "Run it again to have its voice looked for",
}
# The arguments of one call; in a table they are columns, and stay.
_ARGUMENTS = {
    "custom_name": "--name",
    "gain": "--gain",
    "model": "--model",
    "response_format": "--format",
    "sample_rate": "--sample-rate",
    "speed": "--speed",
    "voice": "--voice",
}
_REFERENCE = re.compile(r"^references\[\d+\]\.(audio|text)$")
# What the service says of a voice that it doesn't know.
_UNKNOWN_VOICE = frozenset({20047, 20059})
_ANY = {re.compile(phrase): words for phrase, words in _PHRASES.items()}


def in_options(message: str) -> str:
    """Return a message of the SDK's that names the command's options."""
    for phrase, words in _ANY.items():
        message = phrase.sub(words, message)
    return message


def told(error: SiliconFlowError) -> str:
    """Return an error of a command in a sentence, and what to do next in the command's language.

    What went wrong is as the SDK or the service has it, in English.
    """
    if isinstance(error, InvalidUploadError) and error.reason:
        argument = _REFERENCE.sub(r"\1", error.field) if error.field.endswith("audio") else error.field
        argument = _REFERENCE.sub("--reference-text", argument)
        summary = error.reason
        if argument != "audio":  # whose reasons name the file
            summary = f"{_ARGUMENTS.get(argument, argument)}: {summary}"
    else:
        summary = error.summary
    summary = in_options(summary.rstrip("."))
    sentences = [summary if summary.endswith("。") else f"{summary}."]
    if (count := len(error.attempts)) > 1:
        sentences.append(translated("Gave up after {count} attempts.", count=count))
    if error.hint:
        sentences.append(translated(in_options(error.hint).replace("{", "{{").replace("}", "}}")))
    if isinstance(error, APIStatusError) and error.code in _UNKNOWN_VOICE:
        sentences.append(translated("To see the account's voices, run: siliconflow-voice list"))
    return " ".join(sentences)

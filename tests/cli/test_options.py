from __future__ import annotations

import getpass
import io
import signal
import sys
from pathlib import Path

import pytest
from support.terminal import Terminal

from siliconflow_voice import ConfigurationError
from siliconflow_voice.cli.options import Connection, find_key


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())


def answer(monkeypatch: pytest.MonkeyPatch, key: str) -> list[str]:
    """Answer what is asked; give the questions."""
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return key

    monkeypatch.setattr(getpass, "getpass", ask)
    return asked


def test_the_key_is_that_of_the_environment(key: None, somebody: None) -> None:
    assert find_key(None) == "sk-test"


@pytest.mark.parametrize(
    "content",
    [
        b"sk-test",
        b"sk-test\n",
        b"sk-test\r\n",
        b"\n  sk-test  \n\n",
        b"\xef\xbb\xbfsk-test\r\n",
        "sk-test\r\n".encode("utf-16"),
        b"\xfe\xff" + "sk-test\r\n".encode("utf-16-be"),
        b'"sk-test"\n',
        b"SILICONFLOW_API_KEY=sk-test\n",
        b"export SILICONFLOW_API_KEY='sk-test'\n",
        b"Bearer sk-test",
    ],
)
def test_a_files_key_is_taken_without_what_an_editor_puts_around_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    assert find_key(path) == "sk-test"


def test_a_file_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-other")
    path = tmp_path / "key"
    path.write_text("sk-test")
    assert find_key(path) == "sk-test"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" \n", "is empty; put the API key into it, and nothing else"),
        (b"sk-\xff", "can't be read: it is not a text file"),
        (b"sk-" + bytes(4_096), "is larger than 4,096 bytes; pass a file that holds only the key"),
    ],
)
def test_a_file_without_a_key_is_refused_and_not_quoted(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        find_key(path)
    assert str(refused.value) == f"--api-key-file {path} {problem}."


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--api-key-file .*key can't be read: No such file"):
        find_key(tmp_path / "key")


def test_an_error_without_words_is_told_by_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path, mode: str) -> str:
        raise OSError("gone")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(ConfigurationError, match="can't be read: gone"):
        find_key(tmp_path / "key")


def test_somebody_who_is_there_is_asked(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, " sk-test\n")
    assert (find_key(None), asked) == ("sk-test", ["SiliconFlow API key: "])


def test_nobody_is_asked_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-test\n"))
    asked = answer(monkeypatch, "sk-test")
    with pytest.raises(
        ConfigurationError, match="No API key: set SILICONFLOW_API_KEY, or pass --api-key-fil"
    ):
        find_key(None)
    assert asked == []


def test_an_empty_variable_is_none(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "")
    answer(monkeypatch, "sk-test")
    assert find_key(None) == "sk-test"


def test_no_answer_is_no_key(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "")
    with pytest.raises(ConfigurationError, match="No API key"):
        find_key(None)


def test_an_input_that_ends_is_no_key(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ask)
    with pytest.raises(ConfigurationError, match="No API key"):
        find_key(None)


async def test_the_question_can_be_interrupted(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_prompt: str) -> str:
        signal.raise_signal(signal.SIGINT)
        return "sk-test"

    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        handler = signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(getpass, "getpass", ask)
        with pytest.raises(KeyboardInterrupt):
            find_key(None)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


async def test_the_proxy_is_that_of_the_command_line_or_by_choice_the_environments(
    key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@proxy")
    async with Connection().client() as client:
        assert client.base_url == "https://api.siliconflow.cn/v1"
    async with Connection(proxy="http://127.0.0.1:3128", trust_env=True).client() as client:
        assert client.base_url == "https://api.siliconflow.cn/v1"
    for connection, named in (
        (Connection(trust_env=True), "HTTPS_PROXY"),
        (Connection(proxy="ftp://x"), "proxy"),
    ):
        with pytest.raises(ConfigurationError, match=named) as refused:
            connection.client()
        assert "secret" not in str(refused.value)

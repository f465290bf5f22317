from __future__ import annotations

import asyncio
import os
import stat
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from siliconflow_voice import APIConnectionError, SiliconFlowError, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.speech.saving import SpeechFile

HELLO = "你好，世界"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def save(client: VoiceClient, path: Path, **options: bool) -> int:
    async with client.stream_speech(HELLO, voice="anna", response_format="wav") as speech:
        return await speech.save(path, **options)


async def failure_of(client: VoiceClient, path: Path) -> SiliconFlowError:
    with pytest.raises(SiliconFlowError) as caught:
        await save(client, path)
    return caught.value


async def test_a_file_has_all_of_it_and_a_wavs_true_sizes(client: VoiceClient, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    assert await save(client, path) == path.stat().st_size == 48_044
    with wave.open(str(path)) as read:
        assert (read.getnframes(), read.getframerate()) == (24_000, 24_000)
    assert names_in(tmp_path) == ["speech.wav"]


async def test_sizes_may_stay_as_they_came(client: VoiceClient, tmp_path: Path) -> None:
    await save(client, tmp_path / "speech.wav", repair=False)
    assert (tmp_path / "speech.wav").read_bytes()[4:8] == b"\xff\xff\xff\xff"


async def test_other_formats_are_written_as_they_come(client: VoiceClient, tmp_path: Path) -> None:
    async with client.stream_speech(HELLO, voice="anna", response_format="opus") as speech:
        assert await speech.save(os.fspath(tmp_path / "a.opus")) == (tmp_path / "a.opus").stat().st_size


async def test_a_stream_that_is_cut_off_leaves_what_was_there(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(b"before")
    emulator.add_fault(Fault.truncate_answer(9_000, endpoint="speech"))
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        assert isinstance(await failure_of(client, path), APIConnectionError)
    assert (path.read_bytes(), names_in(tmp_path)) == (b"before", ["speech.wav"])


async def test_a_cancelled_save_leaves_what_was_there(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    emulator.add_fault(Fault.stall_answer(9_000, endpoint="speech"))
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        async with client.stream_speech(HELLO, voice="anna", response_format="wav") as speech:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await speech.save(path)
    assert names_in(tmp_path) == []


async def test_an_earlier_file_is_replaced(client: VoiceClient, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(bytes(1_000_000))
    path.with_name("speech.wav.part").write_bytes(b"of a process that was killed")
    await save(client, path)
    assert (path.stat().st_size, names_in(tmp_path)) == (48_044, ["speech.wav"])


@pytest.mark.parametrize("name", ["speech.wav", "speech.wav.part"])
async def test_a_link_is_replaced_and_not_followed(client: VoiceClient, tmp_path: Path, name: str) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_bytes(b"precious")
    folder.mkdir()
    (folder / name).symlink_to(victim)
    await save(client, folder / "speech.wav")
    assert victim.read_bytes() == b"precious"
    assert stat.S_ISREG((folder / "speech.wav").lstat().st_mode)
    assert names_in(folder) == ["speech.wav"]


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir])
async def test_what_is_no_file_is_left_alone(
    client: VoiceClient, tmp_path: Path, plant: Callable[[Path], object]
) -> None:
    path = tmp_path / "speech.wav"
    plant(path)
    before = path.lstat()
    error = await failure_of(client, path)
    assert str(error) == f"{path} can't be written: it is not a regular file."
    assert path.lstat().st_ino == before.st_ino


async def test_a_folder_that_is_missing_is_an_error_with_its_reason(
    client: VoiceClient, tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "speech.wav"
    assert str(await failure_of(client, path)) == f"{path} can't be written: No such file or directory."


async def test_a_full_disk_is_an_error_with_its_reason(client: VoiceClient, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    file = SpeechFile(path)
    file.begin()
    part = path.with_name("speech.wav.part")
    full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115, ASYNC230 - the file's from here on
    file._opened().close()
    file._file = full
    with pytest.raises(SiliconFlowError, match=r"speech\.wav can't be written: No space left on device"):
        file.write(b"audio")
    file.discard()
    assert not part.exists()


def test_another_writer_of_the_same_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    first, second = SpeechFile(path), SpeechFile(path)
    first.begin()
    second.begin()
    with pytest.raises(SiliconFlowError, match="another program writes it too"):
        first.commit(as_wav=False)
    second.write(b"audio")
    second.commit(as_wav=True)
    assert path.read_bytes() == b"audio"


def test_a_file_that_was_discarded_is_not_begun_again(tmp_path: Path) -> None:
    file = SpeechFile(tmp_path / "speech.wav")
    file.discard()
    with pytest.raises(SiliconFlowError, match="canceled"):
        file.begin()
    with pytest.raises(SiliconFlowError, match="canceled"):
        file.write(b"audio")
    assert names_in(tmp_path) == []

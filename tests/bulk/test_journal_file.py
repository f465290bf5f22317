from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.bulk import journal_file
from siliconflow_voice.bulk.journal_file import check_filesystem, filesystem_of
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 25 0:27 / /dev/shm rw,relatime shared:4 master:2 - tmpfs tmpfs rw,size=24684092k
41 27 0:45 / /mnt/nfs rw,relatime shared:19 - nfs4 files.example:/export rw,vers=4.2
42 27 254:3 / /mnt/nfs2 rw,relatime - xfs /dev/vdb rw
43 27 0:50 / /mnt/my\040voices rw - cifs //files.example/voices rw
44 27 0:51 / /mnt/back\134slash rw - fuse.sshfs me@files.example: rw
45 41 254:4 /sub /mnt/nfs/local rw - btrfs /dev/vdc rw
46 27 0:52 / /mnt/twice rw - nfs files.example:/old rw
47 46 254:5 / /mnt/twice rw - ext4 /dev/vdd rw
48 27 0:53 / /mnt/声音 rw - ceph mon.example:/ rw
49 27 0:54 / /mnt/two\012lines rw - smb3 //files.example/voices rw
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/me/voices.journal", "ext4"),
        ("/dev/shm/voices.journal", "tmpfs"),  # noqa: S108 - not opened
        ("/dev/shmem", "ext4"),  # noqa: S108 - likewise
        ("/proc", "proc"),
        ("/mnt/nfs/voices.journal", "nfs4"),
        ("/mnt/nfs", "nfs4"),
        ("/mnt/nfs2/voices.journal", "xfs"),
        ("/mnt/nfs3/voices.journal", "ext4"),
        ("/mnt/nfs/local/voices.journal", "btrfs"),
        ("/mnt/nfs/localvoices.journal", "nfs4"),
        ("/mnt/my voices/voices.journal", "cifs"),
        (r"/mnt/my\040voices/voices.journal", "ext4"),
        ("/mnt/back\\slash/voices.journal", "fuse.sshfs"),
        ("/mnt/twice/voices.journal", "ext4"),
        ("/mnt/声音/voices.journal", "ceph"),
        ("/mnt/two\nlines/voices.journal", "smb3"),
    ],
)
def test_the_innermost_mount_says_what_a_path_is_on(path: str, kind: str) -> None:
    assert filesystem_of(path, MOUNTS) == kind


@pytest.mark.parametrize(
    "line",
    ["", "-", " - ", "41 27 0:45 / /mnt/nfs rw", "41 27 - nfs files rw", "41 27 0:45 / /mnt/nfs rw - "],
)
def test_a_line_that_makes_no_sense_is_passed_over(line: str) -> None:
    assert (
        filesystem_of("/mnt/nfs/voices.journal", f"{line}\n27 1 254:0 / / rw - ext4 /dev/vda rw\n{line}")
        == "ext4"
    )


def test_a_table_without_the_path_tells_nothing() -> None:
    assert filesystem_of("/home/me", "41 27 0:45 / /mnt rw - nfs files rw\n") is None


@given(
    st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda name: name not in {".", ".."})
)
def test_whatever_a_folder_is_called_it_is_found(name: str) -> None:
    written = "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\" else letter for letter in name)
    mounts = f"27 1 254:0 / / rw - ext4 /dev/vda rw\n41 27 0:45 / /mnt/{written} rw - nfs files rw\n"
    assert filesystem_of(f"/mnt/{name}/voices.journal", mounts) == "nfs"
    assert filesystem_of(f"/mnt/{name}_/voices.journal", mounts) == "ext4"


def mounted_as(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that a folder is a mount of its own."""
    table = folder.with_name("mountinfo")
    table.write_bytes(
        b"27 1 254:0 / / rw - ext4 /dev/vda rw\n41 27 0:45 / %b rw,relatime shared:19 - %b files:/voices rw\n"
        % (os.fsencode(folder), kind.encode())
    )
    monkeypatch.setattr(journal_file, "_MOUNTS", table)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.rclone", "fuse.gcsfuse"])
def test_a_network_filesystem_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    folder = tmp_path / "far"
    folder.mkdir()
    mounted_as(kind, folder, monkeypatch)
    with pytest.raises(JournalError) as caught:
        Store.open(folder / "journal")
    assert caught.value.message == (
        f"The journal {folder}/journal would be on a network filesystem ({kind}), where neither locks nor "
        f"writes are reliable: put it on a local disk"
    )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["ext4", "tmpfs", "overlay", "xfs", "btrfs", "zfs", "fuse.mergerfs", "fuseblk"]
)
def test_a_local_one_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    folder = tmp_path / "near"
    folder.mkdir()
    mounted_as(kind, folder, monkeypatch)
    check_filesystem(folder / "journal")


def test_it_is_looked_at_where_a_link_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far")
    mounted_as("nfs", tmp_path / "far", monkeypatch)
    with pytest.raises(JournalError, match="network filesystem"):
        check_filesystem(tmp_path / "link" / "journal")


def test_a_name_that_is_no_text_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / os.fsdecode(b"f\xe9r")
    folder.mkdir()
    mounted_as("nfs", folder, monkeypatch)
    with pytest.raises(JournalError, match="network filesystem"):
        check_filesystem(folder / "journal")


def test_where_no_table_of_mounts_is_all_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "_MOUNTS", tmp_path / "missing")
    check_filesystem(tmp_path / "journal")


def test_the_folder_of_the_tests_passes(tmp_path: Path) -> None:
    check_filesystem(tmp_path / "journal")

"""Zips that unpack to more than they should, or lie about it."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from keras_depthseg import archives
from keras_depthseg.errors import UserError

ZEROS = 2**27


def _write(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _claim(path, offset, value):
    """Changes what the list says of the first member."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + offset, value)
    path.write_bytes(data)


def _least_memory(call):
    tracemalloc.start()
    try:
        return call()
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 2**24


def test_members_are_read(tmp_path):
    path = _write(tmp_path / "a.zip", {"x/y.txt": b"text", "empty": b""})
    with zipfile.ZipFile(path) as archive:
        assert archives.read_member(archive, "x/y.txt", 4) == b"text"
        assert archives.read_member(archive, "empty", 4) == b""
        with pytest.raises(UserError, match=r"a.zip/x/y.txt: received a file of 4 byt"):
            archives.read_member(archive, "x/y.txt", 3)
        with pytest.raises(zipfile.BadZipFile, match="no longer there"):
            archives.read_member(archive, "z", 3)


@pytest.mark.parametrize("claimed", [ZEROS, 50, 2**20])
def test_members_are_not_unpacked_further_than_accepted(tmp_path, claimed):
    path = _write(tmp_path / "a.zip", {"a": bytes(ZEROS)})
    _claim(path, 24, claimed)
    with zipfile.ZipFile(path) as archive:

        def read():
            with pytest.raises((UserError, zipfile.BadZipFile)):
                archives.read_member(archive, "a", 2**22)

        _least_memory(read)


@pytest.mark.parametrize("name", ["config.json", "a/b.npy", "\x1b[31m"])
def test_bombs_are_refused(tmp_path, name):
    path = _write(tmp_path / "a.keras", {"small": b"x", name: bytes(ZEROS)})
    with pytest.raises(UserError, match="unpacks to 134,217,728 bytes from 130") as error:
        archives.check_expansion(path)
    assert str(error.value).isprintable()
    # Also if the list claims that as much is stored as in an honest file.
    _claim(path, 20, ZEROS)
    with pytest.raises(UserError, match="made to fill the memory"):
        archives.check_expansion(path)


def test_others_are_left_to_their_readers(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 2**20, np.uint8).tobytes()
    arrays = io.BytesIO()
    np.savez(arrays, a=np.zeros(ZEROS, np.uint8))
    (tmp_path / "stored.npz").write_bytes(arrays.getvalue())
    _write(tmp_path / "noise.zip", {"noise": noise, "zeros": bytes(2**20)})
    (tmp_path / "text").write_text("no zip")
    (tmp_path / "cut").write_bytes((tmp_path / "noise.zip").read_bytes()[:-30])
    for name in ("stored.npz", "noise.zip", "text", "cut", "missing"):
        archives.check_expansion(tmp_path / name)

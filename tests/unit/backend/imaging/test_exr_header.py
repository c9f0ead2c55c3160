import struct
import time

import numpy as np
import pytest

from genai_fill_contract.errors import UnreadableImage
from genai_fill_server.imaging.exr_header import MAGIC, MAX_ENTRIES, has_absurd_header
from genai_fill_server.imaging.exr_read import read_header
from tests.fakes.plates import write_exr, write_parts

PIXELS = np.zeros((4, 4, 4), np.float32)


def stuffed(path, entries):
    """Write an EXR whose header was given ``entries`` more entries by hand."""
    write_exr(path, PIXELS)
    data = path.read_bytes()
    more = b"".join(
        f"x{index}".encode() + b"\0int\0" + struct.pack("<Ii", 4, index) for index in range(entries)
    )
    path.write_bytes(data[:8] + more + data[8:])
    return str(path)


def test_a_header_made_to_stall_is_refused_at_once(tmp_path):
    path = stuffed(tmp_path / "a.exr", 100_000)

    start = time.process_time()
    with pytest.raises(UnreadableImage, match=r"frame 7.*more than 4096 entries|Frame 7.*entries"):
        read_header(path, 7)

    assert time.process_time() - start < 2.0


def test_a_rich_header_is_read(tmp_path):
    path = stuffed(tmp_path / "a.exr", 0)

    assert not has_absurd_header(path)
    assert read_header(path, 1).display.width == 4


def test_every_part_counts(tmp_path):
    path = tmp_path / "parts.exr"
    write_parts(path, [("rgb", "", "RGB", PIXELS[..., :3]), ("depth", "", "Z", PIXELS[..., :1])])

    assert not has_absurd_header(str(path))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PNG",
        MAGIC,
        MAGIC + b"\x02\0\0\0",
        MAGIC + b"\x02\0\0\0" + b"n" * 10_000,
        MAGIC + b"\x02\0\0\0name\0type\0\xff\xff\xff\xff",
    ],
)
def test_what_is_no_whole_header_is_left_to_the_library(tmp_path, data):
    path = tmp_path / "a.exr"
    path.write_bytes(data)

    assert not has_absurd_header(str(path))


def test_the_limit_is_exact_enough(tmp_path):
    assert has_absurd_header(stuffed(tmp_path / "a.exr", MAX_ENTRIES))

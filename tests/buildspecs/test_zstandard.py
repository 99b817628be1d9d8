"""What the jobs unpack with zstd: by the library, in pieces, and never more than is there."""

import io
import random

import pytest
from compressing import zstd
from fake_tools import module

LARGE = random.Random(1).randbytes(700_000) + b"page" * 500_000  # noqa: S311 - no secret


class Slow(io.RawIOBase):
    """A source that gives a few bytes at a time, as a network does."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__()
        self._content, self._most = io.BytesIO(content), most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # typeshed has any buffer
        part = self._content.read(min(self._most, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("most", [1, 1000, 1 << 20])
@pytest.mark.parametrize("content", [b"", b"a page", b"x" * 100_000, LARGE], ids=["nothing", "a line", "one", "large"])
def test_frames_are_unpacked_one_after_the_other(content: bytes, most: int) -> None:
    if most == 1:
        content = content[-3000:]
    reader = module("zstandard").Reader(Slow(zstd(content) + zstd(b"more"), most))
    assert reader.read() == content + b"more"
    assert reader.read() == b""
    reader.close()
    reader.close()  # the library's memory is given back once
    assert reader.closed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no frame at all", "no zstd: Unknown frame descriptor"),
        (zstd(LARGE) + b"behind it", "no zstd: Unknown frame descriptor"),
        (zstd(LARGE)[:-1], "it ends within a frame"),
        (zstd(b"a page")[:5], "it ends within a frame"),
    ],
    ids=["no frame", "more than a frame", "a large part", "a small part"],
)
def test_what_is_broken_is_not_taken_for_the_end(content: bytes, said: str) -> None:
    with pytest.raises(module("zstandard").BadContentError, match=said):
        module("zstandard").Reader(io.BytesIO(content)).read()


def test_a_frame_that_needs_too_much_memory_is_refused() -> None:
    """Whoever writes an image decides what its layers say of themselves: here a window of 2 GiB."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0b0000_0000, 21 << 3]) + b"\x01\x00\x00"
    with pytest.raises(module("zstandard").BadContentError, match="too much memory"):
        module("zstandard").Reader(io.BytesIO(frame)).read()


def test_a_machine_without_the_library_says_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zstandard = module("zstandard")
    monkeypatch.setattr(zstandard, "LIBRARY", "libnowhere.so.1")
    zstandard._library.cache_clear()
    with pytest.raises(SystemExit):
        zstandard.Reader(io.BytesIO(b""))
    said = capsys.readouterr().err
    assert "this machine has no libnowhere.so.1 to unpack it with" in said
    assert "set build.compression to gzip in the stack file that builds the image" in said

"""Read what is compressed with zstd, by the library that Linux distributions carry.

Python's own module is in 3.14 alone, and there only where Python was built with the library. Amazon Linux 2023 and
Ubuntu, which CodeBuild's images are made of, have the library because their package managers are linked with it.
https://facebook.github.io/zstd/zstd_manual.html (chapter "Streaming decompression")
"""

from __future__ import annotations

import ctypes
import functools
import io
from typing import IO, Any

from jobs import job

LIBRARY = "libzstd.so.1"
CHUNK = 128 * 1024
"""What is read at once: a block of zstd is never larger."""


class BadContentError(OSError):
    """What is read is not compressed with zstd, or is cut off."""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t), ("used", ctypes.c_size_t))


@functools.cache  # Python 3.9 on
def _library() -> Any:  # noqa: ANN401 - its functions have no types
    """The library; ends the job when the machine has none."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        job.fail(
            f"the image is compressed with zstd, and this machine has no {LIBRARY} to unpack it with ({error}): set "
            "build.compression to gzip in the stack file that builds the image."
        )
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer)]
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


class Reader(io.RawIOBase):
    """What a stream of zstd frames holds, one frame after the other.

    The library refuses frames that need more than 128 MiB of memory.
    """

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._library, self._source = _library(), source
        self._stream = ctypes.c_void_p(self._library.ZSTD_createDStream())
        self._chunk, self._input = b"", _Buffer()
        self._whole = True
        """Whether what was read ends with a frame."""

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as in the base class
        """Read what comes next; raises `BadContentError` for what is no zstd, and where it ends within a frame."""
        place = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        output = _Buffer(ctypes.addressof(place), len(buffer), 0)
        while not output.used:
            if self._input.used == self._input.size:
                # A whole chunk: the pointer leads into it until all of it is used.
                self._chunk = self._source.read(CHUNK)
                start = ctypes.cast(ctypes.c_char_p(self._chunk), ctypes.c_void_p)
                self._input = _Buffer(start, len(self._chunk), 0)
            ended = not self._chunk
            left = self._library.ZSTD_decompressStream(self._stream, ctypes.byref(output), ctypes.byref(self._input))
            if self._library.ZSTD_isError(left):
                raise BadContentError(f"no zstd: {self._library.ZSTD_getErrorName(left).decode()}")
            if ended and not output.used:
                if not self._whole:
                    raise BadContentError("it ends within a frame")
                return 0
            self._whole = not left
        return int(output.used)

    def close(self) -> None:
        """Give the library's memory back."""
        if not self.closed:
            self._library.ZSTD_freeDStream(self._stream)
        super().close()

"""Compress with zstd, by the library that `jobs.zstandard` reads with."""

import ctypes

from fake_tools import module


def zstd(content: bytes) -> bytes:
    """Return a frame of it."""
    library = ctypes.CDLL(module("zstandard").LIBRARY)
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    packed = ctypes.create_string_buffer(library.ZSTD_compressBound(len(content)))
    size = library.ZSTD_compress(packed, len(packed), content, len(content), 3)
    return packed.raw[:size]

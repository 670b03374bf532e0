"""Sets up the C library's allocator, so that the memory of large bodies returns to the system when they are freed."""

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 2**20  # bytes


def return_large_blocks() -> None:
    """Give every block of a megabyte or more a mapping of its own, which is unmapped when the block is freed.

    By default, glibc raises its threshold (128 KiB) to the size of each freed block, up to 32 MiB. Then bodies come
    from the heap, and a small block behind a freed body keeps the body's memory in the process. Other C libraries have
    no such setting and need none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)

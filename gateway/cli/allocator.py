"""Sets up the C library's allocator, so that freed memory returns to the system.

Both functions do nothing where the C library is not glibc; other C libraries have no such settings and need none.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 2**20  # bytes
_INTERVAL = 10.0  # seconds


def return_large_blocks() -> None:
    """Give every block of a megabyte or more a mapping of its own, which is unmapped when the block is freed.

    By default, glibc raises its threshold (128 KiB) to the size of each freed block, up to 32 MiB. Then bodies come
    from the heap, and a small block behind a freed body keeps the body's memory in the process.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)


@asynccontextmanager
async def returning_free_pages(interval: float = _INTERVAL) -> AsyncIterator[None]:
    """While it is entered, return the free pages inside the heap every `interval` seconds.

    Medium blocks (tens of kilobytes, such as pieces of long answers) come from the heap, and by default glibc gives
    back only its end. The work takes some milliseconds, in a thread.
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        yield
        return

    async def trim() -> None:
        while True:
            await asyncio.sleep(interval)
            await asyncio.to_thread(malloc_trim, 0)

    task = asyncio.create_task(trim())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

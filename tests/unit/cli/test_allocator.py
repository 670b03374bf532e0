import subprocess
import sys

PROGRAM = """
import asyncio
from gateway.cli.allocator import return_large_blocks, returning_free_pages

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def main():
    return_large_blocks()
    freed, between = [], []
    for _ in range(1000):
        freed.append(b"x" * 65_000)
        between.append(b"y" * 1000)
    full = rss()
    freed.clear()
    assert full - rss() < 10e6, "the heap gave the memory back by itself, so this shows nothing"
    async with returning_free_pages(0.01), asyncio.timeout(30):
        while full - rss() < 50e6:
            await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_memory_of_freed_pieces_between_others_returns_to_the_system():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr

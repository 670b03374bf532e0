"""Every kind of finding by its stable id, with its severity and why it matters. docs/doctor.md lists the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding. Ids never change their meaning, because scripts select by them.

    Only `--deep` looks for a `deep` one.
    """

    severity: Severity
    why: str
    deep: bool = False


KINDS: Mapping[str, Kind] = {
    "config.first-run": Kind("info", "There is nothing to check before the first start writes a configuration."),
    "config.invalid": Kind("error", "The gateway does not start with it, and a running one does not load it."),
    "config.warning": Kind("warning", "A part of the configuration works less than it says."),
    "config.no-effect": Kind("info", "The key is accepted and changes nothing, so do not rely on it."),
    "config.not-served": Kind("info", "The gateway ignores these sections of an OpenClaw configuration."),
    "config.retired": Kind("warning", "A later version may refuse the old spelling."),
    "endpoints.off": Kind("error", "Every API request is answered with 404."),
    "provider.key-missing": Kind("error", "The provider refuses every call."),
    "auth.no-token": Kind("error", "Every client is refused."),
    "auth.weak-secret": Kind("warning", "The secret is full access, and this one can be guessed over the network."),
    "key.expired": Kind("warning", "The client that uses this key is refused."),
    "metrics.open": Kind("warning", "Names of agents, models and providers are readable without a credential."),
    "budget.no-alerts": Kind(
        "warning", "A soft budget refuses nothing; only headers and the log show that it is exceeded."
    ),
    "secret.plain-text": Kind("info", "Backups and copies of the file contain the secret."),
    "files.config-mode": Kind("warning", "Other users of this machine can read or change the configuration."),
    "files.env-mode": Kind("warning", "Other users of this machine can read the secrets or change them."),
    "files.key-mode": Kind("warning", "Other users of this machine can read the private key."),
    "files.state-mode": Kind("warning", "Other users of this machine can read conversations."),
    "state.unusable": Kind("error", "Conversations, responses and usage can't be stored."),
    "disk.low": Kind("warning", "When the disk is full, nothing is stored any more."),
    "process.open-files": Kind("warning", "Each client and each provider call needs an open file; beyond, calls fail."),
    "port.taken": Kind("error", "The gateway can't listen."),
    "tls.expired": Kind("error", "Every client refuses the connection."),
    "tls.expiring": Kind("warning", "Once it has expired, every client refuses the connection."),
    "tls.stale": Kind("warning", "Clients see the old certificate until it has expired.", deep=True),
    "redis.unreachable": Kind("error", "Limits, locks and conversations need the shared store."),
    "redis.old": Kind("error", "The scripts of limits and conversations need a newer Redis."),
    "redis.evicts": Kind("error", "A full Redis drops conversations, locks and counts without an error."),
    "redis.slow": Kind("warning", "Each request waits for Redis several times."),
    "redis.no-writes": Kind("error", "Conversations, locks and counts are lost.", deep=True),
    "redis.rights": Kind("error", "What needs one of these commands fails.", deep=True),
    "redis.clock": Kind(
        "warning", "Budgets and locks end by Redis's clock, keys and certificates by this machine's.", deep=True
    ),
    "redis.not-inspected": Kind("info", "Version and eviction policy are unknown."),
    "proxy.not-used": Kind("warning", "Providers are called directly, which a closed network blocks."),
    "provider.unreachable": Kind("error", "No call to this provider succeeds."),
    "provider.name-unknown": Kind("error", "No call to this provider succeeds."),
    "provider.tls": Kind("error", "No call to this provider succeeds."),
    "provider.key-refused": Kind("error", "No call with this key succeeds."),
    "provider.failing": Kind("warning", "Calls to this provider may fail too."),
    "provider.no-list": Kind("info", "The provider answers, but key and models can't be checked without paying."),
    "provider.not-checked": Kind("info", "Its calls are signed, and it has no free call to check them with."),
    "model.unknown": Kind("warning", "Calls for this model may be refused."),
    "clock.skew": Kind("warning", "Signed calls, tokens, expiry times and budgets depend on the right time."),
    "front.unreachable": Kind("error", "No client can use this address.", deep=True),
    "front.tls": Kind("error", "Clients refuse the connection.", deep=True),
    "front.tls-expiring": Kind("warning", "Once it has expired, every client refuses the connection.", deep=True),
    "front.attribution": Kind("error", "Every request through this address is refused with 403.", deep=True),
    "front.spoofable": Kind(
        "error", "A client can choose the address that locks and limits count, and so avoid both.", deep=True
    ),
    "front.client-hidden": Kind(
        "warning", "All clients count as one: wrong secrets of one of them lock out all.", deep=True
    ),
    "front.buffers": Kind(
        "error", "Clients see an answer only when it is complete, and long ones time out.", deep=True
    ),
}

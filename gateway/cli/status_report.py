"""`GET /api/v1/status` in words."""

from typing import Any

from gateway.cli.output import amount
from gateway.cli.reload import report

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def fields_of(status: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values, the most important first."""
    fields = [("gateway", f"version {status['version']}, up {duration(status['uptime_seconds'])}")]
    if (configuration := status["configuration"]) is not None:
        fields.append(("config", report(configuration)))
    fields += [
        ("instances", _lines([_instance(one) for one in status["instances"]])),
        ("cooldowns", _lines([_cooldown(one) for one in status["cooldowns"]])),
        ("queue", _queue(status)),
        ("store", status["store"]["backend"] + _problem(status["store"]["problem"])),
    ]
    if (redis := status["redis"]) is not None:
        state = f"in use, {redis['latency_seconds'] * 1000:.1f} ms" if redis["available"] else "away"
        fields.append(("redis", state + _problem(redis["reason"])))
    if (ledger := status["ledger"]) is not None:
        fields.append(("ledger", f"{amount(ledger['written_rows'], 'row')} written, {ledger['lost_rows']} lost"))
    fields.append(("locks", amount(status["locks"], "client") if status["locks"] else "none"))
    return fields


def readiness_of(status: dict[str, Any]) -> str:
    """`yes`, or what is wrong."""
    if not status["ready"]:
        return f"no: {', '.join(status['failing'])}"
    return f"yes, degraded: {', '.join(status['degraded'])}" if status["degraded"] else "yes"


def duration(seconds: int) -> str:
    """The two largest units: `3 d 4 h`."""
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def _instance(one: dict[str, Any]) -> str:
    text = f"{one['host']}, process {one['process']}, version {one['version']}, generation {one['generation']}"
    return f"{text} (this one)" if one["self"] else text


def _cooldown(one: dict[str, Any]) -> str:
    return f"{one['provider']}/{one['model']} with {one['key']} for {one['seconds']} s ({one['reason']})"


def _queue(status: dict[str, Any]) -> str:
    queue = status["queue"]
    parts = [] if queue["requests"] is None else [amount(queue["requests"], "request")]
    parts += [
        amount(queue["background_runs"], "background run"),
        f"{amount(queue['conversations'], 'turn')} waiting for a conversation",
        f"{amount(queue['ledger_rows'], 'row')} waiting for the ledger",
    ]
    if status["connections"] is not None:
        parts.append(amount(status["connections"], "connection"))
    return ", ".join(parts)


def _problem(text: str | None) -> str:
    return f": {text}" if text else ""


def _lines(lines: list[str]) -> str:
    return "\n".join(lines) or "none"

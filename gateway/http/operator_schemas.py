"""The schemas of what operators ask for: configuration, status and doctor."""

from collections.abc import Mapping
from typing import Any

CONFIGURATION: Mapping[str, Any] = {
    "type": "object",
    "required": ["object", "path", "generation", "since", "watched", "last_reload"],
    "properties": {
        "object": {"const": "configuration"},
        "path": {"type": "string"},
        "generation": {"type": "integer", "description": "counts the configurations that have been in force"},
        "since": {"type": "integer", "description": "Unix time"},
        "watched": {"type": "boolean", "description": "whether a changed file is loaded by itself"},
        "last_reload": {
            "type": ["object", "null"],
            "required": ["at", "trigger", "status", "problems", "needs_restart"],
            "properties": {
                "at": {"type": "integer", "description": "Unix time"},
                "trigger": {"enum": ["file", "signal", "request"]},
                "status": {"enum": ["accepted", "unchanged", "refused"]},
                "problems": {"type": "array", "items": {"type": "string"}},
                "needs_restart": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}

DOCTOR: Mapping[str, Any] = {
    "type": "object",
    "required": ["object", "deep", "findings"],
    "properties": {
        "object": {"const": "doctor"},
        "deep": {"type": "boolean"},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "severity", "seen", "why", "fix"],
                "properties": {
                    "id": {"type": "string", "description": "docs/doctor.md lists all"},
                    "severity": {"enum": ["error", "warning", "info"]},
                    "seen": {"type": "string"},
                    "why": {"type": "string", "description": "why it matters"},
                    "fix": {"type": "string", "description": "the command to run or the key to change"},
                },
            },
        },
    },
}

_COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}
STATUS: Mapping[str, Any] = {
    "type": "object",
    "required": [
        "object", "version", "uptime_seconds", "ready", "failing", "degraded", "configuration", "instances",
        "cooldowns", "queue", "store", "redis", "ledger", "locks", "connections",
    ],
    "properties": {
        "object": {"const": "status"},
        "version": {"type": "string"},
        "uptime_seconds": _COUNT,
        "ready": {"type": "boolean"},
        "failing": _TEXTS,
        "degraded": _TEXTS,
        "configuration": {"anyOf": [CONFIGURATION, {"type": "null"}]},
        "instances": {
            "type": "array",
            "description": "this process first, then all that have sent a heartbeat to Redis in the last 5 seconds",
            "items": {
                "type": "object",
                "required": ["host", "process", "version", "started_at", "generation", "self"],
                "properties": {
                    "host": {"type": "string"},
                    "process": _COUNT,
                    "version": {"type": "string"},
                    "started_at": {"type": "integer", "description": "Unix time"},
                    "generation": _COUNT,
                    "self": {"type": "boolean", "description": "whether it is the one that answers"},
                },
            },
        },
        "cooldowns": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["provider", "model", "key", "reason", "seconds"],
                "properties": {
                    "provider": {"type": "string"},
                    "model": {"type": "string"},
                    "key": {"type": "string", "description": "the name of the key, not the key"},
                    "reason": {"type": "string", "description": "the kind of failure"},
                    "seconds": {"type": "integer", "description": "until one run probes it"},
                },
            },
        },
        "queue": {
            "type": "object",
            "required": ["requests", "conversations", "background_runs", "ledger_rows"],
            "properties": {
                "requests": {"type": ["integer", "null"], "description": "being answered; null without metrics"},
                "conversations": {**_COUNT, "description": "turns that wait for their conversation"},
                "background_runs": _COUNT,
                "ledger_rows": {**_COUNT, "description": "rows that wait to be written to the ledger"},
            },
        },
        "store": {
            "type": "object",
            "required": ["backend", "problem"],
            "properties": {
                "backend": {"enum": ["redis", "sqlite", "memory"]},
                "problem": {"type": ["string", "null"]},
            },
        },
        "redis": {
            "type": ["object", "null"],
            "required": ["available", "reason", "latency_seconds"],
            "properties": {
                "available": {"type": "boolean"},
                "reason": {"type": ["string", "null"], "description": "why it is not available"},
                "latency_seconds": {"type": "number", "description": "of the last heartbeat"},
            },
        },
        "ledger": {
            "type": ["object", "null"],
            "required": ["written_rows", "lost_rows"],
            "properties": {"written_rows": _COUNT, "lost_rows": _COUNT},
        },
        "locks": {**_COUNT, "description": "clients that are locked out"},
        "connections": {"type": ["integer", "null"]},
    },
}  # fmt: skip

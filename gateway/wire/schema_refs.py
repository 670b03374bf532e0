"""Resolves `$ref` in the JSON Schemas of tools and answers, for formats that know no references."""

from collections.abc import Mapping
from typing import Any

MAX_NODES = 20_000
"""Of one schema with its references resolved: references to references grow exponentially."""

MAX_DEPTH = 64
"""Of nesting; deeper schemas accept anything there."""

_DEFINITIONS = frozenset({"$defs", "definitions"})


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with every local reference replaced by its target, and without definitions.

    Fields beside a reference win over the target's. A reference that is cyclic, unknown or beyond MAX_NODES becomes a
    schema that accepts anything.
    """
    resolved = _Inliner(schema).node(schema, (), 0)
    return resolved if isinstance(resolved, dict) else {}


class _Inliner:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes_left = MAX_NODES

    def node(self, node: Any, open_refs: tuple[str, ...], depth: int) -> Any:
        """The node resolved; `open_refs` are the references that it is inside of."""
        if not isinstance(node, Mapping | list):
            return node
        self._nodes_left -= 1
        if self._nodes_left < 0 or depth > MAX_DEPTH:
            return {}
        if isinstance(node, list):
            return [self.node(item, open_refs, depth + 1) for item in node]
        own = {name: value for name, value in node.items() if name != "$ref"}
        ref = node.get("$ref")
        if isinstance(ref, str):
            target = None if ref in open_refs else self._target(ref)
            base = self.node(target, (*open_refs, ref), depth + 1) if isinstance(target, Mapping) else {}
            return {**base, **self._fields(own, open_refs, depth)}
        return self._fields(own if isinstance(ref, str) else node, open_refs, depth)

    def _fields(self, node: Mapping[str, Any], open_refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in node.items():
            if name in _DEFINITIONS:
                continue
            if name in ("properties", "patternProperties") and isinstance(value, Mapping):
                # Properties may have any name, also one of a keyword.
                fields[name] = {key: self.node(sub, open_refs, depth + 1) for key, sub in value.items()}
            elif name in ("default", "const", "enum", "example", "examples", "required"):
                fields[name] = value  # data, not schemas
            else:
                fields[name] = self.node(value, open_refs, depth + 1)
        return fields

    def _target(self, ref: str) -> Any:
        if not ref.startswith("#"):
            return None
        value: Any = self._root
        for step in filter(None, ref[1:].split("/")):
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value

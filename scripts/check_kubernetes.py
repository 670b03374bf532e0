"""Check manifests against the API of Kubernetes: every object is known, and every field has the right name and type.

Usage: python scripts/check_kubernetes.py FILE...
"""

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import yaml


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one object, as `kubectl` does."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    pairs = [(loader.construct_object(key), loader.construct_object(value, deep=True)) for key, value in node.value]
    if len(pairs) > len(dict(pairs)):
        raise yaml.constructor.ConstructorError(None, None, "a key stands twice in this object", node.start_mark)
    return dict(pairs)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def problems_of(text: str) -> Iterator[str]:
    """One sentence per problem: `Deployment.spec.replicas: 'two' is not of type 'integer'`."""
    try:
        objects = [one for one in yaml.load_all(text, _Loader) if one is not None]
    except yaml.YAMLError as error:
        yield str(error)
        return
    for one in objects:
        api, kind = (one.get("apiVersion"), one.get("kind")) if isinstance(one, dict) else (None, None)
        if (schema := _schema(str(api), str(kind))) is None:
            yield f"Kubernetes has no {kind} in {api}"
            continue
        if not (one.get("metadata") or {}).get("name"):
            yield f"{kind}.metadata.name: is missing"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(one):
            best = jsonschema.exceptions.best_match([error])
            yield f"{kind}.{'.'.join(map(str, best.absolute_path))}: {best.message}"


@cache
def _schema(api: str, kind: str) -> dict[str, Any] | None:
    """The schema of a kind, in which no object has other fields than its own."""
    group, _, version = api.rpartition("/")
    try:
        module = import_module(f"lightkube.models.{group.partition('.')[0] or 'core'}_{version}")
    except ModuleNotFoundError:
        return None
    model = getattr(module, kind, None)
    if model is None or "metadata" not in getattr(model, "__struct_fields__", ()):
        return None
    (root,), definitions = msgspec.json.schema_components([model])
    for one in definitions.values():
        if "properties" in one:
            one["additionalProperties"] = False
    return {**root, "$defs": definitions}


def main() -> int:
    """0 when there are no problems, else 1."""
    problems = [f"{file}: {problem}" for file in sys.argv[1:] for problem in problems_of(Path(file).read_text("utf-8"))]
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

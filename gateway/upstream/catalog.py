"""The built-in providers, as rows of data: `providers.toml`, what their models can do: `models.json`, and what they
cost: `prices.json`.

A configured row with the same id overrides the built-in row field by field. `scripts/catalog_models.py` and
`scripts/model_prices.py` generate the JSON files at a release; their first lines name the sources and the date.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from gateway.config.provider_ids import OTHER_IDS
from gateway.upstream.authorise import KeyHeaders, bearer, key_headers_of
from gateway.upstream.model import model_from
from gateway.wire import DEFAULT_UPSTREAM, UPSTREAMS
from gateway.wire.model import ModelSpec

_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_DEFAULT_REGION = "us-east-1"
_PROJECTS = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint: its address, the environment variables of its key, its default models and its wire format (`api`).

    `base_url` is empty where every customer has an address of their own; `address` then says how it looks. `{region}`
    in it stands for an AWS region. `bearer`: the key is sent as `Authorization: Bearer` whatever the format. `quirks`
    are those of `compat` in a configuration, in snake case. `project_url` is the address for calls without an API key,
    which name a project of Google's cloud.
    """

    base_url: str
    key_variables: tuple[str, ...] = ()
    model: str | None = None
    embedding_model: str | None = None
    quirks: Mapping[str, object] = field(default_factory=dict)
    local: bool = False
    api: str = DEFAULT_UPSTREAM
    bearer: bool = False
    address: str = ""
    project_url: str = ""

    @property
    def served(self) -> bool:
        """Whether the gateway speaks its format."""
        return self.api in UPSTREAMS

    @property
    def key_headers(self) -> KeyHeaders:
        """The headers that carry its key."""
        return bearer if self.bearer else key_headers_of(self.api)

    def url(self, env: Mapping[str, str], region: str | None = None) -> str:
        """The base URL, in the configured region or that of the environment."""
        region = region or next((value for name in _REGIONS if (value := env.get(name, "").strip())), _DEFAULT_REGION)
        return self.base_url.replace("{region}", region)

    def url_without_key(self, env: Mapping[str, str], region: str | None = None) -> str:
        """The base URL of calls that a login authorises: that of the environment's project, if the row knows projects
        and the environment names one.
        """
        project = next((value for name in _PROJECTS if (value := env.get(name, "").strip())), "")
        if not (self.project_url and project):
            return self.url(env, region)
        location = env.get("GOOGLE_CLOUD_LOCATION", "").strip() or "global"
        host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
        return self.project_url.format(host=host, project=quote(project, safe=":"), location=quote(location, safe=""))


def _tables() -> dict[str, Any]:
    return tomllib.loads((files("gateway.upstream") / "providers.toml").read_text(encoding="utf-8"))


def _rows(tables: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    for name, table in tables.items():
        if name == "refused":
            continue
        row = Row(
            table["base_url"],
            tuple(table["keys"]),
            **{key: value for key, value in table.items() if key not in ("base_url", "keys")},
        )
        for one in (name, *(other for other, first in OTHER_IDS.items() if first == name)):
            yield one, row


_TABLES = _tables()

CATALOG: Mapping[str, Row] = dict(_rows(_TABLES))

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    name: tuple(other for other, same in CATALOG.items() if same is row and other != name)
    for name, row in CATALOG.items()
}
"""A provider → its other ids, which OpenClaw takes for the same."""

REFUSED: Mapping[str, str] = {
    name: f"provider {name!r} {table['reason']}; {table['instead']}" for name, table in _TABLES["refused"].items()
}
"""OpenClaw's providers with a login that the gateway does not do → why, and what to do instead."""


@cache
def _table(name: str) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Provider → model → the row of a generated file, `models` or `prices`."""
    text = (files("gateway.upstream") / f"{name}.json").read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, Mapping[str, Any]]] = json.loads(text)[name]
    return table


def model_rows(name: str, provider: str) -> Mapping[str, Mapping[str, Any]]:
    """The rows of a generated file (`models` or `prices`) for a built-in provider, by model id."""
    row = CATALOG.get(provider)
    names = [one for one, other in CATALOG.items() if other is row]  # an alias has the models of its provider
    return next((_table(name)[one] for one in names if one in _table(name)), {})


def known_models(provider: str, wire: str, quirks: Mapping[str, object]) -> dict[str, ModelSpec]:
    """The chat models of a built-in provider, by id.

    The format's profile gets `supported_reasoning_efforts` beside the row's quirks.
    """
    return {
        model: _known(model, abilities, provider, wire, quirks)
        for model, abilities in model_rows("models", provider).items()
        if not abilities.get("embedding")
    }


def _known(
    model: str, abilities: Mapping[str, Any], provider: str, wire: str, quirks: Mapping[str, object]
) -> ModelSpec:
    own = {
        "supported_reasoning_efforts": abilities.get("efforts"),
        "supports_tools": abilities.get("tools"),
    }
    return replace(
        model_from(model, wire, {**{name: value for name, value in own.items() if value is not None}, **quirks}),
        context_window=abilities.get("context"),
        images=abilities.get("images"),
        reasoning=bool(abilities.get("thinking")),
        provider=provider,
        output_limit=abilities.get("output"),
    )

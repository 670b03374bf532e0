"""Writes gateway/upstream/prices.json: what the catalogue's models cost.

Run at a release after scripts/catalog_models.py, with the two sources downloaded and unpacked:

    pip download --no-deps litellm       # MIT licence; model_prices_and_context_window_backup.json in the wheel
    pip download --no-deps genai-prices  # MIT licence; the unpacked wheel is the directory
    python scripts/model_prices.py PRICES.json GENAI_DIRECTORY --litellm-version V --genai-version V

Prices are US dollars per million tokens. It fails where both sources know a price and differ by more than 1 %, unless
scripts/price_waivers.toml says which one to trust. A price that neither knows is absent, which means unknown.
"""

import argparse
import datetime as dt
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from catalog_models import SOURCES, own_model_id

HERE = Path(__file__).parent
CATALOGUE = HERE.parent / "gateway" / "upstream" / "models.json"
TARGET = HERE.parent / "gateway" / "upstream" / "prices.json"
TOLERANCE = 0.01

# Our id → the id of the same provider in genai-prices.
GENAI = {
    "openai": "openai", "anthropic": "anthropic", "google": "google", "google-vertex": "google", "groq": "groq",
    "mistral": "mistral", "deepseek": "deepseek", "together": "together", "xai": "x-ai", "fireworks": "fireworks",
    "cerebras": "cerebras", "perplexity": "perplexity", "moonshot": "moonshotai", "zai": "zai", "cohere": "cohere",
    "minimax": "minimax", "novita": "novita", "baseten": "baseten", "meta": "meta", "amazon-bedrock": "aws",
}  # fmt: skip

# Our name → that of litellm, and that of genai-prices.
KINDS = {
    "input": ("input_cost_per_token", "input_mtok"),
    "output": ("output_cost_per_token", "output_mtok"),
    "cacheRead": ("cache_read_input_token_cost", "cache_read_mtok"),
    "cacheWrite": ("cache_creation_input_token_cost", "cache_write_mtok"),
    "cacheWrite1h": ("cache_creation_input_token_cost_above_1hr", "cache_write_1h_mtok"),
}
Rates = dict[str, float]
Tiers = dict[int, Rates]
"""Rates by the number of prompt tokens that must be exceeded; 0 for the base price."""


def main() -> int:
    """Write the file; 1 if the sources disagree, or a waiver is no longer needed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("litellm", type=Path, help="the price file of litellm")
    parser.add_argument("genai", type=Path, help="the unpacked wheel of genai-prices")
    parser.add_argument("--litellm-version", required=True, metavar="V")
    parser.add_argument("--genai-version", required=True, metavar="V")
    args = parser.parse_args()
    today = dt.datetime.now(tz=dt.UTC).date()
    models = json.loads(CATALOGUE.read_text(encoding="utf-8"))["models"]
    litellm = json.loads(args.litellm.read_text(encoding="utf-8"))
    genai = genai_providers(args.genai)
    waivers = tomllib.loads((HERE / "price_waivers.toml").read_text(encoding="utf-8"))["waivers"]
    merged = Merge(waivers)
    prices: dict[str, dict[str, dict[str, Any]]] = {}
    for provider, known in models.items():
        first = from_litellm(litellm, provider)
        second = genai.get(GENAI.get(provider, ""))
        rows = {
            model: row(*result, today)
            for model in known
            if (result := merged.price(f"{provider}/{model}", first.get(model, {}), from_genai(second, model, today)))
        }
        if rows:
            prices[provider] = rows
    for problem in (problems := merged.problems()):
        print(problem, file=sys.stderr)
    if problems:
        return 1
    sources = [
        {"name": "litellm", "version": args.litellm_version, "licence": "MIT, Copyright (c) 2023 Berri AI"},
        {
            "name": "genai-prices",
            "version": args.genai_version,
            "licence": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
        },
    ]
    TARGET.write_text(rendered(today, sources, prices), encoding="utf-8")
    print(f"{TARGET}: {sum(map(len, prices.values()))} prices of {len(prices)} providers")
    return 0


class Merge:
    """Merges the prices of the two sources, and collects where they disagree."""

    def __init__(self, waivers: list[dict[str, str]]) -> None:
        self._waivers = waivers
        self._used: set[str] = set()
        self._disagreements: list[str] = []

    def price(self, name: str, litellm: Tiers, genai: Tiers) -> tuple[Tiers, str] | None:
        """(tiers, source); None if no source knows a price or a waiver says that none can be trusted."""
        if not (litellm and genai):
            return (litellm, "litellm") if litellm else (genai, "genai-prices") if genai else None
        if not (different := differences(litellm, genai)):
            tiers = sorted(litellm.keys() | genai.keys())
            return {above: litellm.get(above, {}) | genai.get(above, {}) for above in tiers}, "genai-prices, litellm"
        waiver = next((one for one in self._waivers if fnmatchcase(name, one["models"])), None)
        if waiver is None:
            self._disagreements.append(f"{name}: {'; '.join(different)}; add a waiver to scripts/price_waivers.toml")
            return None
        self._used.add(waiver["models"])
        use = waiver["use"]
        return None if use == "none" else ({"litellm": litellm, "genai-prices": genai}[use], use)

    def problems(self) -> list[str]:
        """Disagreements without a waiver, and waivers that no disagreement needs."""
        unused = [one["models"] for one in self._waivers if one["models"] not in self._used]
        return [*self._disagreements, *(f"the waiver for {models} is no longer needed; remove it" for models in unused)]


def differences(one: Tiers, other: Tiers) -> list[str]:
    """Where both know a rate and differ by more than the tolerance."""
    return [
        f"{kind} above {above} tokens is {one[above][kind]} at litellm and {other[above][kind]} at genai-prices"
        for above in one.keys() & other.keys()
        for kind in one[above].keys() & other[above].keys()
        if abs(one[above][kind] - other[above][kind]) > TOLERANCE * max(one[above][kind], other[above][kind])
    ]


def from_litellm(prices: dict[str, Any], provider: str) -> dict[str, Tiers]:
    """Model id → its price in the file of litellm; a row that says 0 does not know the price."""
    known: dict[str, Tiers] = {}
    for key, values in prices.items():
        if values.get("litellm_provider") in SOURCES.get(provider, ()):
            tiers = litellm_tiers(values)
            if tiers.get(0, {}).get("input"):
                known[own_model_id(key, provider)] = tiers
    return known


def litellm_tiers(values: Mapping[str, Any]) -> Tiers:
    """One row of litellm: a rate per kind and tier, in dollars per token."""
    if bands := values.get("tiered_pricing"):
        return {int(band["range"][0]): dict(litellm_rates(band, "")) for band in bands if "range" in band}
    above = {int(k) for key in values if (k := "".join(re.findall(r"^input_cost_per_token_above_(\d+)k_tokens$", key)))}
    return {
        thousands * 1000: rates
        for thousands in (0, *sorted(above))
        if (rates := dict(litellm_rates(values, f"_above_{thousands}k_tokens" if thousands else "")))
    }


def litellm_rates(values: Mapping[str, Any], suffix: str) -> Iterator[tuple[str, float]]:
    """The rates of one tier in dollars per million tokens."""
    for kind, (name, _) in KINDS.items():
        if isinstance(value := values.get(f"{name}{suffix}"), int | float):
            yield kind, round(value * 1e6, 6)


def genai_providers(package: Path) -> dict[str, Any]:
    """The providers of genai-prices, by id; its data are Python."""
    sys.path.insert(0, str(package))
    from genai_prices.data import providers  # type: ignore[import-not-found] # noqa: PLC0415 - from the directory

    return {provider.id: provider for provider in providers}


def from_genai(provider: Any, model: str, today: dt.date) -> Tiers:
    """The price of a model in genai-prices, at the hour of the day at which it is highest."""
    match = provider.find_model(model) if provider is not None else None
    if match is None:
        return {}
    hours = (dt.datetime.combine(today, dt.time(hour), dt.UTC) for hour in range(24))
    tiers: Tiers = max(
        (genai_tiers(vars(match.get_prices(hour))) for hour in hours), key=lambda one: sum(one[0].values())
    )
    return tiers if tiers[0].get("input") else {}


def genai_tiers(values: Mapping[str, Any]) -> Tiers:
    """One price of genai-prices; a kind without tiers of its own costs the same in all."""
    known = {kind: values[name] for kind, (_, name) in KINDS.items() if values.get(name) is not None}
    above = sorted({tier.start for value in known.values() for tier in getattr(value, "tiers", ())})
    return {start: {kind: genai_rate(value, start) for kind, value in known.items()} for start in (0, *above)}


def genai_rate(value: Any, start: int) -> float:
    """The rate of one kind in the tier that begins at `start`."""
    rate = getattr(value, "base", value)
    for tier in getattr(value, "tiers", ()):
        if tier.start <= start:
            rate = tier.price
    return float(rate)


def row(tiers: Tiers, source: str, today: dt.date) -> dict[str, Any]:
    """One line of the file."""
    base, *longer = sorted(tiers.items())
    values: dict[str, Any] = dict(base[1])
    if longer:
        values["tiers"] = [{"above": above, **base[1], **rates} for above, rates in longer]
    return {**values, "source": source, "date": today.isoformat()}


def rendered(today: dt.date, sources: list[dict[str, str]], prices: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The file's text: JSON with one line per model."""
    lines = [f'{{"date": "{today.isoformat()}", "sources": {json.dumps(sources)}, "prices": {{']
    for number, (name, rows) in enumerate(sorted(prices.items())):
        inside = ",\n".join(f"  {json.dumps(model)}: {json.dumps(values)}" for model, values in sorted(rows.items()))
        lines.append(f'{"," if number else ""}"{name}": {{\n{inside}\n }}')
    return "\n".join([*lines, "}}", ""])


if __name__ == "__main__":
    sys.exit(main())

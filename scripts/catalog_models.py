"""Writes gateway/upstream/models.json: what the models of the built-in providers can do.

Run at a release, with the two sources downloaded and unpacked:

    pip download --no-deps litellm       # MIT licence; model_prices_and_context_window_backup.json in the wheel
    npm pack openclaw                    # MIT licence; dist/extensions/*/openclaw.plugin.json in the archive
    python scripts/catalog_models.py PRICES.json OPENCLAW_DIRECTORY --litellm-version V --openclaw-version V

The output is sorted, one model per line, so that a release's difference can be read. Where both sources know a model,
OpenClaw's limits win, because its users expect them.
"""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "gateway" / "upstream" / "models.json"

# Our id → the ids of the same provider in the price file; a prefix `<id>/` is cut off model names.
SOURCES = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "google": ("gemini",),
    "google-vertex": ("vertex_ai-language-models",),
    "groq": ("groq",),
    "mistral": ("mistral",),
    "deepseek": ("deepseek",),
    "together": ("together_ai",),
    "xai": ("xai",),
    "fireworks": ("fireworks_ai", "fireworks_ai-embedding-models"),
    "cerebras": ("cerebras",),
    "perplexity": ("perplexity",),
    "moonshot": ("moonshot",),
    "nvidia": ("nvidia_nim",),
    "vercel-ai-gateway": ("vercel_ai_gateway",),
    "zai": ("zai",),
    "qwen": ("dashscope",),
    "cohere": ("cohere", "cohere_chat"),
    "deepinfra": ("deepinfra",),
    "novita": ("novita",),
    "baseten": ("baseten",),
    "featherless": ("featherless_ai",),
    "gmi": ("gmi",),
    "meta": ("meta",),
    "minimax": ("minimax",),
    "volcengine": ("volcengine",),
    "tencent-tokenhub": ("tencent",),
    "opencode-go": ("opencode_go",),
    "amazon-bedrock": ("bedrock_converse",),
    "amazon-bedrock-mantle": ("bedrock_mantle",),
}
_PREFIXES = {"google-vertex": "vertex_ai"}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_USUAL_EFFORTS = frozenset({"low", "medium", "high"})


def main() -> int:
    """Write the file; 1 when a source has nothing for a provider that it should know."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prices", type=Path, help="the price file of litellm")
    parser.add_argument("openclaw", type=Path, help="the unpacked package of OpenClaw")
    parser.add_argument("--litellm-version", required=True, metavar="V")
    parser.add_argument("--openclaw-version", required=True, metavar="V")
    args = parser.parse_args()
    prices = json.loads(args.prices.read_text(encoding="utf-8"))
    models = {name: dict(from_prices(prices, name, ids)) for name, ids in SOURCES.items()}
    for name, rows in from_manifests(args.openclaw):
        known = models.setdefault(name, {})
        for model, row in rows.items():
            known[model] = {**known.get(model, {}), **row}
    if empty := [name for name, rows in models.items() if not rows]:
        print(f"no model was values for: {', '.join(empty)}", file=sys.stderr)
        return 1
    sources = [
        {"name": "litellm", "version": args.litellm_version, "licence": "MIT, Copyright (c) 2023 Berri AI"},
        {
            "name": "openclaw",
            "version": args.openclaw_version,
            "licence": "MIT, Copyright (c) 2026 OpenClaw Foundation",
        },
    ]
    TARGET.write_text(rendered(sources, models), encoding="utf-8")
    print(f"{TARGET}: {sum(map(len, models.values()))} models of {len(models)} providers")
    return 0


def from_prices(prices: dict[str, Any], name: str, ids: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(model id, abilities) of one provider in the price file; fine-tunes and other modes are left out."""
    for key, row in prices.items():
        if row.get("litellm_provider") not in ids or row.get("mode") not in ("chat", "responses", "embedding"):
            continue
        model = own_model_id(key, name)
        if not model.startswith("ft:"):
            yield model, abilities(row)


def own_model_id(key: str, name: str) -> str:
    """The id that our provider `name` gives a model of the price file."""
    prefix, slash, name_there = key.partition("/")
    return name_there if slash and prefix in {_PREFIXES.get(name, one) for one in SOURCES[name]} else key


def abilities(row: dict[str, Any]) -> dict[str, Any]:
    """One row of the price file in our words; what it does not say is absent."""
    if row["mode"] == "embedding":
        values = {
            "embedding": True,
            "context": row.get("max_input_tokens"),
            "dimensions": row.get("output_vector_size"),
        }
        return {key: value for key, value in values.items() if isinstance(value, int)}
    values = {
        "context": row.get("max_input_tokens"),
        "output": row.get("max_output_tokens"),
        "images": row.get("supports_vision", False),
        "tools": row.get("supports_function_calling"),
        "thinking": row.get("supports_reasoning", False),
        "efforts": efforts(row),
    }
    return {key: value for key, value in values.items() if isinstance(value, bool | int | list)}


def efforts(row: dict[str, Any]) -> list[str] | None:
    """The effort levels that a model takes; None where the source does not say."""
    if levels := row.get("reasoning_effort_levels"):
        return [level for level in _EFFORTS if level in levels]
    flags = {level: row.get(f"supports_{level}_reasoning_effort") for level in _EFFORTS}
    if not row.get("supports_reasoning") or not any(value is not None for value in flags.values()):
        return None
    return [level for level in _EFFORTS if flags[level] or (flags[level] is None and level in _USUAL_EFFORTS)]


def from_manifests(package: Path) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """(provider, models) of OpenClaw's own manifests; providers with a login of their own are left out."""
    for file in sorted(package.glob("dist/extensions/*/openclaw.plugin.json")):
        catalogue = json.loads(file.read_text(encoding="utf-8")).get("modelCatalog", {})
        for name, provider in catalogue.get("providers", {}).items():
            if name not in ("claude-cli", "github-copilot"):
                yield name, {model["id"]: manifest_abilities(model) for model in provider.get("models", ())}


def manifest_abilities(model: dict[str, Any]) -> dict[str, Any]:
    """One model of a manifest in our words."""
    compat = model.get("compat", {})
    windows = [value for key in ("contextWindow", "contextTokens") if (value := model.get(key))]
    values = {
        "context": min(windows, default=None),
        "output": model.get("maxTokens"),
        "images": "image" in model.get("input", ("text",)),
        "tools": compat.get("supportsTools"),
        "thinking": model.get("reasoning", False),
        "efforts": compat.get("supportedReasoningEfforts"),
    }
    return {key: value for key, value in values.items() if value is not None}


def rendered(sources: list[dict[str, str]], models: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The file's text: JSON with one line per model."""
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    lines = [f'{{"date": "{date}", "sources": {json.dumps(sources)}, "models": {{']
    for number, (name, rows) in enumerate(sorted(models.items())):
        inside = ",\n".join(f"  {json.dumps(model)}: {json.dumps(row)}" for model, row in sorted(rows.items()))
        lines.append(f'{"," if number else ""}"{name}": {{\n{inside}\n }}')
    return "\n".join([*lines, "}}", ""])


if __name__ == "__main__":
    sys.exit(main())

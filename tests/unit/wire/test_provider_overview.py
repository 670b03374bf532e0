"""The overview of the providers (`docs/providers/README.md`): every built-in id, and what each format can do itself.

A cell of the table is computed from the format: the request that it makes, or refuses to make, for a probe, or what is
left of an answer that its provider sends.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import GatewayError
from gateway.core.event import Batch, Finish, ToolCallBegin
from gateway.core.message import Audio, Image, Message, Text
from gateway.core.turn import Options, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.core.upstream_error import UpstreamError
from gateway.upstream.catalog import CATALOG, REFUSED
from gateway.upstream.model import model_from
from gateway.wire import UPSTREAMS
from tests.unit.wire.every_format import ANSWERS
from tests.unit.wire.formats import PROVIDERS
from tests.unit.wire.streams import read_stream

PAGE = Path(__file__).parents[3] / "docs" / "providers" / "README.md"
COLUMNS = (
    "openai-completions",
    "openai-responses",
    "anthropic-messages",
    "ollama",
    "google-generative-ai",
    "bedrock-converse-stream",
)
TWINS = {"azure-openai-responses": "openai-responses", "google-vertex": "google-generative-ai"}
YES, NO = "yes", "\N{EN DASH}"

OWN_WORDS = frozenset({"openai-completions", "ollama"})  # whose reasons are the neutral ones

TOOL = ToolSpec("look", "Look at it.", {"type": "object"})
HI = Message(role="user", parts=(Text("hi"),))


def body(api: str, **fields: Any) -> Mapping[str, Any] | None:
    """The request of a format for a turn; None if it refuses it."""
    spec = model_from(PROVIDERS[api].MODEL, api, {})
    turn = Turn(model="openclaw", **{"messages": (HI,), "tools": (TOOL,), **fields})
    try:
        asked = UPSTREAMS[api].request(turn, spec)
    except (GatewayError, UpstreamError):
        return None
    read: dict[str, Any] = json.loads(asked.body)
    return {**read, "choice in words": asked.choice_in_words}


def part(one: Any) -> Callable[[str], str]:
    """Whether a part reaches the provider."""
    message = Message(role="user", parts=(Text("hi"), one))
    return lambda api: NO if body(api, messages=(message,)) is None else YES


def setting(**fields: Any) -> Callable[[str], str]:
    """Whether a setting changes the request."""
    return lambda api: NO if body(api, **fields) == body(api) else YES


def demanded(api: str) -> str:
    asked = body(api, tool_choice=ToolChoice("required"))
    assert asked is not None
    return "in words" if asked["choice in words"] else YES


def answers(name: str, attribute: str) -> Callable[[str], str]:
    """Whether something of an answer has a field of its own."""
    return lambda api: YES if getattr(PROVIDERS[api].received(ANSWERS[name], stream=False), attribute) else NO


def filtered(api: str) -> str:
    finish = PROVIDERS[api].received(ANSWERS["content filter"], stream=False).finish
    return YES if finish == "content_filter" else NO


def counted(attribute: str) -> Callable[[str], str]:
    def cell(api: str) -> str:
        usage = PROVIDERS[api].received(ANSWERS["text"], stream=False).usage
        return YES if getattr(usage, attribute) else NO

    return cell


def events(api: str, frames: list[bytes]) -> tuple[Batch, UpstreamError | None]:
    return read_stream(UPSTREAMS[api].parser(model_from(PROVIDERS[api].MODEL, api, {})), frames)


def calls_at_once(api: str) -> str:
    read, _ = events(api, PROVIDERS[api].frames(ANSWERS["parallel calls"]))
    return YES if [one.name for one in read if isinstance(one, ToolCallBegin)] == ["look", "look"] else NO


def schema(api: str) -> str:
    form = ResponseFormat(
        "json_schema", {"name": "point", "schema": {"type": "object", "properties": {"probe": {"type": "string"}}}}
    )
    asked = body(api, sampling=Sampling(response_format=form), tools=())
    assert asked is not None
    conversation = [asked.pop(name, None) for name in ("messages", "system", "input", "contents", "systemInstruction")]
    if "probe" in json.dumps(conversation):
        return "in words"
    return YES if "probe" in json.dumps(asked) else NO


def reason_of_the_end(api: str) -> str:
    """Whether the provider's own word survives: it is the neutral one, or beside it."""
    read, _ = events(api, PROVIDERS[api].frames(ANSWERS["length"]))
    (finish,) = [one for one in read if isinstance(one, Finish)]
    return YES if finish.reason == "length" and (finish.raw or api in OWN_WORDS) else NO


def broken_off(api: str) -> str:
    """Whether an error after the first text is one, with its cause."""
    frames = PROVIDERS[api].frames(ANSWERS["text"])
    read, failure = events(api, [*frames[:-3], PROVIDERS[api].failure("Too many people.", stream=True)])
    assert not any(isinstance(one, Finish) for one in read)
    return YES if failure is not None and "Too many people." in failure.message else NO


def own_tools(api: str) -> str:
    return {"any": YES, "labelled": "its own", "none": "as functions"}[UPSTREAMS[api].own_tools]


def pdfs(api: str) -> str:
    return YES if UPSTREAMS[api].reads_pdfs(model_from(PROVIDERS[api].MODEL, api, {})) else "as text"


def breakpoints(api: str) -> str:
    def sets(quirks: Mapping[str, object]) -> bool:
        asked = UPSTREAMS[api].request(Turn("openclaw", (HI,)), model_from(PROVIDERS[api].MODEL, api, quirks))
        return b"cache_control" in asked.body or b"cachePoint" in asked.body

    return YES if sets({}) else "if set" if sets({"cache_control_format": "anthropic"}) else NO


FEATURES: Mapping[str, Callable[[str], str]] = {
    "reasoning in the answer": answers("thinking", "thinking"),
    "effort of reasoning": setting(options=Options(effort="low")),
    "parallel calls": calls_at_once,
    "JSON schema of the answer": schema,
    "the provider's reason of the end": reason_of_the_end,
    "errors in a stream": broken_off,
    "images by data": part(Image("data:image/png;base64,iVBORw0KGgo=")),
    "images by URL": part(Image("https://a.example/1.png")),
    "audio": part(Audio("UklGRg==", "wav")),
    "PDF as it is": pdfs,
    "reasoning with signatures": lambda api: YES if PROVIDERS[api].SIGNS else NO,
    "`tool_choice: required`": demanded,
    "`parallel_tool_calls`": setting(options=Options(parallel_tool_calls=False)),
    "tools that are no functions": own_tools,
    "`stop`": lambda api: (
        setting(sampling=Sampling(stop=("a",)))(api) if UPSTREAMS[api].stop_sequences else "by the gateway"
    ),
    "`seed`": setting(sampling=Sampling(seed=1)),
    "penalties": setting(sampling=Sampling(presence_penalty=1.0)),
    "`logprobs`": setting(options=Options(logprobs=True, top_logprobs=2)),
    "`verbosity`": setting(options=Options(verbosity="low")),
    "`metadata`": setting(options=Options(metadata={"a": "b"})),
    "`service_tier`": setting(options=Options(service_tier="auto")),
    "`safety_identifier`": setting(options=Options(end_user="u")),
    "`prompt_cache_key`": setting(options=Options(cache_key="k")),
    "breakpoints of the prompt cache": breakpoints,
    "refusals apart from text": answers("refusal", "refusal"),
    "citations": answers("citations", "citations"),
    "content filter as a reason": filtered,
    "cached tokens": counted("cached"),
    "tokens of reasoning": counted("reasoning"),
    "embeddings": lambda api: NO if UPSTREAMS[api].embeddings is None else YES,
}


def rows_of(text: str, heading: str) -> Iterator[list[str]]:
    """The cells of the first table below a heading."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_formats_says_what_each_can_do():
    head, *rows = rows_of(PAGE.read_text(encoding="utf-8"), "What each format can do")
    assert tuple(cell.strip("`") for cell in head[1:]) == COLUMNS
    expected = [[feature, *(cell(api) for api in COLUMNS)] for feature, cell in FEATURES.items()]
    assert rows == expected, "\n".join(f"| {' | '.join(row)} |" for row in expected)


@pytest.mark.parametrize("api", TWINS)
def test_a_format_without_a_column_can_do_what_its_twin_can(api: str):
    assert UPSTREAMS.keys() == {*COLUMNS, *TWINS}
    for feature, cell in FEATURES.items():
        assert cell(api) == cell(TWINS[api]), feature


def test_every_built_in_provider_is_on_the_page_with_its_format_its_key_and_its_page():
    text = PAGE.read_text(encoding="utf-8")
    _, *rows = rows_of(text, "Built-in providers")
    on_page = {}
    for ids, api, keys, page in rows:
        assert (PAGE.parent / re.search(r"\]\(([^)#]+)", page)[1]).exists()
        for name in re.findall(r"`([^`]+)`", ids):
            on_page[name] = (api.strip("`"), tuple(re.findall(r"`([^`]+)`", keys)))
    assert on_page == {name: (row.api, row.key_variables) for name, row in CATALOG.items()}


def test_every_provider_that_is_refused_is_on_the_page_with_what_to_use_instead():
    _, *rows = rows_of(PAGE.read_text(encoding="utf-8"), "Refused by name")
    rows = [(name.strip("`"), why, instead) for name, why, instead in rows]
    assert {name: f"provider {name!r} {why}; {instead}" for name, why, instead in rows} == REFUSED

"""The request and answer bodies of the benchmark, as a chat client and OpenAI send them.

Everything is built once from a fixed seed, so every run and both proxies get the same bytes.
"""

import base64
import json
import random
import struct
from typing import Any

PHRASES = (
    "the gateway keeps each stream whole while several clients wait for their answers and nothing is lost",
    'between two reads "quoted" naïve café résumé half-way [1] (see below) 42 costs €9.50 {json: true} path/to/file.py',
)
WORDS = tuple(word for phrase in PHRASES for word in phrase.split())

CREATED = 1_767_225_600
BURST_CHUNKS = 200
TIMED_CHUNKS = 50
TIMED_INTERVAL = 0.2  # seconds
DIMENSIONS = 1536


def text(size: int, seed: int) -> str:
    """Prose of about `size` UTF-8 bytes with the quotes, line breaks and accents that real text has."""
    choose = random.Random(seed)
    words: list[str] = []
    length = 0
    while length < size:
        word = choose.choice(WORDS) + ("\n" if choose.random() < 0.05 else " ")
        words.append(word)
        length += len(word.encode())
    return "".join(words).strip()


FORMATS_1K = ("responses1k", "anthropic1k", "ollama1k", "google1k", "bedrock1k")
"""Models that answer like `chat1k`, each in its own format."""

ANSWERS = {model: text(520, 1) for model in ("chat1k", *FORMATS_1K)} | {"chat4k": text(3400, 2)}
"""The texts of the models without special behaviour. With the envelope they are 1 KB and 4 KB of JSON."""

BURST_PIECES = tuple(f" {word}" for word in random.Random(3).choices(WORDS, k=BURST_CHUNKS))


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8, as providers and SDKs send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chat_request(model: str, *, size: int, stream: bool = False) -> bytes:
    """A chat request whose body has about `size` bytes: a system prompt, then turns of at most 2 KB each."""
    messages = [{"role": "system", "content": "You are a helpful assistant."}]
    left = size - 200
    while left > 0:
        role = "user" if len(messages) % 2 else "assistant"
        messages.append({"role": role, "content": text(min(left, 2000), len(messages))})
        left -= 2040
    if messages[-1]["role"] == "assistant":
        messages.append({"role": "user", "content": "Go on."})
    body: dict[str, Any] = {"model": model, "messages": messages, "temperature": 0.7, "max_tokens": 512}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return encode(body)


def embeddings_request(model: str) -> bytes:
    """A request for one vector of floats."""
    return encode({"model": model, "input": text(400, 5), "encoding_format": "float"})


def usage(completion: int) -> dict[str, Any]:
    """Token counts with the details that OpenAI adds."""
    return {
        "prompt_tokens": 96,
        "completion_tokens": completion,
        "total_tokens": 96 + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def completion(model: str) -> bytes:
    """The whole answer of `model`."""
    message: dict[str, Any] = {"role": "assistant", "content": ANSWERS[model], "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    envelope = {"id": "chatcmpl-BenchAnswer0123456789", "object": "chat.completion", "created": CREATED}
    return encode(envelope | {"model": model, "choices": [choice], "usage": usage(128)})


def claude_message(model: str) -> bytes:
    """The whole answer of `model` in Anthropic's Messages API."""
    content = [{"type": "text", "text": ANSWERS[model]}]
    counts = {"input_tokens": 96, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 128}
    end = {"stop_reason": "end_turn", "stop_sequence": None, "usage": counts}
    return encode({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content, **end})


def converse_answer(model: str) -> bytes:
    """The whole answer of `model` in Amazon Bedrock's Converse API."""
    message = {"role": "assistant", "content": [{"text": ANSWERS[model]}]}
    counts = {"inputTokens": 96, "outputTokens": 128, "totalTokens": 224}
    end = {"stopReason": "end_turn", "usage": counts, "metrics": {"latencyMs": 1}}
    return encode({"output": {"message": message}, **end})


def response(model: str) -> bytes:
    """The whole answer of `model` in OpenAI's Responses API."""
    part = {"type": "output_text", "text": ANSWERS[model], "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    counts = {
        "input_tokens": 96,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 128,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 224,
    }
    envelope = {"id": "resp_1", "object": "response", "created_at": CREATED, "status": "completed", "error": None}
    settings = {"incomplete_details": None, "instructions": None, "max_output_tokens": 512, "temperature": 0.7}
    return encode(envelope | settings | {"model": model, "output": [item], "store": False, "usage": counts})


def ollama_answer(model: str) -> bytes:
    """The whole answer of `model` in Ollama's chat API."""
    message = {"role": "assistant", "content": ANSWERS[model]}
    times = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 1000000)
    counts = {"prompt_eval_count": 96, "eval_count": 128}
    end = {"done": True, "done_reason": "stop", **times, **counts}
    return encode({"model": model, "created_at": "2026-01-01T00:00:00.000000000Z", "message": message, **end})


def gemini_answer(model: str) -> bytes:
    """The whole answer of `model` in Google's Gemini API."""
    content = {"role": "model", "parts": [{"text": ANSWERS[model]}]}
    counts = {"promptTokenCount": 96, "candidatesTokenCount": 128, "totalTokenCount": 224}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    end = {"usageMetadata": counts, "modelVersion": model, "responseId": "r1"}
    return encode({"candidates": [candidate], **end})


def event(model: str, delta: dict[str, str], *, finish: str | None = None) -> bytes:
    """One server-sent event of a streamed answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    envelope = {"id": "chatcmpl-BenchAnswer0123456789", "object": "chat.completion.chunk", "created": CREATED}
    return b"data: " + encode(envelope | {"model": model, "choices": [choice]}) + b"\n\n"


def last_events(model: str) -> tuple[bytes, ...]:
    """The finish chunk, the usage chunk and the end mark of a streamed answer."""
    envelope = {"id": "chatcmpl-BenchAnswer0123456789", "object": "chat.completion.chunk", "created": CREATED}
    counted = encode(envelope | {"model": model, "choices": [], "usage": usage(BURST_CHUNKS)})
    return event(model, {}, finish="stop"), b"data: " + counted + b"\n\n", b"data: [DONE]\n\n"


def vector() -> list[float]:
    """A vector of `DIMENSIONS` numbers with nine significant digits."""
    choose = random.Random(4)
    return [float(f"{choose.gauss(0, 0.025):.8e}") for _ in range(DIMENSIONS)]


def embeddings(*, packed: bool) -> bytes:
    """One vector, as floats on a line each (OpenAI indents this answer) or as base64 of little-endian float32."""
    numbers = vector()
    item: list[float] | str = numbers
    if packed:
        item = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *numbers)).decode()
    data = {"object": "embedding", "index": 0, "embedding": item}
    answer = {"object": "list", "data": [data], "model": "emb", "usage": {"prompt_tokens": 96, "total_tokens": 96}}
    return json.dumps(answer, indent=2).encode()

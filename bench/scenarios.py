"""The scenarios: the request, the checks of its answer, and the budget."""

from dataclasses import dataclass

import payloads

TOKEN = "bench-token-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request. The next one follows as soon as it is answered.

    `contains` must be in every answer. `events` is the minimum of server-sent events, 0 for a whole answer. `says` is
    the assistant's exact text, checked once per connection. `per` is the number of units in a request, so that a stream
    is measured per chunk. `budget` is the maximum ratio of CPU to the bare proxy's, if any.
    """

    name: str
    title: str
    path: str
    model: str
    body: bytes
    contains: bytes
    budget: float | None = None
    token: str = TOKEN
    status: int = 200
    events: int = 0
    says: str | None = None
    per: int = 1

    def request(self) -> bytes:
        """The whole HTTP request."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: {len(self.body)}\r\n"
        )
        return head.encode() + b"\r\n" + self.body


CHAT = "/v1/chat/completions"

SCENARIOS = (
    Scenario(
        name="chat1k",
        title="chat, 0.4 KB in, 1 KB out",
        path=CHAT,
        model="chat1k",
        body=payloads.chat_request("openclaw/chat1k", size=400),
        contains=b'"finish_reason"',
        says=payloads.ANSWERS["chat1k"],
        budget=1.25,
    ),
    Scenario(
        name="chat4k",
        title="chat, 32 KB in, 4 KB out",
        path=CHAT,
        model="chat4k",
        body=payloads.chat_request("openclaw/chat4k", size=32_000),
        contains=b'"finish_reason"',
        says=payloads.ANSWERS["chat4k"],
        budget=1.7,
    ),
    *(
        Scenario(
            name=model,
            title=f"chat, 0.4 KB in, 1 KB out, {title}",
            path=CHAT,
            model=model,
            body=payloads.chat_request(f"openclaw/{model}", size=400),
            contains=b'"finish_reason"',
            says=payloads.ANSWERS[model],
            budget=1.6,
        )
        for model, title in (
            ("responses1k", "OpenAI's Responses format"),
            ("anthropic1k", "Anthropic's format"),
            ("ollama1k", "Ollama's format"),
            ("google1k", "Google's format"),
            ("bedrock1k", "Bedrock's format"),
        )
    ),
    Scenario(
        name="burst200",
        title="SSE in bursts of 200 chunks, per chunk",
        path=CHAT,
        model="burst200",
        body=payloads.chat_request("openclaw/burst200", size=400, stream=True),
        contains=b"data: [DONE]\n\n",
        events=payloads.BURST_CHUNKS + 1,
        says="".join(payloads.BURST_PIECES),
        per=payloads.BURST_CHUNKS,
        budget=1.35,
    ),
    Scenario(
        name="embeddings",
        title="embeddings, 1,536 floats",
        path="/v1/embeddings",
        model="emb",
        body=payloads.embeddings_request("openclaw/chat1k"),
        contains=b'"embedding"',
        budget=1.3,
    ),
    Scenario(
        name="unauthorized",
        title="401, wrong bearer",
        path=CHAT,
        model="chat1k",
        body=payloads.chat_request("openclaw/chat1k", size=400),
        contains=b'"error"',
        token="wrong-token-0123456789abcdef",
        status=401,
        budget=1.6,
    ),
)

TIMED = Scenario(
    name="streams",
    title="1,000 timed streams",
    path=CHAT,
    model="timed",
    body=payloads.chat_request("openclaw/timed", size=400, stream=True),
    contains=b"data: [DONE]\n\n",
    events=payloads.TIMED_CHUNKS + 1,
    per=payloads.TIMED_CHUNKS,
)

BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, TIMED)}

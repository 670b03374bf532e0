"""The words in which providers say that a prompt is too long for a model, where no code says it.

Each is one that a provider sends: OpenAI and vLLM, Anthropic and Bedrock, Google, xAI, Groq, Mistral, Moonshot,
MiniMax, Qwen, Z.AI, GitHub, TGI and Together, llama.cpp, LM Studio, Ollama. They decide only about a refusal of the
request.
"""

import re

OVERFLOW_TEXT = (
    r"context (length|window|size|limit)|context overflow"
    r"|maximum (context|prompt length|model length)"
    r"|(prompt|input) (is )?too long|prompt exceeds max"
    r"|input length exceeds|range of input length|input length and `?max_tokens`? exceed"
    r"|token count\b.{0,60}\bexceeds|exceeds the maximum (number of tokens|context|input|length|prompt)"
    r"|exceeds? the (context|available context)"
    r"|too many (input )?tokens|token limit exceeded|exceeded model token limit"
    r"|reduce the length of the (messages|prompt|input)"
    r"|inputs?`? tokens \+ `?max_new_tokens|body too large for .{1,80} tokens"
    r"|longer than the (maximum )?model('s)? (length|context)"
    r"|prompt ?超长|上下文.{0,8}(过长|超出|超过)|超出最大长度"
)
"""A pattern; its case does not matter."""

_TEXT = re.compile(OVERFLOW_TEXT, re.IGNORECASE)


def says_overflow(message: str) -> bool:
    """Whether a refusal is about the length of the prompt."""
    return _TEXT.search(message) is not None

"""Providers with several ids, which OpenClaw takes for the same. A row with one of them is the row of all."""

OTHER_IDS = {
    "z.ai": "zai", "z-ai": "zai", "opencode-zen": "opencode", "kimi-coding": "kimi", "kimi-code": "kimi",
    "llama-cpp": "llamacpp", "bytedance": "volcengine", "doubao": "volcengine", "bedrock": "amazon-bedrock",
    "aws-bedrock": "amazon-bedrock",
}  # fmt: skip
"""Ids of providers that OpenClaw takes for another one."""


def same_provider(name: str) -> str:
    """The first of the ids of a provider."""
    name = name.strip().lower()
    return OTHER_IDS.get(name, name)

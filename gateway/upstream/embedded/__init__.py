"""The embedded model: SmolLM2 for chat in a child process, multilingual-e5-small for embeddings in a thread.

No key and no internet needed once the extra `local` is installed. How it becomes a provider is told in
`gateway.upstream.local`.
"""

from gateway.upstream.embedded.models import MODEL, EmbeddedModel
from gateway.upstream.embedded.weights import available

__all__ = ["MODEL", "EmbeddedModel", "available"]

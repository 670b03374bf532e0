"""The embedded model: SmolLM2 for chat in a child process, multilingual-e5-small for embeddings in a thread.

It needs no key and, once the extra `local` is installed, no internet. `gateway.upstream.local` makes it a provider.
"""

from gateway.upstream.embedded.models import MODEL, EmbeddedModel
from gateway.upstream.embedded.weights import available

__all__ = ["MODEL", "EmbeddedModel", "available"]

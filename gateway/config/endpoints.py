"""`gateway.http`: which endpoints are enabled, and the limits of files and images (recorded defaults)."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from gateway.config import accepted
from gateway.config.section import Count, Milliseconds, PositiveCount, Section

_IMAGE_MIMES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "image/heif")
_FILE_MIMES = ("text/plain", "text/markdown", "text/html", "text/csv", "application/json", "application/pdf")


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in names)


Names = Annotated[tuple[str, ...], AfterValidator(_lower)]


class ImagesConfig(Section):
    """`images`: limits of `image_url` parts. An empty `urlAllowlist` allows every public host."""

    allow_url: bool = False
    url_allowlist: Names = ()
    allowed_mimes: Names = _IMAGE_MIMES
    max_bytes: PositiveCount = 10 * 1024 * 1024
    max_redirects: Count = 3
    timeout_ms: Milliseconds = 10_000


class ResponsesImagesConfig(ImagesConfig):
    """`images` of the responses endpoint, where URLs are allowed by default."""

    allow_url: bool = True


class PdfConfig(Section):
    """`files.pdf`: how much of a PDF is read."""

    max_pages: PositiveCount = 4
    max_pixels: PositiveCount = 4_000_000
    min_text_chars: Count = 200


class FilesConfig(Section):
    """`files`: limits of `input_file` parts."""

    allow_url: bool = True
    url_allowlist: Names = ()
    allowed_mimes: Names = _FILE_MIMES
    max_bytes: PositiveCount = 5 * 1024 * 1024
    max_chars: PositiveCount = 60_000
    max_redirects: Count = 3
    timeout_ms: Milliseconds = 10_000
    pdf: PdfConfig = PdfConfig()


class ChatCompletionsConfig(Section):
    """`POST /v1/chat/completions`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.CHAT_COMPLETIONS

    enabled: bool = False
    report_model: Literal["requested", "upstream"] = "requested"
    """Ours: `model` of an answer is the client's string, or the model that answered."""
    images: ImagesConfig = ImagesConfig()


class ResponsesConfig(Section):
    """`POST /v1/responses`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.RESPONSES

    enabled: bool = False
    max_url_parts: Count = 8
    files: FilesConfig = FilesConfig()
    images: ResponsesImagesConfig = ResponsesImagesConfig()


class EmbeddingsConfig(Section):
    """Ours: limits of `POST /v1/embeddings`. Characters are UTF-16 units, as in OpenClaw; a token id counts as one."""

    max_inputs: PositiveCount = 2048
    max_input_chars: PositiveCount = 200_000
    max_total_chars: PositiveCount = 4_000_000


class MessagesConfig(Section):
    """`POST /v1/messages` (ours). Images and documents have the limits of `responses`."""

    enabled: bool = False


class EndpointsConfig(Section):
    """All are disabled by default, as in OpenClaw; any one enables models and embeddings too."""

    chat_completions: ChatCompletionsConfig = ChatCompletionsConfig()
    responses: ResponsesConfig = ResponsesConfig()
    embeddings: EmbeddingsConfig = EmbeddingsConfig()
    messages: MessagesConfig = MessagesConfig()

    @property
    def enabled(self) -> frozenset[str]:
        """The keys of the enabled endpoints."""
        switches = {
            "chatCompletions": self.chat_completions.enabled,
            "responses": self.responses.enabled,
            "messages": self.messages.enabled,
        }
        return frozenset(key for key, enabled in switches.items() if enabled)


class SecurityHeadersConfig(Section):
    """Headers of every response besides the fixed ones."""

    strict_transport_security: str | Literal[False] | None = None


class HttpConfig(Section):
    """`gateway.http`."""

    endpoints: EndpointsConfig = EndpointsConfig()
    security_headers: SecurityHeadersConfig = SecurityHeadersConfig()
    max_body_bytes_in_flight: Annotated[int, Field(ge=40 * 2**20)] = 256 * 2**20
    """Ours: the bytes of all large request bodies at a time."""
    allowed_hosts: tuple[str, ...] = ()
    """Ours: names for which the gateway answers, besides loopback; empty means every name."""

"""Builds the limits of images and files from the configuration, milliseconds to seconds."""

from contextlib import AsyncExitStack
from dataclasses import replace

from gateway.config.endpoints import FilesConfig, ImagesConfig
from gateway.media.document import PdfLimits
from gateway.media.fetch import Fetcher, FetchPolicy
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.media.reader import DocumentReader


def image_policy_from(config: ImagesConfig, stack: AsyncExitStack, field: str) -> ImagePolicy:
    """What images of requests may be; `field` is the one that errors name. The stack closes what fetches their URLs."""
    mimes = frozenset(config.allowed_mimes)
    if not config.allow_url:
        return ImagePolicy(mimes, config.max_bytes, field=field)
    policy = FetchPolicy(config.url_allowlist, config.max_redirects, config.timeout_ms / 1000)
    fetcher = Fetcher(policy)
    stack.push_async_callback(fetcher.close)
    return ImagePolicy(mimes, config.max_bytes, fetcher.fetch, field)


def file_policy_from(config: FilesConfig, stack: AsyncExitStack) -> FilePolicy:
    """What files of requests may be. The stack closes what fetches their URLs."""
    pdf = PdfLimits(config.pdf.max_pages, config.pdf.max_pixels, config.pdf.min_text_chars)
    policy = FilePolicy(
        frozenset(config.allowed_mimes), config.max_bytes, config.max_chars, reader=DocumentReader(), pdf=pdf
    )
    if not config.allow_url:
        return policy
    fetcher = Fetcher(
        FetchPolicy(config.url_allowlist, config.max_redirects, config.timeout_ms / 1000, code="invalid_file_url")
    )
    stack.push_async_callback(fetcher.close)
    return replace(policy, fetch=fetcher.fetch)

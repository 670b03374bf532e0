"""Images in a request. `data:` URIs are checked, URLs are fetched if they are allowed, and all else is refused.

The limits apply to the newest user message. An earlier request has checked the images in the history, so a bad one is
no error (recorded): data URIs stay unchanged, the latest URLs are fetched again if URLs are allowed, and anything else
is removed. Images in results of the client's tools are checked each time; a text replaces one that is left out.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.message import Content, Image, Message, Part, Text, ToolResult
from gateway.core.turn import Turn
from gateway.media.fetch import NOBODY, Fetched, Requester

_MAX_IMAGES = 8
_MAX_TOTAL_BYTES = 20 * 2**20
_DATA_URI = re.compile(r"data:([^,;]*)((?:;[^,;]*)*?);base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImagePolicy:
    """The accepted kinds and the maximum of bytes per image. `fetch` takes an http(s) URL, the maximum of bytes and for
    whom; it is None if URLs are not allowed. `field` is the request's field with the conversation.
    """

    mimes: frozenset[str]
    max_bytes: int
    fetch: Callable[[str, int, Requester], Awaitable[Fetched]] | None = None
    field: str = "messages"

    def refusal(self, why: str, path: str) -> BadRequest:
        """The error for an image that is refused."""
        return BadRequest(f"Invalid image_url content in `{self.field}`: {why}.", param=path)


async def checked_images(turn: Turn, policy: ImagePolicy, requester: Requester = NOBODY) -> Turn:
    """The turn with every image checked. Raises BadRequest, which names the message, and Overloaded if there is no room
    for what `requester` lets the gateway fetch.
    """
    if not turn.has_images() and not (turn.has_tool_results() and any(map(_shows_pictures, turn.messages))):
        return turn
    messages = turn.messages
    newest = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    budget = _Budget(requester)
    checked: list[Message | None] = []
    if newest >= 0:
        # Only in chat requests do our indexes match the client's.
        path = f"messages[{newest}]" if policy.field == "messages" else policy.field
        checked.append(await _checked(messages[newest], policy, path, budget))
    # The latest messages of the history get the rest of the budget.
    for message in reversed(messages[: max(newest, 0)]):
        checked.insert(0, await _from_history(message, policy, budget))
    after = [await _from_history(message, policy, budget) for message in reversed(messages[newest + 1 :])]
    checked += reversed(after)
    return replace(turn, messages=tuple(message for message in checked if message is not None))


@dataclass(slots=True)
class _Budget:
    """The remaining bytes and fetches of a request, shared by all its images."""

    requester: Requester
    size: int = _MAX_TOTAL_BYTES
    fetches: int = _MAX_IMAGES


def _shows_pictures(message: Message) -> bool:
    """Whether it is the result of a tool with an image."""
    return message.role == "tool" and any(
        isinstance(item, Image) for part in message.parts if isinstance(part, ToolResult) for item in part.content
    )


async def _result(message: Message, policy: ImagePolicy, budget: _Budget) -> Message:
    """The result of a tool with the images that can be shown, and the reasons for the others."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            content = [await _of_tool(item, policy, budget) for item in part.content]
            parts.append(replace(part, content=tuple(content)))
        else:
            parts.append(part)
    return replace(message, parts=tuple(parts))


async def _of_tool(item: Content, policy: ImagePolicy, budget: _Budget) -> Content:
    if not isinstance(item, Image):
        return item
    try:
        if item.url[:5].lower() != "data:":
            budget.fetches -= 1
            if budget.fetches < 0:
                raise policy.refusal(f"more than {_MAX_IMAGES} URLs", policy.field)
        return await _one(item, policy, policy.field, budget)
    except BadRequest as error:
        return Text(f"[An image was left out: {error.message.partition(': ')[2]}]")


async def _from_history(message: Message, policy: ImagePolicy, budget: _Budget) -> Message | None:
    if _shows_pictures(message):
        return await _result(message, policy, budget)
    if not any(isinstance(part, Image) for part in message.parts):
        return message
    parts: list[Part] = []
    for part in message.parts:
        if not isinstance(part, Image):
            parts.append(part)
        elif message.role != "user":
            parts.append(Text("[An image of the assistant can't be shown here]"))  # providers accept only the user's
        elif _DATA_URI.match(part.url):
            parts.append(part)
        elif policy.fetch is not None and part.url[:8].lower().startswith(("http://", "https://")):
            parts.append(await _refetched(part, policy, budget))
    return replace(message, parts=tuple(parts)) if parts else None


async def _refetched(image: Image, policy: ImagePolicy, budget: _Budget) -> Image | Text:
    """An image of the history, fetched from its URL, or a placeholder."""
    if budget.fetches > 0:
        budget.fetches -= 1
        try:
            return await _one(image, policy, policy.field, budget)
        except BadRequest:
            pass
    return Text("[This image of an earlier message can't be shown any more]")


async def _checked(message: Message, policy: ImagePolicy, path: str, budget: _Budget) -> Message:
    images = [part for part in message.parts if isinstance(part, Image)]
    if len(images) > _MAX_IMAGES:
        raise policy.refusal(f"at most {_MAX_IMAGES} images per message", path)
    parts = [await _one(part, policy, path, budget) if isinstance(part, Image) else part for part in message.parts]
    return replace(message, parts=tuple(parts))


async def _one(image: Image, policy: ImagePolicy, path: str, budget: _Budget) -> Image:
    """The image as a data URI with its real type."""
    mime, data = await _read(image.url, policy, path, budget.requester)
    if len(data) > budget.size:
        raise policy.refusal(f"more than {_MAX_TOTAL_BYTES} bytes of images", path)
    budget.size -= len(data)
    url = image.url
    if not url.startswith(f"data:{mime};base64,"):
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return replace(image, url=url)


async def _read(url: str, policy: ImagePolicy, path: str, requester: Requester) -> tuple[str, bytes]:
    """The image's real type and its bytes."""
    if url[:5].lower() == "data:":
        data = _decode(url, policy, path)
    elif policy.fetch is not None and url[:8].lower().startswith(("http://", "https://")):
        data = (await policy.fetch(url, policy.max_bytes, requester)).body
    elif url:
        raise policy.refusal("image URLs are not allowed here; send a base64 data URI", path)
    else:
        raise policy.refusal("it has no URL", path)
    if len(data) > policy.max_bytes:
        raise policy.refusal(f"an image is over {policy.max_bytes} bytes", path)
    mime = sniff(data)
    if mime is None or mime not in policy.mimes:
        allowed = ", ".join(sorted(name.removeprefix("image/") for name in policy.mimes))
        raise policy.refusal(f"not an image of an accepted kind ({allowed})", path)
    return mime, data


def _decode(url: str, policy: ImagePolicy, path: str) -> bytes:
    head = _DATA_URI.match(url)
    if head is None:
        raise policy.refusal("a data URI must be base64", path)
    if (len(url) - head.end()) * 3 // 4 > policy.max_bytes + 2:
        raise policy.refusal(f"an image is over {policy.max_bytes} bytes", path)
    try:
        return base64.b64decode(url[head.end() :], validate=True)
    except ValueError:  # binascii.Error, or characters beyond ASCII
        raise policy.refusal("its base64 is broken", path) from None


def sniff(data: bytes) -> str | None:
    """The type of an image by its first bytes. The declared type may be wrong."""
    for magic, mime in _MAGIC:
        if data.startswith(magic):
            return mime
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _HEIF_BRANDS.get(data[8:12])
    return None


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_HEIF_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}

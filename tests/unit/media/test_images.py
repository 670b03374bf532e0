import base64

import pytest

from gateway.core.errors import BadRequest
from gateway.core.message import Image, Message, Text, ToolResult
from gateway.core.turn import Turn
from gateway.media.fetch import Fetched
from gateway.media.images import ImagePolicy, checked_images, sniff

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 24
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 28
GIF = b"GIF89a" + b"g" * 26
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + b"w" * 16
HEIC = b"\x00\x00\x00\x18ftypheic" + b"h" * 20
HEIF = b"\x00\x00\x00\x18ftypmif1" + b"h" * 20
ALL = frozenset(f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "heic", "heif"))
POLICY = ImagePolicy(ALL, max_bytes=100)
MEBIBYTE = 2**20


def uri(data, mime="image/png", parameters=""):
    return f"data:{mime}{parameters};base64,{base64.b64encode(data).decode()}"


def turn(*urls, history=()):
    return Turn("openclaw", (*history, Message("user", (Text("look"), *(Image(url) for url in urls)))))


async def checked(url, policy=POLICY):
    (message,) = (await checked_images(turn(url), policy)).messages
    return message.parts[1].url


async def refused(asked, policy=POLICY):
    with pytest.raises(BadRequest) as caught:
        await checked_images(asked, policy)
    assert caught.value.message.startswith(f"Invalid image_url content in `{policy.field}`: ")
    return caught.value


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (b"GIF87a" + b"g" * 9, "image/gif"),
        (WEBP, "image/webp"),
        (HEIC, "image/heic"),
        (HEIF, "image/heif"),
        (b"\x00\x00\x00\x18ftypheix", "image/heic"),
        (b"\x00\x00\x00\x18ftyphevc", "image/heic"),
        (b"\x00\x00\x00\x18ftypmsf1", "image/heif"),
        (b"\x00\x00\x00\x18ftypisom", None),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", None),
        (b"GIF88a", None),
        (b"\x89PNG", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"%PDF-1.7", None),
        (b"BM\x00\x00", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(data, mime):
    assert sniff(data) == mime


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (uri(PNG), uri(PNG)),
        (uri(JPEG, "image/png"), uri(JPEG, "image/jpeg")),
        (uri(PNG, ""), uri(PNG)),
        (uri(PNG, "application/octet-stream"), uri(PNG)),
        (uri(PNG, "text/plain"), uri(PNG)),
        (uri(PNG, "IMAGE/PNG"), uri(PNG)),
        (uri(PNG, parameters=";name=a.png"), uri(PNG)),
        (uri(PNG).replace("data:", "DATA:"), uri(PNG)),
        (uri(PNG).replace(";base64", ";BASE64"), uri(PNG)),
        (uri(HEIC, "image/heic"), uri(HEIC, "image/heic")),
    ],
)
async def test_a_declared_type_is_replaced_by_the_real_one(url, sent):
    assert await checked(url) == sent


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "it has no URL"),
        ("https://example.com/a.png", "image URLs are not allowed here"),
        ("http://example.com/a.png", "image URLs are not allowed here"),
        ("file:///etc/passwd", "image URLs are not allowed here"),
        ("ftp://example.com/a.png", "image URLs are not allowed here"),
        ("a.png", "image URLs are not allowed here"),
        (" " + uri(PNG), "image URLs are not allowed here"),
        ("data:image/png,abc", "must be base64"),
        ("data:image/png;base64", "must be base64"),
        ("data:,", "must be base64"),
        ("data:image/png;base64,%%%%", "its base64 is broken"),
        ("data:image/png;base64,QUJ", "its base64 is broken"),
        ("data:image/png;base64,QU JD", "its base64 is broken"),
        ("data:image/png;base64,é", "its base64 is broken"),
        ("data:image/png;base64,", "not an image of an accepted kind"),
        (uri(b"<svg/>", "image/svg+xml"), "not an image of an accepted kind"),
        (uri(b"plain text"), "not an image of an accepted kind"),
        (uri(PNG + b"x" * 69), "over 100 bytes"),
        (uri(PNG + b"x" * 5000), "over 100 bytes"),
    ],
)
async def test_data_that_is_no_image_is_refused_with_the_reason(url, why):
    error = await refused(turn(url))
    assert why in error.message
    assert error.param == "messages[0]"


async def test_a_picture_may_have_just_the_limit():
    assert await checked(uri(PNG + b"x" * 68)) == uri(PNG + b"x" * 68)


async def test_only_the_configured_kinds_are_let_in():
    only_png = ImagePolicy(frozenset({"image/png"}), max_bytes=100)
    assert await checked(uri(PNG), only_png) == uri(PNG)
    error = await refused(turn(uri(JPEG, "image/png")), only_png)
    assert error.message.endswith("(png).")


async def test_eight_pictures_are_let_in_and_nine_are_not():
    assert len((await checked_images(turn(*[uri(PNG)] * 8), POLICY)).messages[0].parts) == 9
    assert "at most 8 images" in (await refused(turn(*[uri(PNG)] * 9))).message


async def test_all_pictures_together_have_a_limit():
    policy = ImagePolicy(ALL, max_bytes=10 * MEBIBYTE)
    big = uri(PNG.ljust(10 * MEBIBYTE, b"x"))
    assert len((await checked_images(turn(big, big), policy)).messages[0].parts) == 3
    assert f"more than {20 * MEBIBYTE} bytes" in (await refused(turn(big, big, uri(PNG)), policy)).message


async def test_a_turn_without_images_stays_unchanged():
    plain = Turn("openclaw", (Message("user", (Text("hi"),)),))
    assert await checked_images(plain, POLICY) is plain


async def test_the_other_fields_of_image_and_message_stay():
    asked = Turn("openclaw", (Message("user", (Image(uri(JPEG, ""), "low"), Text("look")), "ann"),))
    assert (await checked_images(asked, POLICY)).messages == (
        Message("user", (Image(uri(JPEG, "image/jpeg"), "low"), Text("look")), "ann"),
    )


async def test_images_in_the_history_stay_if_they_are_data_uris_and_are_removed_otherwise():
    old = uri(b"not looked at again", "image/png")
    history = (
        Message("user", (Text("first"), Image(old), Image("https://example.com/a.png"), Image(""))),
        Message("user", (Image("https://example.com/a.png"),)),
        Message("assistant", (Text("I see"),)),
    )
    checked_turn = await checked_images(turn(uri(PNG), history=history), POLICY)
    assert checked_turn.messages == (
        Message("user", (Text("first"), Image(old))),
        Message("assistant", (Text("I see"),)),
        Message("user", (Text("look"), Image(uri(PNG)))),
    )


async def test_many_pictures_in_the_history_are_no_error():
    history = (Message("user", tuple(Image(uri(PNG)) for _ in range(20))),)
    assert len((await checked_images(turn(history=history), POLICY)).messages[0].parts) == 20


async def test_a_text_stands_for_images_of_other_roles():
    history = (Message("assistant", (Text("here"), Image(uri(PNG)))),)
    text = Text("[An image of the assistant can't be shown here]")
    assert (await checked_images(turn(history=history), POLICY)).messages[0].parts == (Text("here"), text)


async def test_the_newest_user_message_is_the_one_that_is_checked_even_if_others_follow():
    asked = Turn(
        "openclaw",
        (
            Message("user", (Text("a"),)),
            Message("user", (Image("https://example.com"),)),
            Message("assistant", (Text("b"),)),
        ),
    )
    assert (await refused(asked)).param == "messages[1]"


class Fetch:
    """Replaces the network. `asked` has the URLs and limits."""

    def __init__(self, data):
        self.data = data
        self.asked = []

    async def __call__(self, url, max_bytes, _requester):
        self.asked.append((url, max_bytes))
        if self.data is None:
            raise BadRequest("The URL in the request could not be fetched.", code="invalid_image_url")
        return Fetched(self.data, "")


@pytest.mark.parametrize("url", ["https://example.com/a", "HTTP://example.com/a"])
async def test_an_allowed_url_is_fetched_and_sent_as_data(url):
    fetch = Fetch(JPEG)
    assert await checked(url, ImagePolicy(ALL, 100, fetch)) == uri(JPEG, "image/jpeg")
    assert fetch.asked == [(url, 100)]


@pytest.mark.parametrize("url", ["ftp://example.com", "file:///etc/passwd", "gopher://x", "//example.com/a"])
async def test_only_http_is_fetched(url):
    fetch = Fetch(PNG)
    await refused(turn(url), ImagePolicy(ALL, 100, fetch))
    assert fetch.asked == []


async def test_a_fetched_picture_is_checked_like_any_other():
    url = "https://example.com/a"
    assert "accepted kind" in (await refused(turn(url), ImagePolicy(ALL, 100, Fetch(b"<html>")))).message
    assert "over 10 bytes" in (await refused(turn(url), ImagePolicy(ALL, 10, Fetch(PNG)))).message


async def seen(history, fetch, *new):
    """The history that the model gets."""
    policy = ImagePolicy(ALL, 11 * MEBIBYTE, fetch)
    return (await checked_images(turn(*new, history=history), policy)).messages[:-1]


async def test_pictures_of_the_history_are_fetched_again_where_urls_are_allowed():
    fetch = Fetch(PNG)
    history = (Message("user", (Text("a"), Image("https://example.com/a", "low"))), Message("assistant", (Text("b"),)))
    assert await seen(history, fetch) == (Message("user", (Text("a"), Image(uri(PNG), "low"))), history[1])
    assert [url for url, _ in fetch.asked] == ["https://example.com/a"]


GONE = Text("[This image of an earlier message can't be shown any more]")


@pytest.mark.parametrize("data", [None, b"<html>", PNG.ljust(12 * MEBIBYTE)])
async def test_an_url_that_is_no_image_any_more_gets_a_placeholder(data):
    (message,) = await seen((Message("user", (Image("https://example.com/a"),)),), Fetch(data))
    assert message.parts == (GONE,)


async def test_the_latest_pictures_of_the_history_are_fetched_and_no_more_than_a_message_may_have():
    fetch = Fetch(PNG)
    history = tuple(Message("user", (Image(f"https://example.com/{number}"),)) for number in range(10))
    shown = [message.parts[0] for message in await seen(history, fetch, "https://example.com/new")]
    assert shown == [GONE, GONE, *[Image(uri(PNG))] * 8]
    assert len(fetch.asked) == 9


async def test_the_history_gets_what_the_newest_message_has_left_of_the_bytes_of_all():
    fetch = Fetch(PNG.ljust(10 * MEBIBYTE, b"x"))
    history = tuple(Message("user", (Image(f"https://example.com/{number}"),)) for number in range(2))
    first, second = [message.parts[0] for message in await seen(history, fetch, "https://example.com/new")]
    assert first == GONE
    assert isinstance(second, Image)


async def test_a_refusal_names_the_field_of_its_format():
    policy = ImagePolicy(ALL, 100, field="input")
    assert (await refused(turn(""), policy)).param == "input"


def results(*urls):
    content = (Text("These."), *(Image(url) for url in urls))
    return (Message("user", (Text("look"),)), Message("tool", (ToolResult("c", content),)))


async def shown(*urls, policy=POLICY):
    """The content of a tool's result after the check."""
    result = (await checked_images(Turn("openclaw", results(*urls)), policy)).messages[1].parts[0]
    return result.content


async def test_an_unusable_picture_of_a_tool_becomes_a_text_for_the_model_and_ends_no_request():
    svg = "data:image/svg+xml;base64,PHN2Zy8+"
    content = await shown(uri(PNG), svg, "https://x.test/a.png", uri(b"x" * 200))
    assert content[:2] == (Text("These."), Image(uri(PNG)))
    assert [part.text for part in content[2:]] == [
        "[An image was left out: not an image of an accepted kind (gif, heic, heif, jpeg, png, webp).]",
        "[An image was left out: image URLs are not allowed here; send a base64 data URI.]",
        "[An image was left out: an image is over 100 bytes.]",
    ]


async def test_a_tool_may_return_more_pictures_than_a_message_may_have():
    assert await shown(*[uri(PNG)] * 12) == (Text("These."), *[Image(uri(PNG))] * 12)


async def test_the_pictures_of_the_latest_results_are_kept_if_not_all_fit():
    policy = ImagePolicy(ALL, max_bytes=11 * MEBIBYTE)
    large = uri(PNG + b"p" * (10 * MEBIBYTE))
    asked = Turn("openclaw", (*results(large), *results(large)[1:]))
    first, last = (message.parts[0].content[1] for message in (await checked_images(asked, policy)).messages[1:])
    assert isinstance(last, Image)
    assert first.text.startswith("[An image was left out: more than")

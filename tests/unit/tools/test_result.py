from types import SimpleNamespace as Part

import pytest

from gateway.tools.result import ResultLimits, read_result

LIMITS = ResultLimits(characters=30, images=1, image_characters=8)
PNG = Part(type="image", mime_type="image/png", data="iVBO")


def read(*content, structured=None, is_error=False):
    output = read_result(content, structured, is_error=is_error, limits=LIMITS)
    return [getattr(part, "url", None) or part.text for part in output.content], output.failure


@pytest.mark.parametrize(
    ("content", "rendered"),
    [
        ([Part(type="text", text="a"), Part(type="text", text="b")], ["a\nb"]),
        ([PNG, Part(type="text", text="a")], ["a", "data:image/png;base64,iVBO"]),
        ([Part(type="resource", resource=Part(uri="f:x", text="inside"))], ["inside"]),
        ([Part(type="resource_link", name="n", uri="f:x")], ["[resource: n f:x]"]),
        ([Part(type="odd")], ["[left out: odd ]"]),
        ([], ["(The tool gave no output.)"]),
    ],
)
def test_parts_become_text_and_pictures(content, rendered):
    assert read(*content) == (rendered, None)


def test_an_error_begins_with_a_marker():
    assert read(Part(type="text", text="no"), is_error=True) == (["Tool error:\nno"], "error")


def test_structured_content_counts_only_where_there_is_nothing_else():
    assert read(structured={"a": 1}) == (['{"a":1}'], None)
    assert read(Part(type="text", text="x"), structured={"a": 1}) == (["x"], None)


def test_nothing_is_larger_than_its_limit():
    ((text,), _) = read(Part(type="text", text="x" * 31))
    assert text.startswith("x" * 30 + "\n[cut here: the result has 31 characters")
    ((rendered,), _) = read(Part(type="image", mime_type="image/png", data="x" * 12))
    assert rendered.startswith("[left out: image")
    (parts, _) = read(PNG, PNG)
    assert sum(part.startswith("data:") for part in parts) == 1
    ((rendered,), _) = read(Part(type="image", mime_type="image/svg+xml", data="x"))
    assert rendered.startswith("[left out: image")


@pytest.mark.parametrize("data", ["iVB", "iV O", "iVBO!", "<png>", ""])
def test_an_image_that_is_not_base64_is_named_to_the_model(data):
    part = Part(type="image", mime_type="image/png", data=data)
    output = read_result([part], None, is_error=False, limits=ResultLimits())
    assert [one.text for one in output.content] == ["[left out: an image that is not valid base64]"]
    assert output.failure is None

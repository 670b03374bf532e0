import pytest

from gateway.core.errors import BadRequest
from gateway.core.message import Audio, File, Image, Refusal, Text
from gateway.wire.openai_responses.parts import read_content

PNG = "data:image/png;base64,AA=="


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        ({"type": "input_text", "text": "x"}, Text("x")),
        ({"type": "output_text", "text": "x", "annotations": [], "logprobs": []}, Text("x")),
        ({"type": "text", "text": "x"}, Text("x")),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "input_image", "image_url": PNG}, Image(PNG)),
        ({"type": "input_image", "image_url": PNG, "detail": "low"}, Image(PNG, "low")),
        ({"type": "input_image", "image_url": PNG, "detail": "original"}, Image(PNG, "high")),
        ({"type": "input_image", "source": {"type": "url", "url": "https://x.test/a"}}, Image("https://x.test/a")),
        (
            {"type": "input_image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            Image(PNG),
        ),
        ({"type": "input_image", "source": {"type": "base64", "data": "AA=="}}, Image("data:;base64,AA==")),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,eA=="},
            File("a.txt", "text/plain", "eA=="),
        ),
        ({"type": "input_file", "filename": "a.txt", "file_data": "eA=="}, File("a.txt", None, "eA==")),
        ({"type": "input_file", "file_url": "https://x.test/a"}, File(None, None, None, "https://x.test/a")),
        (
            {"type": "input_file", "source": {"type": "url", "url": "https://x.test/a"}},
            File(None, None, None, "https://x.test/a"),
        ),
        (
            {
                "type": "input_file",
                "source": {"type": "base64", "media_type": "text/csv", "data": "eA==", "filename": "a.csv"},
            },
            File("a.csv", "text/csv", "eA=="),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            Audio("AA==", "wav"),
        ),
    ],
)
def test_every_accepted_form_of_a_part_is_decoded(raw, part):
    assert read_content([raw], "p") == (part,)


@pytest.mark.parametrize(
    "raw",
    [
        "plain",
        {"text": "x"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "input_text"},
        {"type": "input_text", "text": 5},
        {"type": "refusal"},
        {"type": "input_image"},
        {"type": "input_image", "image_url": {"url": PNG}},
        {"type": "input_image", "source": {"type": "other", "data": "AA=="}},
        {"type": "input_image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AA=="}},
        {"type": "input_image", "source": {"type": "base64", "media_type": ["image/png"], "data": "AA=="}},
        {"type": "input_file"},
        {"type": "input_file", "file_data": ""},
        {"type": "input_file", "source": {"type": "base64", "media_type": "text/plain", "data": ""}},
        {"type": "input_audio", "input_audio": "AA=="},
        {"type": "input_audio", "input_audio": {"data": "AA=="}},
    ],
)
def test_other_forms_of_parts_are_refused_with_their_path(raw):
    with pytest.raises(BadRequest) as caught:
        read_content([{"type": "text", "text": "fine"}, raw], "input[0].content")
    assert caught.value.param is not None
    assert caught.value.param.startswith("input[0].content[1]")


@pytest.mark.parametrize("kind", ["input_image", "input_file"])
def test_ids_of_stored_files_are_refused_with_an_alternative(kind):
    with pytest.raises(BadRequest, match=r"not stored here; send the (image|file) itself"):
        read_content([{"type": kind, "file_id": "file-1"}], "p")


def test_the_repr_of_a_file_hides_its_bytes():
    assert "c2VjcmV0" not in repr(read_content([{"type": "input_file", "file_data": "c2VjcmV0"}], "p"))

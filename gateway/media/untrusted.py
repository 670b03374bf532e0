"""Marks untrusted text, so that a model can distinguish it from instructions (recorded form)."""

import hashlib
import re
import unicodedata

_NO_TEXT = "[No extractable text]"
# Invisible characters: a word looks the same with them.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
# Letters and brackets of other scripts that look like those of the markers. NFKC folds all other variants.
_HOMOGLYPHS = {
    "<": "\u02c2\u1438\u2039\u2329\u276c\u276e\u2770\u27e8\u29fc\u3008",
    ">": "\u02c3\u1433\u203a\u232a\u276d\u276f\u2771\u27e9\u29fd\u3009",
    "_": "\u2017\u203f\u2040\u2054\ufe33\ufe34\ufe4d\ufe4e\ufe4f",
    "/": "\u2044\u2215\u29f8",
    "A": "\u0391\u0410\u0430",
    "C": "\u0421\u0441\u03f2\u03f9",
    "D": "\u0501\u13a0",
    "E": "\u0395\u0415\u0435",
    "I": "\u0399\u0406\u0456\u0131",
    "L": "\u13de\u04c0\u2113",
    "N": "\u039d\u0578",
    "O": "\u039f\u03bf\u041e\u043e",
    "R": "\u13a1",
    "S": "\u0405\u0455",
    "T": "\u03a4\u0422\u03c4\u0442",
    "U": "\u054d\u222a",
    "X": "\u03a7\u03c7\u0425\u0445",
}
_TO_PLAIN = {ord(glyph): ord(plain) for plain, glyphs in _HOMOGLYPHS.items() for glyph in glyphs}


def _obfuscated(word: str) -> str:
    """A pattern for the word with invisible characters between its letters."""
    return f"[{_INVISIBLE}]*+".join("[_\\s-]" if letter == "_" else letter for letter in word)


_MARKER = re.compile(
    rf"<[{_INVISIBLE}]*+<[{_INVISIBLE}]*+<[\s{_INVISIBLE}]*+(?P<end>{_obfuscated('END_')}[{_INVISIBLE}]*+)?"
    rf"{_obfuscated('EXTERNAL_UNTRUSTED_CONTENT')}(?:[^>\n]{{0,200}}>>>)?"
    rf"|(?P<tag><[\s{_INVISIBLE}]*+/?[\s{_INVISIBLE}]*+{_obfuscated('file')}\b(?:[^>\n]{{0,200}}>)?)",
    re.IGNORECASE,
)


def file_block(name: str, text: str, note: str = "") -> str:
    """A file's text between markers that the text can't forge. The gateway's own `note` is outside of the markers."""
    safe = _sanitized(text)
    # The id is a digest of the text: the same request gives the same prompt, and no text can contain its own digest.
    digest = hashlib.sha256(safe.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    content = safe if safe.strip() else _NO_TEXT
    return (
        f'<file name="{name}">\n\n<<<EXTERNAL_UNTRUSTED_CONTENT id="{digest}">>>\nSource: External\n---\n'
        f'{content}\n<<<END_EXTERNAL_UNTRUSTED_CONTENT id="{digest}">>>\n{note}</file>'
    )


def _sanitized(text: str) -> str:
    """The text without markers and file tags, in any letters that a model could take for them."""
    plain = text if text.isascii() else _fold(text)
    pieces, end = [], 0
    for match in _MARKER.finditer(plain):
        start, stop = match.span()
        pieces.append(text[end:start])
        if match["tag"] is None:
            pieces.append("[[END_MARKER_SANITIZED]]" if match["end"] else "[[MARKER_SANITIZED]]")
        else:
            pieces += ({"<": "&lt;", ">": "&gt;"}.get(plain[at], text[at]) for at in range(start, stop))
        end = stop
    return "".join((*pieces, text[end:]))


def _fold(text: str) -> str:
    """The text with each character replaced by its plain form. The length stays the same."""
    plain = dict(_TO_PLAIN)
    for letter in set(text):
        simple = unicodedata.normalize("NFKC", letter)
        if ord(letter) not in plain and len(simple) == 1:
            plain[ord(letter)] = ord(simple)
    return text.translate(plain)

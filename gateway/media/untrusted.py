"""Text of strangers, wrapped so that a model can tell it from what it was told (recorded form)."""

import hashlib
import re

_NO_TEXT = "[No extractable text]"
_FORGED = re.compile(r"<<<\s{0,8}(END_)?EXTERNAL_UNTRUSTED_CONTENT(?:[^>\n]{0,200}>>>)?", re.IGNORECASE)
_FILE_TAG = re.compile(r"</?\s{0,8}file\b(?:[^>\n]{0,200}>)?", re.IGNORECASE)


def file_block(name: str, text: str, note: str = "") -> str:
    """A file's text between markers that it can't forge; `note` is ours, and stands outside of them."""
    safe = _FORGED.sub(lambda found: f"[[{(found[1] or '').upper()}MARKER_SANITIZED]]", text)
    safe = _FILE_TAG.sub(lambda found: found[0].replace("<", "&lt;").replace(">", "&gt;"), safe)
    # Told by the content, so that the same request reads the same; no text can hold its own digest.
    mark = hashlib.sha256(safe.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    said = safe if safe.strip() else _NO_TEXT
    return (
        f'<file name="{name}">\n\n<<<EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\nSource: External\n---\n'
        f'{said}\n<<<END_EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\n{note}</file>'
    )

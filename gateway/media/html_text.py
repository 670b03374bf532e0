"""HTML → the visible text: no scripts, no styles, each block on its own line.

Runs in the reading process only. The parser takes linear time for hostile pages, which the standard library's does not,
but for elements nested tens of thousands deep: those end at the process's limit of CPU seconds.
"""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object", "meta", "link"})
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt"}
)
_BLOCKS |= {"fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"}
_BLOCKS |= {"legend", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead"}
_BLOCKS |= {"title", "tr", "ul"}
_CELLS = frozenset({"td", "th"})
_META_CHARSET = re.compile(rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)


def declared_charset(data: bytes) -> str | None:
    """The encoding that the page declares in its first kilobytes, where browsers look for it."""
    match = _META_CHARSET.search(data[:4096])
    return match[1].decode("ascii") if match else None


def text_of_html(page: str) -> str:
    """The text. Its first line is the page's title, if it has one."""
    root = LexborHTMLParser(page).root
    text = "" if root is None else "".join(_pieces(root))
    lines = (re.sub(r"[ \t\f\v]+", " ", line).strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _pieces(root: LexborNode) -> list[str]:
    """The texts in page order, with breaks between them. No recursion, because pages may nest to any depth."""
    pieces: list[str] = []
    preformatted = 0
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            text = node.text_content or ""
            pieces.append(text if preformatted else re.sub(r"\s+", " ", text))
        elif tag not in _HIDDEN:
            pieces.append(_before(node, tag))
            if (child := node.child) is not None:
                preformatted += tag == "pre"
                node = child
                continue
            pieces.append(_after(tag))
        while node is not None and (following := node.next) is None:
            node = node.parent
            if node is None or node.tag == root.tag:
                return pieces
            pieces.append(_after(node.tag or ""))
            preformatted -= node.tag == "pre"
        node = following if node is not None else None
    return pieces


def _before(node: LexborNode, tag: str) -> str:
    if tag == "br":
        return "\n"
    if tag == "img":
        return f" {alt} " if (alt := node.attributes.get("alt")) else ""
    return _after(tag)


def _after(tag: str) -> str:
    return "\n" if tag in _BLOCKS else " " if tag in _CELLS else ""

"""The process that reads one document: `python -m gateway.media.reading_process`.

Documents are written by strangers, and parsers of PDF and HTML are large: one that loops, swells or crashes takes this
process with it and nothing else. It bounds its own memory and time before it looks at the first byte.
"""

import sys

from gateway.media.document import Document, ReadTask, Unreadable
from gateway.media.encoding import decode_by_guess, decode_surely

MEMORY = 768 * 2**20  # bytes of address space: the interpreter and the libraries take a third
SECONDS = 8  # of processor time


def read(task: ReadTask, data: bytes) -> Document:
    """What the document says, `max_chars` of it at most. Raises Unreadable."""
    document = _read_pdf(task, data) if task.mime == "application/pdf" else Document(_text(task, data))
    shown = document.text[: task.max_chars]
    return Document(shown, len(document.text) - len(shown), document.pages)


def _read_pdf(task: ReadTask, data: bytes) -> Document:
    from gateway.media.pdf import read_pdf  # noqa: PLC0415  takes a fifth of a second, and not every file is one

    return read_pdf(data, task.pdf)


def _text(task: ReadTask, data: bytes) -> str:
    from gateway.media.html_text import declared_charset, text_of_html  # noqa: PLC0415  likewise

    is_page = task.mime == "text/html"
    charset = task.charset or (declared_charset(data) if is_page else None)
    text = decode_surely(data, charset)
    if text is None:
        text = decode_by_guess(data)
    if text is None:
        raise Unreadable(f"its content is not {task.mime}")
    return text_of_html(text) if is_page else text


def bound() -> None:
    """Give this process its limits; the system ends it when it reaches them."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def main() -> None:
    """One task from standard input, one answer to standard output."""
    bound()
    task = ReadTask.from_line(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    try:
        answer = read(task, data).to_json()
    except Unreadable as error:
        answer = error.to_json()
    except (MemoryError, RecursionError):
        answer = Unreadable("it needs too much memory to read").to_json()
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

"""The process that reads one document: `python -m gateway.media.reading_process`.

Documents are untrusted, and parsers of PDF and HTML are large. If a parser loops, takes too much memory or crashes,
only this process ends. It limits its memory and time before it reads the first byte.
"""

import sys

from gateway.media.document import Document, ReadTask, Unreadable
from gateway.media.encoding import decode_by_guess, decode_known

MAX_MEMORY = 768 * 2**20  # bytes of address space; the interpreter and the libraries take a third
MAX_CPU_SECONDS = 8


def read(task: ReadTask, data: bytes) -> Document:
    """Read a document, at most `max_chars` of its text. Raises Unreadable."""
    document = _read_pdf(task, data) if task.mime == "application/pdf" else Document(_text(task, data))
    head = document.text[: task.max_chars]
    return Document(head, len(document.text) - len(head), document.pages)


def _read_pdf(task: ReadTask, data: bytes) -> Document:
    from gateway.media.pdf import read_pdf  # noqa: PLC0415  takes a fifth of a second, and only PDFs need it

    return read_pdf(data, task.pdf)


def _text(task: ReadTask, data: bytes) -> str:
    from gateway.media.html_text import declared_charset, text_of_html  # noqa: PLC0415  only text needs it

    is_page = task.mime == "text/html"
    charset = task.charset or (declared_charset(data) if is_page else None)
    text = decode_known(data, charset)
    if text is None:
        text = decode_by_guess(data)
    if text is None:
        raise Unreadable(f"its content is not {task.mime}")
    return text_of_html(text) if is_page else text


def limit_resources() -> None:
    """Set the limits of this process. The system ends it when it exceeds them."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def main() -> None:
    """Read one task from standard input and write one result to standard output."""
    limit_resources()
    task = ReadTask.from_line(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    try:
        result = read(task, data).to_json()
    except Unreadable as error:
        result = error.to_json()
    except (MemoryError, RecursionError):
        result = Unreadable("it needs too much memory to read").to_json()
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

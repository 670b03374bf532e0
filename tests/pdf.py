"""Minimal PDFs."""

import zlib


def make_pdf(*pages: str, stream: bytes | None = None, box: str = "0 0 300 300") -> bytes:
    """A PDF with a page for each text; `stream` is the compressed content of all pages instead."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        shown = "".join(f"({line}) Tj 0 -12 Td " for line in text.split("\n"))
        content = stream or zlib.compress(f"BT /F1 10 Tf 10 280 Td {shown} ET".encode("latin-1"))
        kids.append(len(objects) + 1)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
        )
        body = content.decode("latin-1")
        objects.append(f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n{body}\nendstream")
    references = " ".join(f"{kid} 0 R" for kid in kids)
    objects[1] = f"<< /Type /Pages /Kids [{references}] /Count {len(kids)} >>"
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\n"
    return out + f"{end}startxref\n{len(out)}\n%%EOF\n".encode()

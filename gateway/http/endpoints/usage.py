"""`/api/v1/usage`: what the agents used and cost, for operators. Only an administrator sees other callers."""

import csv
import io
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.core.errors import BadRequest, NotFound, Unavailable
from gateway.core.jsonio import dumps
from gateway.core.price import NANODOLLARS
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.errors import JSON
from gateway.http.keys import CLIENT, PRINCIPAL, SERVICES
from gateway.http.quota import identity
from gateway.ledger.report import DIMENSIONS, Report, Totals, report, rows
from gateway.ledger.row import Row

CSV: Final = "text/csv"
FORMATS: Final = ("json", "csv")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_DEFAULT_SINCE = "7d"
AGE = re.compile(r"([0-9]{1,6})([mhdw])")
TIME = re.compile(r"[0-9]{1,11}(\.[0-9]{1,6})?")
MAX_COLUMNS = 3
UNWRITTEN_HEADER = "x-openclaw-unwritten-rows"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # beginnings of cells that spreadsheets run


async def usage(request: web.Request) -> web.StreamResponse:
    """Sum what was used since a time, by agent, model, caller and more; or list each request to a provider.

    The numbers contain what this instance knows and what the others have written, at most a second ago. If this one
    can't write, they are those of the stored rows, and `unwritten_rows` and a header count those that wait.
    """
    ledger = request.app[SERVICES].ledger
    if ledger is None:
        raise NotFound("The gateway keeps no ledger. Set gateway.ledger.enabled.", code="ledger_disabled")
    by, as_csv = _by(request), _wants_csv(request)
    now = time.time()
    since, until = _when(request, "since", now, _DEFAULT_SINCE), _when(request, "until", now, None)
    principal = request[PRINCIPAL]
    caller = None if principal.administers else identity(principal, request[CLIENT])
    headers = {"Cache-Control": "no-store"}
    try:
        await ledger.flush()
    except Unavailable as error:  # what is stored may be readable still: a full disk
        drop_tracebacks(error)
        headers[UNWRITTEN_HEADER] = str(ledger.waiting)
    if by == ("row",):
        return await _list_rows(
            request, rows(ledger.store, since, until, caller=caller), headers=headers, as_csv=as_csv
        )
    async with ledger.reporting:
        summed = await report(ledger.store, since, until, by, caller=caller)
    if as_csv:
        lines = [(*group, *totals.as_dict().values()) for group, totals in sorted(summed.groups.items())]
        text = _csv([(*by, *Totals().as_dict()), *lines])
        return web.Response(text=text, headers={"Content-Type": f"{CSV}; charset=utf-8", **headers})
    unwritten = int(headers.get(UNWRITTEN_HEADER, 0))
    body = dumps(_object(summed, by, since, until) | {"unwritten_rows": unwritten})
    return web.Response(body=body, headers={"Content-Type": JSON, **headers})


async def _list_rows(
    request: web.Request, pages: AsyncIterator[list[Row]], *, headers: Mapping[str, str], as_csv: bool
) -> web.StreamResponse:
    """Every row, streamed: JSON lines or CSV."""
    content = f"{CSV}; charset=utf-8" if as_csv else "application/jsonl"
    page: list[Row] = await anext(pages, [])  # a store that can't be read is an error before the response begins
    response = web.StreamResponse(headers={"Content-Type": content, **headers})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    if as_csv:
        await response.write(_csv([Row.__struct_fields__]).encode())
    while page:
        fields = [_fields(row) for row in page]
        text = _csv([tuple(one.values()) for one in fields]).encode() if as_csv else b"".join(map(_line, fields))
        await response.write(text)
        page = await anext(pages, [])
    await response.write_eof()
    return response


def _object(summed: Report, by: tuple[str, ...], since: float, until: float) -> dict[str, Any]:
    return {
        "object": "usage",
        "since": round(since),
        "until": round(until),
        "currency": "USD",
        "by": list(by),
        "data": [
            {**dict(zip(by, group, strict=True)), **totals.as_dict()} for group, totals in sorted(summed.groups.items())
        ],
        "total": summed.total.as_dict(),
        "lost_rows": summed.lost,
    }


def _fields(row: Row) -> dict[str, Any]:
    fields = msgspec.structs.asdict(row)
    fields["cost"] = None if row.cost is None else row.cost / NANODOLLARS
    return fields


def _line(fields: dict[str, Any]) -> bytes:
    return dumps(fields) + b"\n"


def _csv(lines: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(tuple(map(_cell, line)) for line in lines)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; an unknown one is empty."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return "" if value is None else value


def _by(request: web.Request) -> tuple[str, ...]:
    names = tuple(request.query.get("by", "agent").split(","))
    if names == ("row",):
        return names
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names) or not set(names) <= DIMENSIONS.keys():
        known = ", ".join(DIMENSIONS)
        raise BadRequest(f"`by`: must be `row`, or one to {MAX_COLUMNS} different ones of: {known}.", param="by")
    return names


def _when(request: web.Request, name: str, now: float, default: str | None) -> float:
    """A time in the query: Unix seconds, or an age such as `7d`, `12h` or `30m`."""
    value = request.query.get(name, default)
    if value is None:
        return now + 60.0  # the clocks of other instances
    if (age := AGE.fullmatch(value)) is not None:
        return now - int(age[1]) * _UNITS[age[2]]
    if TIME.fullmatch(value) is None:
        raise BadRequest(f"`{name}`: must be an age such as `7d`, `12h` or `30m`, or Unix seconds.", param=name)
    return float(value)


def _wants_csv(request: web.Request) -> bool:
    value = request.query.get("format")
    if value is None:
        return CSV in request.headers.get("Accept", "")
    if value not in FORMATS:
        raise BadRequest("`format`: must be `json` or `csv`.", param="format")
    return value == "csv"

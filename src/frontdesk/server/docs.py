"""`/docs`: the routes as a plain page of our own, from the schema at /openapi.json, with nothing from elsewhere."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any  # OpenAPI is JSON

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse

from frontdesk.channels.access import FOR_ALL
from frontdesk.console import CONTENT_SECURITY_POLICY

_HEADERS = {"content-security-policy": CONTENT_SECURITY_POLICY, "referrer-policy": "no-referrer"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>frontdesk: API</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/docs.css">
</head>
<body>
<h1>{title} {version}</h1>
<p>{description}</p>
<p>All forms and fields: <a href="/openapi.json">/openapi.json</a>, for any viewer or generator of OpenAPI.</p>
<table>
<thead><tr><th scope="col">Route</th><th scope="col">What it does</th><th scope="col">Answers</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def build_router(schema: Callable[[], dict[str, Any]]) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=FOR_ALL)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(schema()), headers=_HEADERS)

    @router.get("/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(schema())

    return router


def page(schema: dict[str, Any]) -> str:
    told = {name: escape(schema["info"][name]) for name in ("title", "version", "description")}
    return _PAGE.format(**told, rows="\n".join(_rows(schema)))


def _rows(schema: dict[str, Any]) -> Iterator[str]:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            route = escape(f"{method.upper()} {path}")
            answers = ", ".join(sorted(operation["responses"]))
            does = escape(operation.get("description") or operation["summary"])
            yield f"<tr><td><code>{route}</code></td><td>{does}</td><td>{answers}</td></tr>"

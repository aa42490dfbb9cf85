"""HTTP answers: objects as JSON, and every failure as ``{"error": {"code", "message"}}``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATH_LENGTH_MAX: Final = 100
"""Characters of a request's path that an answer or the log repeats."""

FRESH: Final = {"Cache-Control": "no-store"}
"""Headers of an answer that holds for the moment in which it is given."""

INTERNAL: Final = "internal_error"
"""Code of an answer that failed for a reason of our own."""


def json_reply(body: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """An object as JSON."""
    return web.json_response(body, status=status, headers=FRESH)


def error_reply(status: HTTPStatus, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """A failure: ``code`` is for programs, ``message`` for people."""
    body = {"error": {"code": code, "message": message}}
    return web.json_response(body, status=status, headers={**FRESH, **(headers or {})})


@web.middleware
async def failures_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in the same form; the cause of one of our own is logged and not told."""
    path = request.path[:PATH_LENGTH_MAX]
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return error_reply(HTTPStatus.NOT_FOUND, "not_found", f"nothing is served at {path}; try {_served(request)}")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{path} takes {allowed}, not {request.method[:PATH_LENGTH_MAX]}"
        return error_reply(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, {"Allow": allowed})
    except web.HTTPException as error:
        status = HTTPStatus(error.status)
        return error_reply(status, status.phrase.lower().replace(" ", "_"), error.reason)
    except Exception as error:
        log.exception("web.failed", path=path, error=repr(error))
        return error_reply(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL, "the answer failed; the worker's log says why")


def _served(request: web.Request) -> str:
    paths = sorted({resource.canonical for resource in request.app.router.resources()})
    return ", ".join(paths)

"""Structured logs: for people in development, JSON in production. Never a message's text, never a secret."""

import logging
import sys
import traceback

import structlog

MOST_CAUSES = 5


def configure_logs(*, production: bool) -> None:
    """Once per process, by the composition root."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if production
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _frames_alone,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),  # a line is one write
        cache_logger_on_first_use=True,
    )
    # Libraries speak up for warnings only, through the same door.
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True
    )


def _frames_alone(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """An exception as its types and places. Its text and its locals may hold a message, an argument or a secret."""
    found = event.pop("exc_info", None)
    if not found:
        return event
    error: BaseException | None = found if isinstance(found, BaseException) else sys.exc_info()[1]
    told: list[str] = []
    while error is not None and len(told) < MOST_CAUSES:
        told.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    event["exception"] = "\n\nThe above came while this was handled:\n\n".join(reversed(told))
    return event

"""What each route declared to need, read from its dependencies."""

from collections.abc import Iterable, Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from frontdesk.channels.access import Needed, Public


def declared(route: APIRoute) -> Needed | Public | None:
    """None: it declared nothing."""
    return next((call for call in _calls(route.dependant) if isinstance(call, Needed | Public)), None)


def refuse_undeclared(routes: Iterable[BaseRoute]) -> None:
    """Raises RuntimeError for a route that nobody said who may call."""
    for route in routes:
        if not isinstance(route, APIRoute) or declared(route) is None:
            raise RuntimeError(
                f"The route {getattr(route, 'path', route)} declares no permission (channels/access.py)."
            )


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)

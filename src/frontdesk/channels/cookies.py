"""Cookies of the pages: the same tokens as anywhere, where no script can read them and no other site can send them."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from frontdesk.channels.addresses import client_of
from frontdesk.core.errors import CrossSite
from frontdesk.identity.sessions import Opened

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

ACCESS, REFRESH, OPENID = "frontdesk_access", "frontdesk_refresh", "frontdesk_openid"
# For the pages' scripts: that there is a sign-in, and nothing of it.
STAFF = "frontdesk_staff"
OPENID_S = 600
# Browsers take such a cookie by TLS alone and from no other host: not from a sister domain either, which could else
# sign people in as somebody else. It has to hold for all paths.
_PREFIX = "__Host-"


def put(response: Response, opened: Opened, *, is_secure: bool) -> None:
    """`is_secure`: the request came by TLS, and so must those that bring the cookies back."""
    for name, token, seconds in (
        (ACCESS, opened.access_token, opened.access_s),
        (REFRESH, opened.refresh_token, opened.refresh_s),
    ):
        response.set_cookie(
            _named(name, is_secure=is_secure), token, max_age=seconds, secure=is_secure, httponly=True,
            samesite="strict",
        )  # fmt: skip
    response.set_cookie(STAFF, "1", max_age=opened.refresh_s, secure=is_secure, samesite="strict")


def take_away(response: Response, *, is_secure: bool) -> None:
    for name in (ACCESS, REFRESH):
        response.delete_cookie(_named(name, is_secure=is_secure), secure=is_secure, httponly=True, samesite="strict")
    response.delete_cookie(STAFF, secure=is_secure, samesite="strict")


def put_underway(response: Response, carried: str, *, is_secure: bool) -> None:
    """Lax: it must come back with a navigation from the provider's site."""
    response.set_cookie(
        _named(OPENID, is_secure=is_secure), carried, max_age=OPENID_S, secure=is_secure, httponly=True, samesite="lax"
    )


def take_underway_away(response: Response, *, is_secure: bool) -> None:
    response.delete_cookie(_named(OPENID, is_secure=is_secure), secure=is_secure, httponly=True, samesite="lax")


def brought(request: Request, name: str) -> str:
    """What the browser brought; "" for none. By TLS only under the name that this host alone can have given it."""
    return request.cookies.get(_named(name, is_secure=is_secure(request)), "")


def is_secure(request: Request) -> bool:
    return client_of(request).is_secure


def is_same_origin(request: Request) -> bool:
    """Whether a page of this very server sent it; who says nothing of where he is from is none."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc.lower() == request.headers.get("host", "").lower()


def from_own_page(request: Request) -> None:
    """Raises CrossSite for another's: a neighbour on the same site could send our cookies."""
    if not is_same_origin(request):
        raise CrossSite("Cookies are for this server's own pages. Programs use Authorization: Bearer.")


def _named(name: str, *, is_secure: bool) -> str:
    return f"{_PREFIX}{name}" if is_secure else name

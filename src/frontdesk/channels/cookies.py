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
# The refresh token goes nowhere but where it is used.
AUTH_PATH = "/api/auth"
OPENID_PATH = "/api/auth/openid"
OPENID_S = 600


def put(response: Response, opened: Opened, *, is_secure: bool) -> None:
    """`is_secure`: the request came by TLS, and so must those that bring the cookies back."""
    response.set_cookie(
        ACCESS, opened.access_token, max_age=opened.access_s, path="/", secure=is_secure, httponly=True,
        samesite="strict",
    )  # fmt: skip
    response.set_cookie(
        REFRESH, opened.refresh_token, max_age=opened.refresh_s, path=AUTH_PATH, secure=is_secure, httponly=True,
        samesite="strict",
    )  # fmt: skip

    response.set_cookie(STAFF, "1", max_age=opened.refresh_s, path="/", secure=is_secure, samesite="strict")


def take_away(response: Response) -> None:
    response.delete_cookie(ACCESS, path="/", httponly=True, samesite="strict")
    response.delete_cookie(STAFF, path="/", samesite="strict")
    response.delete_cookie(REFRESH, path=AUTH_PATH, httponly=True, samesite="strict")


def put_underway(response: Response, carried: str, *, is_secure: bool) -> None:
    """Lax: it must come back with a navigation from the provider's site."""
    response.set_cookie(
        OPENID, carried, max_age=OPENID_S, path=OPENID_PATH, secure=is_secure, httponly=True, samesite="lax"
    )


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

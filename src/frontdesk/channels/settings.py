"""A tenant's settings over HTTP: what `tenant.yaml` says, but for what is the operator's to say."""

from typing import Annotated, Any  # settings are JSON until their form has checked them

from fastapi import APIRouter, Depends, Request, Response

from frontdesk.apply.forms import TenantForm
from frontdesk.apply.written import Values
from frontdesk.channels.access import Access, Caller, allowed
from frontdesk.channels.bodies import read_object
from frontdesk.channels.definitions import CHANGED, MOST, Defining, IfMatch, etag_of, refuse_stale, tagged
from frontdesk.channels.openapi import described, schema_of
from frontdesk.core.errors import FieldError, Invalid
from frontdesk.identity.permissions import Permission

# What reaches beyond the tenant (its name in paths, private addresses), what bounds it, what holds no value here
# (secrets), and what documents would have to be read again for: only `frontdesk apply` changes it.
OPERATORS = frozenset({
    "slug", "secrets", "region", "permitted", "http_allow", "chunk_tokens", "chunk_overlap", "limits",
    "requests_per_minute", "tokens_per_minute",
})  # fmt: skip

# Who vouches for people could name himself as one of higher rank: only owners change it (`sign_in:write`).
OWNERS = ("sign_in", "issuers")

_EXAMPLE = {
    "slug": "acme",
    "name": "Acme",
    "greeting": "Hello! How can we help?",
    "languages": ["en", "es"],
    "emergency": {"texts": {"en": "If somebody is in danger, call 112 now."}},
}


def build_router(defining: Defining, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/settings", tags=["admin"])
    reads = Depends(access.own(Permission.SETTINGS_READ))
    writes = Depends(access.own(Permission.SETTINGS_WRITE))
    form = schema_of(TenantForm)
    item = closed({"etag": {"type": "string"}, "settings": form})
    example = {"etag": etag_of(_EXAMPLE), "settings": _EXAMPLE}
    patch = form | {"properties": {key: or_null(value) for key, value in form["properties"].items()}}
    patch.pop("required", None)
    for key in OPERATORS:
        del patch["properties"][key]
    body = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": patch, "example": {"greeting": "Good day!"}}},
        }
    }

    @router.get("", responses=described(200, item, "The settings", example, tagged=True))
    async def get_settings(caller: Annotated[Caller, reads]) -> Response:
        """Everything that `tenant.yaml` says but secrets, with the defaults."""
        return _settings(await defining.values(caller.tenant.id))

    @router.patch(
        "", openapi_extra=body, responses=described(200, item, "They are stored", example, tagged=True) | CHANGED
    )
    async def patch_settings(caller: Annotated[Caller, writes], request: Request, if_match: IfMatch = None) -> Response:
        """Change some of them (RFC 7396: objects are merged, null goes back to the default). Needs `If-Match`,
        and `sign_in:write` for `sign_in` and `issuers`."""
        changes = await read_object(request, MOST)
        errors = [FieldError(key, "only files that are applied change this") for key in changes if key in OPERATORS]
        if errors:
            raise Invalid(f"{errors[0].field}: {errors[0].message}.", errors=errors)

        def edit(values: Values) -> None:
            refuse_stale(values["tenant.yaml"], if_match, is_replaced=True)
            before, after = values["tenant.yaml"], merged(values["tenant.yaml"], changes)
            if any(before.get(key) != after.get(key) for key in OWNERS):
                allowed(caller.principal, Permission.SIGN_IN_WRITE)
            values["tenant.yaml"] = after

        return _settings(await defining.change(caller, request, "tenant.yaml", edit))

    return router


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396. Bodies are read at most 32 levels deep."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def _settings(values: Values) -> Response:
    settings = values["tenant.yaml"]
    return tagged({"etag": etag_of(settings), "settings": settings})


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}

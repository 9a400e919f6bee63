"""What bounds a tenant, over HTTP: for operators, of any tenant."""

from typing import Annotated, Any  # settings are JSON until their form has checked them
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from frontdesk.apply.forms import TenantForm
from frontdesk.apply.written import Values
from frontdesk.channels.access import Access, Caller
from frontdesk.channels.bodies import read_object
from frontdesk.channels.definitions import CHANGED, MOST, Defining, IfMatch, etag_of, refuse_stale, tagged
from frontdesk.channels.openapi import described, failures, schema_of
from frontdesk.channels.settings import closed, merged, or_null
from frontdesk.core.errors import FieldError, Invalid, TenantNotFound
from frontdesk.db import Database
from frontdesk.identity.permissions import Permission
from frontdesk.tenants.store import TenantRow, tenant_named

# Of `tenant.yaml`. What else is the operator's to say (private addresses, the name in paths) only files say.
BOUNDS = ("region", "permitted", "limits", "requests_per_minute", "tokens_per_minute")

_LIMITS = {"messages_per_minute": 300, "usd_per_month": 50.0}


def build_router(defining: Defining, db: Database, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/tenants/{tenant_id}/bounds", tags=["admin"])
    manages = Depends(access.own(Permission.TENANTS_MANAGE))
    fields = {key: value for key, value in schema_of(TenantForm)["properties"].items() if key in BOUNDS}
    item = closed({"etag": {"type": "string"}, "bounds": closed(fields)})
    shown = {key: value.get("default") for key, value in fields.items()} | {"limits": _LIMITS}
    example = {"etag": etag_of(shown), "bounds": shown}
    patch = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: or_null(value) for key, value in fields.items()},
    }
    body = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": patch, "example": {"limits": _LIMITS}}},
        }
    }
    missing = failures(TenantNotFound)

    async def tenant_of(tenant_id: UUID) -> TenantRow:
        tenant = await tenant_named(db, str(tenant_id))
        if tenant is None:
            raise TenantNotFound("There is no such tenant.")
        return tenant

    @router.get("", responses=described(200, item, "What bounds the tenant", example, tagged=True) | missing)
    async def get_bounds(caller: Annotated[Caller, manages], tenant_id: UUID) -> Response:
        """A tenant's limits and region, and which agents and tools it may have."""
        tenant = await tenant_of(tenant_id)
        return _tagged(await defining.values(tenant.id))

    @router.patch(
        "", openapi_extra=body, responses=described(200, item, "They hold", example, tagged=True) | CHANGED | missing
    )
    async def patch_bounds(
        caller: Annotated[Caller, manages], tenant_id: UUID, request: Request, if_match: IfMatch = None
    ) -> Response:
        """Change some of them (RFC 7396: objects are merged, null goes back to the default). Needs `If-Match`."""
        changes = await read_object(request, MOST)
        errors = [FieldError(key, f"is none of {', '.join(BOUNDS)}") for key in changes if key not in BOUNDS]
        if errors:
            raise Invalid(f"{errors[0].field}: {errors[0].message}.", errors=errors)

        def edit(values: Values) -> None:
            refuse_stale(_bounds(values), if_match, is_replaced=True)
            values["tenant.yaml"] = merged(values["tenant.yaml"], changes)

        tenant = await tenant_of(tenant_id)
        return _tagged(await defining.change(caller, request, "tenant.yaml", edit, of=tenant))

    return router


def _tagged(values: Values) -> Response:
    bounds = _bounds(values)
    return tagged({"etag": etag_of(bounds), "bounds": bounds})


def _bounds(values: Values) -> dict[str, Any]:
    return {key: values["tenant.yaml"].get(key) for key in BOUNDS}

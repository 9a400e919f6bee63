"""A tenant's secrets by name: sealed in the database, opened only where a call needs them."""

from uuid import UUID

from cachetools import TTLCache

from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher
from frontdesk.tenants import store

# A changed secret reaches the tools within this time.
FRESH_S = 10.0


class TenantSecrets:
    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher
        self._fresh: TTLCache[UUID, dict[str, bytes]] = TTLCache(10_000, FRESH_S)

    async def named(self, tenant_id: UUID, name: str) -> str | None:
        """None when there is none of that name. Raises DecryptFailed when its key is gone."""
        sealed = self._fresh.get(tenant_id)
        if sealed is None:
            async with self._db.scope(tenant_id) as scope:
                sealed = self._fresh[tenant_id] = await store.secrets(scope)
        value = sealed.get(name)
        return self._cipher.open(tenant_id, value).decode() if value is not None else None


async def opened(scope: TenantScope, cipher: Cipher) -> dict[str, tuple[str, str]]:
    """Name -> (value, the variable that it comes from), all of the scope's tenant.

    Raises DecryptFailed when the key of one is gone.
    """
    sealed, variables = await store.secrets(scope), await store.secret_variables(scope)
    return {
        name: (cipher.open(scope.tenant_id, value).decode(), variables[name] or variable_of(name))
        for name, value in sealed.items()
    }


def variable_of(name: str) -> str:
    """What a file calls the variable of a secret that came from none."""
    return name.upper()


async def put(scope: TenantScope, cipher: Cipher, name: str, value: str, variable: str | None = None) -> None:
    """`variable`: of the environment, as the tenant's file names it; None leaves what is known of it."""
    await store.put_secret(scope, name, cipher.seal(scope.tenant_id, value.encode()), variable)

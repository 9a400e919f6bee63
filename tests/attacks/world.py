"""Tenants with one of everything, made as their own people would make it: what attacks are after, and come from."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from joserfc import jws

from frontdesk.audit import Actor
from frontdesk.identity.permissions import ROLES, SCOPES, Permission, Role
from frontdesk.identity.staff import STAFF_ROLES
from frontdesk.identity.staffing import By, Changes
from frontdesk.server.serve import people_of
from frontdesk.server.services import Services
from tests.attacks.table import Operation, Uncovered
from tests.identity.issuer_server import Issuer

TEST = Actor("command", "test")
ELSEWHERE = ("203.0.113.9", 40_000)
AUDIENCE = "shop"

# Tables and columns that a refused request may write, and why.
NOT_COMPARED = {
    "audit_log": "refusals are noted there, append-only",
    "audit_heads": "where the log's chain ends",
}
COLUMNS_NOT_COMPARED = ("last_used_at", "last_seen")


@dataclass
class World:
    """One tenant. `canary` stands in everything that it says, has and is called."""

    slug: str
    id: UUID
    canary: str
    values: dict[str, str] = field(default_factory=dict)
    by_collection: dict[str, dict[str, str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    public_key: bytes = b""  # of the server's tokens: everybody may know it
    issuers_key: bytes = b""  # of its own issuer's

    def credential(self, name: str = "all") -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[name]}"}

    def may(self, operation: Operation) -> dict[str, str]:
        """Of one who may: an API key, or for what belongs to a person a sign-in; an operator's for what is theirs."""
        needed = operation.needed
        if operation.is_operators:
            return self.credential("operator")
        return self.credential("all" if needed is None or needed.permission in SCOPES else "role owner")

    def values_for(self, operation: Operation) -> dict[str, str]:
        """What its places stand for: known by name, or the first thing that the collection before it lists."""
        known = {"tenant": self.slug} | self.values
        for place in operation.ids:
            listed = self.by_collection.get(operation.collection(place), {})
            found = listed.get(place) or listed.get("id" if place.endswith("_id") else "name")
            if found is not None:
                known[place] = found
        return known


class Grounds:
    """A server's parts and its application in this process, with worlds on it and the owner's look at the rows."""

    def __init__(self, services: Services, app: Any, owner: asyncpg.Connection) -> None:
        self.services = services
        self.app = app
        self.owner = owner
        self._digests: dict[UUID, tuple[str, dict[str, str]]] = {}  # by tenant, each with what was seen before it

    def client(self, address: tuple[str, int] = ELSEWHERE, app: Any = None) -> httpx.AsyncClient:
        """As whoever comes from `address`. Failures that nobody foresaw are answers, as at a real server."""
        transport = httpx.ASGITransport(app or self.app, raise_app_exceptions=False, client=address)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=120)

    async def key(self, tenant_id: UUID, *scopes: Permission) -> tuple[UUID, str]:
        key, text = await self.services.api_keys.create(tenant_id, TEST, "of a test", scopes or SCOPES, None)
        return key.id, text

    async def world(self, slug: str, table: list[Operation], *, canary: str) -> World:
        tenant = await self.services.directory.named(slug)
        made = World(slug, tenant.id, canary)
        await self._credentials(made)
        await self._staff(made)
        await self._things(made)
        await self._tokens(made)
        await self._listed(made, table)
        return made

    async def _credentials(self, world: World) -> None:
        keys = {
            "all": await self.key(world.id),
            "revoked": await self.key(world.id),
            "expired": await self.key(world.id),
        }
        for permission in SCOPES:
            keys[f"all but {permission}"] = await self.key(world.id, *(SCOPES - {permission}))
        for role in (Role.CONTACT, Role.VISITOR):
            if scopes := ROLES[role] & SCOPES:
                keys[f"role {role}"] = await self.key(world.id, *scopes)
        world.keys = {name: text for name, (_, text) in keys.items()}
        await self.services.api_keys.revoke(world.id, TEST, keys["revoked"][0])
        query = "UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = $1"
        await self.owner.execute(query, keys["expired"][0])

    async def _staff(self, world: World) -> None:
        """Invited and signed in as people are: one of each role, an operator who may little else, and one whose sign-in
        was ended by an admin."""
        staffing = people_of(self.services, "http://localhost").staffing
        async with self.client() as client:
            others = {"operator": Role.VIEWER, "signed out": Role.OWNER}
            for name, role in ({role: role for role in STAFF_ROLES} | others).items():
                email = f"{name.replace(' ', '')}@{world.canary}.example"
                # The first owner is made by a command: nobody is there yet who could invite one.
                invited = await staffing.invite(world.id, world.slug, By(None, TEST), email, world.canary, role)
                accepted = {
                    "token": invited.link.partition("#token=")[2],
                    "name": f"{name} of {world.canary}",
                    "password": f"a long enough passphrase of {world.canary}",
                }
                tokens = await told(client.post("/api/auth/accept", json=accepted))
                if name == "operator":
                    change = Changes(is_operator=True)
                    await staffing.change(world.id, By(None, TEST), invited.staff.id, None, change)
                world.keys[name if name in others else f"role {name}"] = tokens["access_token"]
                if name == "signed out":
                    path = f"/api/admin/staff/{invited.staff.id}/sessions"
                    ended = await client.delete(path, headers=world.credential("role owner"))
                    assert ended.status_code == 204, ended.text

    async def _tokens(self, world: World) -> None:
        """What nobody gives out: an owner's token that has expired, and those of visitors of other conversations."""
        claims = json.loads(unpadded(world.keys["role owner"].split(".")[1]))
        key = await self.services.signing_keys.signer()
        header = {"alg": "RS256", "typ": "JWT", "kid": key.kid}
        late = json.dumps(claims | {"exp": int(time.time()) - 3600}).encode()
        world.keys["expired token"] = jws.serialize_compact(header, late, key, ["RS256"])
        for name, user in {"same": world.values["user_id"], "other": "somebody-else"}.items():
            issued = await self.services.tokens.issue_to_visitor(world.id, user, uuid4(), 600)
            world.keys[f"visitor, {name} user"] = issued.token
        world.public_key = key.as_pem(private=False)

    async def _things(self, world: World) -> None:
        """A conversation, with what hangs on it, by the tenant's own routes."""
        canary = world.canary
        async with self.client() as client:
            client.headers.update(world.credential())
            document = f"# Opening hours of {canary}\n\nThe {canary} desk is open from nine until noon on Mondays.\n"
            path = f"/api/admin/documents/{canary.lower()}.md"
            await told(client.put(path, content=document, headers={"content-type": "text/markdown"}))
            prompt = {"template": f"You answer for {canary}."}
            await told(client.put(f"/api/admin/prompts/p_{canary.lower()}", json=prompt))
            said = {"user_id": f"user-{canary}", "message": f"When is the {canary} desk open on Mondays?"}
            answer = await told(client.post(f"/api/{world.slug}/chat", json=said))
            world.values |= {
                "session_id": answer["session_id"],
                "conversation_id": answer["session_id"],
                "message_id": answer["message_id"],
                "passage_id": answer["citations"][0]["passage_id"],
                "user_id": said["user_id"],
                "tenant_id": str(world.id),
            }
            verdict = {"user_id": said["user_id"], "verdict": "right"}
            await told(client.put(f"/api/{world.slug}/messages/{answer['message_id']}/feedback", json=verdict))

    async def _listed(self, world: World, table: list[Operation]) -> None:
        """The first of whatever the tenant's lists have, its own things first: for places that lists stand before."""
        collections = {operation.collection(place) for operation in table for place in operation.ids}
        lists = {operation.path for operation in table if operation.needed and operation.is_read} & collections
        async with self.client() as client:
            client.headers.update(world.credential("role owner"))
            for path in sorted(path for path in lists if "{" not in path.replace("{tenant}", "")):
                query = {"user_id": world.values["user_id"]} if path.endswith("/sessions") else {}
                response = await client.get(path.replace("{tenant}", world.slug), params=query)
                items = response.json().get("items", []) if response.status_code == 200 else []
                items.sort(key=lambda item: world.canary.lower() not in json.dumps(item).lower())
                if items:
                    first = items[0]
                    world.by_collection[path] = {
                        key: str(value) for key, value in first.items() if key in _names(first)
                    }

    async def digest(self, world: World) -> dict[str, str]:
        """Of each table the tenant's rows: their places and their transactions, but for what is not compared.

        Nothing has changed in the whole server while no transaction that writes has begun or ended.
        """
        written = await self.owner.fetchval("SELECT pg_current_snapshot()::text")
        known = self._digests.get(world.id)
        if known is None or known[0] != written:
            rows = await self.owner.fetch(await self._digest_query(), world.id)
            known = self._digests[world.id] = written, {row["name"]: row["digest"] for row in rows}
        return known[1]

    async def _digest_query(self) -> str:
        if not hasattr(self, "_query"):
            tables = await self.owner.fetch(
                """
                SELECT c.relname AS name, array_agg(a.attname::text) AS columns
                  FROM pg_class AS c
                  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
                 GROUP BY c.relname
                HAVING 'tenant_id' = ANY (array_agg(a.attname::text)) OR c.relname = 'tenants'
                """
            )
            parts = []
            for table in tables:
                name, columns = table["name"], table["columns"]
                if name in NOT_COMPARED:
                    continue
                # A row that is written anew has another place and another transaction, whatever was written.
                row = "t.ctid::text || t.xmin::text"
                if any(column in columns for column in COLUMNS_NOT_COMPARED):
                    row = " - ".join(["to_jsonb(t)", *(f"'{column}'" for column in COLUMNS_NOT_COMPARED)])
                    row = f"({row})::text"
                key = "id" if name == "tenants" else "tenant_id"
                parts.append(
                    f"SELECT '{name}' AS name, count(*) || ' ' || coalesce(sum(hashtextextended({row}, 0)), 0) "
                    f"AS digest FROM {name} AS t WHERE t.{key} = $1"
                )
            self._query = " UNION ALL ".join(parts)
        return self._query


def vouch(world: World, issuer: Issuer) -> None:
    """Tokens of the tenant's own issuer: of a user, of another one, of staff, and such as it would not give."""
    now = int(time.time())
    right = {"aud": AUDIENCE, "sub": world.values["user_id"], "exp": now + 24 * 3600}
    for name, wrong in {
        "issuer's user": {},
        "issuer's other user": {"sub": "somebody-else"},
        "issuer's viewer": {"groups": ["readers", "owner", "admin"]},
        "issuer's admin": {"groups": ["admins", "owner"]},
        "issuer's, expired": {"exp": now - 3600},
        "issuer's, not yet good": {"nbf": now + 3600},
        "issuer's, for another": {"aud": "elsewhere"},
        "issuer's, for nobody": {"aud": []},
        "issuer's, of no user": {"sub": ""},
    }.items():
        world.keys[name] = issuer.token(**right | wrong)
    world.issuers_key = issuer.key.as_pem(private=False)


def _names(item: Mapping[str, Any]) -> dict[str, str]:
    named = (key for key, value in item.items() if key in ("id", "name") or key.endswith("_id") if value is not None)
    return {key: str(item[key]) for key in named}


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def told(request: Any) -> Any:
    response = await request
    if response.is_error:
        raise Uncovered(
            f"the tenant's own request failed: {response.request.url} {response.status_code} {response.text}"
        )
    return response.json()

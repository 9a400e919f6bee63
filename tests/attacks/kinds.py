"""The attacks: for each route what is tried, and what must come of it."""

import base64
import hmac
import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from joserfc import jws
from joserfc.jwk import RSAKey

from frontdesk.channels.access import Default, Machine, Named, Own
from frontdesk.channels.cookies import ACCESS, SAFE_METHODS
from frontdesk.identity.permissions import ROLES, SCOPES, Permission, Role
from tests.attacks.table import Operation, Request, valid
from tests.attacks.world import ELSEWHERE, World, unpadded

FORGERS_KEY = RSAKey.generate_key(2048, {"kid": "forged"})
HERE = ("127.0.0.1", 40_000)


@dataclass(frozen=True)
class Attempt:
    """One request that must be refused with one of `statuses` and, where there are some, of `codes`."""

    operation: Operation
    request: Request
    statuses: frozenset[int]
    codes: frozenset[str] = frozenset()
    address: tuple[str, int] = ELSEWHERE
    is_open: bool = False  # at a server that asks nobody on its machine who he is
    note: str = ""


@dataclass(frozen=True)
class Cast:
    """Who takes part. `attacker` has every credential of a tenant of his own."""

    victim: World
    attacker: World
    suspended: World
    bodies: dict[str, Any]

    def asked(self, operation: Operation, world: World) -> Request:
        return valid(operation, world.values_for(operation), self.bodies)


Kind = Callable[[Cast, Operation], Iterator[Attempt]]

UNKNOWN = frozenset({"UNAUTHENTICATED", "TOKEN_INVALID", "TOKEN_EXPIRED"})


def refused(operation: Operation, request: Request, status: int, *codes: str, **more: Any) -> Attempt:
    return Attempt(operation, request, frozenset({status}), frozenset(codes), **more)


def no_credential(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if operation.needed is not None:
        yield refused(operation, cast.asked(operation, cast.victim), 401, "UNAUTHENTICATED")


def bad_credential(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if operation.needed is None:
        return
    right = cast.victim.keys["all"]
    request = cast.asked(operation, cast.victim)
    for header in (
        "Bearer", "Bearer ", "Bearer x", "Bearer null", "Basic YWRtaW46YWRtaW4=", f"Token {right}", right, "Bearer fd_",
        f"Bearer {right[:-1]}", f"Bearer {right}x", f"Bearer {right.upper()}", f"Bearer {right} {right}", "Bearer fd__",
        f"Bearer fd_{right[3:15]}_{'A' * 43}", "Bearer ../../passwd", "Bearer ' OR 1=1 --", "Bearer a.b.c", "Bearer ..",
        "Bearer " + "." * 500, "Bearer %00", "Bearer \xff\xfe",
    ):  # fmt: skip
        yield refused(operation, request.saying({"authorization": header}), 401, *UNKNOWN, note=header[:30])


def oversized_credential(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """What a real server would not even read is no more at home here."""
    if operation.needed is None:
        return
    request = cast.asked(operation, cast.victim)
    long = "A" * 100_000
    for header in (f"Bearer {long}", f"Bearer fd_{long}", f"Bearer {long}.{long}.{long}"):
        yield refused(operation, request.saying({"authorization": header}), 401, *UNKNOWN, note=header[:12])


def parts_of(world: World, name: str = "role owner") -> tuple[dict[str, Any], dict[str, Any], str]:
    """(header, claims, signature) of one of its tokens, for forgers."""
    header, claims, signature = world.keys[name].split(".")
    return json.loads(unpadded(header)), json.loads(unpadded(claims)), signature


def forged(cast: Cast, operation: Operation, tokens: Iterator[tuple[str, str]]) -> Iterator[Attempt]:
    if operation.needed is not None:
        request = cast.asked(operation, cast.victim)
        for note, token in tokens:
            header = {"authorization": f"Bearer {token}"}
            yield refused(operation, request.saying(header), 401, "TOKEN_INVALID", note=note)


def unsigned_token(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """`alg: none`, as libraries of old took it, with every claim as it should be."""
    header, claims, signature = parts_of(cast.victim)
    yield from forged(
        cast,
        operation,
        (
            (f"{algorithm}.{end[:4]}", f"{encoded(header | {'alg': algorithm})}.{encoded(claims)}.{end}")
            for algorithm in ("none", "None", "NONE", "nOnE", "")
            for end in ("", signature)
        ),
    )


def signed_by_public_key(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """HS256 with the public key as the secret, in the forms in which it is published."""
    header, claims, _ = parts_of(cast.victim)
    pem = cast.victim.public_key
    secrets = {"PEM": pem, "PEM, no end of line": pem.strip(), "DER": b64decode(b"".join(pem.splitlines()[1:-1]))}
    yield from forged(
        cast,
        operation,
        (
            (f"{algorithm} {name}", signed(header | {"alg": algorithm}, claims, secret, digest))
            for name, secret in secrets.items()
            for algorithm, digest in (("HS256", "sha256"), ("HS512", "sha512"), ("RS256", "sha256"))
        ),
    )


def wrong_signature(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Another key, the attacker's own in the header, another token's signature, a claim that was changed."""
    header, claims, signature = parts_of(cast.victim)
    own = FORGERS_KEY
    public = own.as_dict(private=False)
    theirs = cast.attacker.keys["role owner"].split(".")

    def tokens() -> Iterator[tuple[str, str]]:
        yield "other key", jws.serialize_compact(header, json.dumps(claims).encode(), own, ["RS256"])
        inside = header | {"jwk": public}
        yield "key in the header", jws.serialize_compact(inside, json.dumps(claims).encode(), own, ["RS256"])
        named = header | {"jku": "https://attacker.example/jwks.json", "kid": public["kid"]}
        yield "key's address", jws.serialize_compact(named, json.dumps(claims).encode(), own, ["RS256"])
        for kid in ("../../../dev/null", "' OR 1=1 --", "", "x" * 5000):
            away = header | {"kid": kid}
            yield f"kid {kid[:9]}", jws.serialize_compact(away, json.dumps(claims).encode(), own, ["RS256"])
        yield "other's signature", f"{encoded(header)}.{encoded(claims)}.{theirs[2]}"
        stolen = json.loads(unpadded(theirs[1])) | {"tenant_id": str(cast.victim.id)}
        yield "tenant changed", f"{theirs[0]}.{encoded(stolen)}.{theirs[2]}"
        yield "role changed", f"{encoded(header)}.{encoded(claims | {'role': 'visitor'})}.{signature}"
        yield "time changed", f"{encoded(header)}.{encoded(claims | {'exp': claims['exp'] + 1})}.{signature}"
        yield "cut", cast.victim.keys["role owner"][:-8]
        yield "without", f"{encoded(header)}.{encoded(claims)}."

    yield from forged(cast, operation, tokens())


def expired_token(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if operation.needed is not None:
        request = cast.asked(operation, cast.victim).saying(cast.victim.credential("expired token"))
        yield refused(operation, request, 401, "TOKEN_EXPIRED")


def ended_sign_in(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """The token's own time is not over, the sign-in is."""
    if operation.needed is not None:
        request = cast.asked(operation, cast.victim).saying(cast.victim.credential("signed out"))
        yield refused(operation, request, 401, "TOKEN_INVALID")


def visitor_of_another_conversation(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Of the same user, and of another one: a visitor has his conversation and nothing else."""
    needed = operation.needed
    if not isinstance(needed, Named | Default) or needed.permission is not Permission.CHAT:
        return
    request = cast.asked(operation, cast.victim)
    told = {*operation.ids, *(request.json or {})}
    if {"user_id", "session_id"} <= told:  # in his own conversation, in the name of another
        own = replace(request, json={key: value for key, value in request.json.items() if key != "session_id"})
        yield refused(operation, own.saying(cast.victim.credential("visitor, other user")), 403, "FORBIDDEN")
    if told & {"session_id", "conversation_id"}:
        for user in ("same", "other"):
            other = request.saying(cast.victim.credential(f"visitor, {user} user"))
            yield Attempt(operation, other, frozenset({403, 404}), frozenset({"CONVERSATION_NOT_FOUND", "FORBIDDEN"}),
                          note=user)  # fmt: skip
    elif "user_id" in told or "user_id" in request.query:
        other = request.saying(cast.victim.credential("visitor, other user"))
        yield Attempt(operation, other, frozenset({403, 404}), note="other user")


def other_tenants_credential(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """At the victim's own address. Where no tenant is named, it is the credential's, and ids are what can be tried."""
    if isinstance(operation.needed, Named | Default):
        request = cast.asked(operation, cast.victim).saying(cast.attacker.may(operation))
        yield refused(operation, request, 404, "TENANT_NOT_FOUND")
        if operation.is_named:
            yield refused(operation, request.having(tenant=str(cast.victim.id)), 404, "TENANT_NOT_FOUND", note="by id")


def operator_of_another_tenant(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Who suspends and deletes tenants sees nothing inside them."""
    if isinstance(operation.needed, Named | Default):
        request = cast.asked(operation, cast.victim).saying(cast.attacker.credential("operator"))
        yield refused(operation, request, 404, "TENANT_NOT_FOUND")


def attackers(cast: Cast, operation: Operation) -> dict[str, str]:
    """The best that a tenant has to give by itself: no owner makes an operator."""
    return cast.attacker.credential("role owner") if operation.is_operators else cast.attacker.may(operation)


def unless_operators(operation: Operation, statuses: set[int]) -> frozenset[int]:
    """What is operators' is refused to everybody else before anything is looked at."""
    return frozenset({403} if operation.is_operators else statuses)


def others_ids_in_path(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """In one's own tenant, with one's own credential."""
    if not isinstance(operation.needed, Named | Own) or not operation.ids:
        return
    theirs = cast.victim.values_for(operation)
    own = cast.asked(operation, cast.attacker).saying(attackers(cast, operation))
    for place in operation.ids:
        if theirs[place] == own.values[place]:
            continue  # a name that both have: the attacker's own thing
        request = own.having(**{place: theirs[place]})
        # Deleting what isn't there is no failure; a name that is only the victim's is free for the attacker.
        made = {200, 201, 412, 422, 428} if not is_id(theirs[place]) and not operation.is_read else set()
        deleted = {204} if operation.method == "DELETE" else set()
        yield Attempt(operation, request, unless_operators(operation, {404} | made | deleted), note=f"{{{place}}}")


def others_ids_in_query(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if not isinstance(operation.needed, Named | Own):
        return
    own = cast.asked(operation, cast.attacker).saying(attackers(cast, operation))
    names = [each["name"] for each in operation.schema.get("parameters", ()) if each["in"] == "query"]
    for name in names:
        for value in {*cast.victim.values.values(), str(cast.victim.id), cast.victim.canary}:
            request = replace(own, query={**own.query, name: value})
            yield Attempt(operation, request, unless_operators(operation, {200, 204, 404, 409, 422}), note=f"?{name}=")


def others_ids_in_body(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Each field that the body has or may have; and fields that it has not, which must not be taken as known."""
    if not isinstance(operation.needed, Named | Own):
        return
    own = cast.asked(operation, cast.attacker).saying(attackers(cast, operation))
    if own.json is None:
        return
    content = operation.schema["requestBody"]["content"]["application/json"]
    known = content.get("schema", {}).get("properties", {})
    # 429: the attacker's own password, which the example guesses wrongly again and again.
    refusals = unless_operators(operation, {200, 201, 202, 204, 400, 403, 404, 409, 412, 422, 428, 429})
    for name in sorted({*known, *own.json}):
        for value in {cast.victim.values.get(name, ""), str(cast.victim.id), cast.victim.slug} - {""}:
            yield Attempt(operation, replace(own, json={**own.json, name: value}), refusals, note=f"{name}: …")
    for name in ("tenant", "tenant_id", "tenantId", "slug", "organisation"):
        if name not in known:
            request = replace(own, json={**own.json, name: str(cast.victim.id)})
            yield Attempt(operation, request, refusals, note=f"{name}: …")


def tenant_by_header(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Headers by which some servers let a proxy name the tenant or the user."""
    if not isinstance(operation.needed, Named | Default):
        return
    request = cast.asked(operation, cast.victim).saying(cast.attacker.may(operation))
    told = {
        "x-tenant-id": str(cast.victim.id), "x-tenant": cast.victim.slug, "x-user-id": "owner",
        "x-forwarded-user": "owner", "x-original-url": "/health", "x-rewrite-url": "/health",
        "x-http-method-override": "GET",
    }  # fmt: skip
    yield refused(operation, request.saying(told), 404, "TENANT_NOT_FOUND")


def lacking_permission(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Of the victim's own: a key that may everything but this. What belongs to a person, no key may."""
    needed = operation.needed
    if isinstance(needed, Named | Own | Default):
        name = f"all but {needed.permission}" if needed.permission in SCOPES else "all"
        request = cast.asked(operation, cast.victim).saying(cast.victim.credential(name))
        yield refused(operation, request, 403, "FORBIDDEN", note=str(needed.permission))


def weak_role(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Each role without the permission: staff by their sign-ins, the others by a key that may what the role may."""
    needed = operation.needed
    if not isinstance(needed, Named | Own | Default | Machine):
        return
    for role in Role:
        if needed.permission not in ROLES[role] and f"role {role}" in cast.victim.keys:
            request = cast.asked(operation, cast.victim).saying(cast.victim.credential(f"role {role}"))
            yield refused(operation, request, 403, "FORBIDDEN", note=role)


def revoked_key(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if operation.needed is not None:
        request = cast.asked(operation, cast.victim).saying(cast.victim.credential("revoked"))
        yield refused(operation, request, 401, "TOKEN_INVALID")


def expired_key(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if operation.needed is not None:
        request = cast.asked(operation, cast.victim).saying(cast.victim.credential("expired"))
        yield refused(operation, request, 401, "TOKEN_EXPIRED")


def suspended_tenant(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    needed = operation.needed
    if isinstance(needed, Named | Own):
        request = cast.asked(operation, cast.suspended).saying(cast.suspended.may(operation))
        yield refused(operation, request, 403, "TENANT_SUSPENDED")


def guessed_ids(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """In the victim's own tenant, as one who may: what isn't there is not found, and said in the same way."""
    if not isinstance(operation.needed, Named | Own | Default):
        return
    request = cast.asked(operation, cast.victim).saying(cast.victim.may(operation))
    for place in operation.ids:
        if not is_id(request.values[place]):
            continue
        statuses = frozenset({404, 204} if operation.method == "DELETE" else {404})
        near = UUID(request.values[place])
        for guess in (uuid4(), UUID(int=0), UUID(int=near.int + 1), UUID(int=near.int - 1)):
            yield Attempt(operation, request.having(**{place: str(guess)}), statuses, note=f"{{{place}}}")


def developer_from_elsewhere(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """A server that asks nobody on its own machine who he is, asks everybody else."""
    if operation.needed is None:
        return
    request = cast.asked(operation, cast.victim)
    forged = {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "forwarded": "for=127.0.0.1"}
    yield refused(operation, request, 401, "UNAUTHENTICATED", is_open=True)
    yield refused(operation, request.saying(forged), 401, "UNAUTHENTICATED", is_open=True, note="forged")
    through = {"x-forwarded-for": "203.0.113.9"}
    yield refused(operation, request.saying(through), 401, "UNAUTHENTICATED", is_open=True, address=HERE, note="proxy")


def by_cookie(token: str, name: str = ACCESS, **headers: str) -> dict[str, str]:
    """As a browser brings it from the server's own page."""
    return {"cookie": f"{name}={token}", "sec-fetch-site": "same-origin"} | headers


def bad_cookie(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Of a sign-in that has ended, out of date, changed, no token at all: nobody's."""
    if operation.needed is None:
        return
    request = cast.asked(operation, cast.victim)
    header, claims, _ = parts_of(cast.victim)
    right, key = cast.victim.keys["role owner"], cast.victim.keys["all"]
    for note, token in {
        "ended": cast.victim.keys["signed out"], "expired": cast.victim.keys["expired token"], "cut": right[:-8],
        "changed": f"{right[:-8]}AAAAAAAA", "unsigned": f"{encoded(header | {'alg': 'none'})}.{encoded(claims)}.",
        "empty": "", "API key": key, "issuer's": cast.victim.keys["issuer's user"],
    }.items():  # fmt: skip
        yield refused(operation, request.saying(by_cookie(token)), 401, "UNAUTHENTICATED", note=note)


def other_tenants_cookie(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if isinstance(operation.needed, Named | Default):
        cookie = by_cookie(cast.attacker.keys["role owner"])
        request = cast.asked(operation, cast.victim).saying(cookie)
        yield refused(operation, request, 404, "TENANT_NOT_FOUND")


def cookie_from_another_site(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """The victim's own browser, which another's page makes ask for something (cross-site request forgery)."""
    if operation.needed is None or operation.method in SAFE_METHODS:
        return
    asked = cast.asked(operation, cast.victim)
    cookie = {"cookie": f"{ACCESS}={cast.victim.keys['role owner']}"}
    for note, headers in {
        "another site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        "a sister domain": {"sec-fetch-site": "same-site", "origin": "http://sister.localhost"},
        "another port": {"sec-fetch-site": "same-site", "origin": "http://localhost:8001"},
        "nobody": {},
        "an old browser": {"origin": "https://evil.example"},
        "a sandbox": {"origin": "null"},
        "a form": {"sec-fetch-site": "cross-site", "origin": "null", "content-type": "text/plain"},
    }.items():
        codes = frozenset({"UNAUTHENTICATED", "CROSS_SITE"})
        yield Attempt(operation, asked.saying(cookie | headers), frozenset({401, 403}), codes, note=note)


def cookie_of_another_host(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """By TLS a cookie counts under the name alone that no sister domain can set; without it, under the other."""
    if operation.needed is None:
        return
    request = cast.asked(operation, cast.victim)
    token = cast.victim.keys["role owner"]
    plain = replace(request.saying(by_cookie(token)), path=f"https://localhost{request.path}")
    yield refused(operation, plain, 401, "UNAUTHENTICATED", note="by TLS")
    yield refused(operation, request.saying(by_cookie(token, f"__Host-{ACCESS}")), 401, "UNAUTHENTICATED", note="clear")


def vouched_for(operation: Operation) -> bool:
    """Whether tokens of the tenant's issuers are looked at there."""
    return isinstance(operation.needed, Named | Default)


def issuers_expired_token(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    if operation.needed is not None:
        request = cast.asked(operation, cast.victim).saying(cast.victim.credential("issuer's, expired"))
        yield refused(operation, request, 401, "TOKEN_EXPIRED" if vouched_for(operation) else "TOKEN_INVALID")


def issuers_wrong_token(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Rightly signed, and for another program, not good yet, or of nobody."""
    names = ("issuer's, for another", "issuer's, for nobody", "issuer's, not yet good", "issuer's, of no user")
    yield from forged(cast, operation, ((name, cast.victim.keys[name]) for name in names))


def other_tenants_issuer(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """By its own name, and by the name of the victim's."""
    header, claims, signature = parts_of(cast.attacker, "issuer's user")
    _, right, _ = parts_of(cast.victim, "issuer's user")

    def tokens() -> Iterator[tuple[str, str]]:
        yield "own name", cast.attacker.keys["issuer's user"]
        yield "victim's name", f"{encoded(header)}.{encoded(right)}.{signature}"
        forger = jws.serialize_compact(header, json.dumps(right).encode(), FORGERS_KEY, ["RS256"])
        yield "victim's name, other key", forger
        yield "this server's name", f"{encoded(header)}.{encoded(claims | {'iss': 'frontdesk'})}.{signature}"

    yield from forged(cast, operation, tokens())


def issuers_unsigned_token(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    header, claims, signature = parts_of(cast.victim, "issuer's user")
    tokens = (
        (f"{algorithm}.{end[:4]}", f"{encoded(header | {'alg': algorithm})}.{encoded(claims)}.{end}")
        for algorithm in ("none", "None", "")
        for end in ("", signature)
    )
    yield from forged(cast, operation, tokens)


def issuers_public_key(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    header, claims, _ = parts_of(cast.victim, "issuer's user")
    pem = cast.victim.issuers_key
    secrets = {"PEM": pem, "PEM, no end of line": pem.strip(), "DER": b64decode(b"".join(pem.splitlines()[1:-1]))}
    tokens = (
        (f"HS256 {name}", signed(header | {"alg": "HS256"}, claims, secret, "sha256"))
        for name, secret in secrets.items()
    )
    yield from forged(cast, operation, tokens)


def issuers_user_beyond_a_contact(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Whom an issuer vouches for is a contact, and where the credential names the tenant he is nobody."""
    needed = operation.needed
    if needed is None or (vouched_for(operation) and needed.permission in ROLES[Role.CONTACT]):
        return
    request = cast.asked(operation, cast.victim).saying(cast.victim.credential("issuer's user"))
    if vouched_for(operation):
        yield refused(operation, request, 403, "FORBIDDEN")
    else:
        yield refused(operation, request, 401, "TOKEN_INVALID")


def issuers_other_user(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """A contact sees and speaks for himself alone."""
    needed = operation.needed
    if not isinstance(needed, Named | Default) or needed.permission not in ROLES[Role.CONTACT]:
        return
    request = cast.asked(operation, cast.victim).saying(cast.victim.credential("issuer's other user"))
    if {*operation.ids, *(request.json or {}), *request.query} & {"session_id", "conversation_id", "user_id"}:
        # Erasing what is not there for him is no failure; nothing of the victim's may go.
        gone = {204} if operation.method == "DELETE" else set()
        yield Attempt(operation, request, frozenset({403, 404} | gone))


def issuers_staff(cast: Cast, operation: Operation) -> Iterator[Attempt]:
    """Too weak for it by the tenant's own issuer; and another tenant's admin, who names the victim."""
    needed = operation.needed
    if needed is None:
        return
    request = cast.asked(operation, cast.victim).saying({"x-tenant": cast.victim.slug})
    other = request.saying(cast.attacker.credential("issuer's admin"))
    yield refused(operation, other, 401, "TOKEN_INVALID", note="other tenant's admin")
    for name, role in (("issuer's viewer", Role.VIEWER), ("issuer's admin", Role.ADMIN)):
        if needed.permission not in ROLES[role] - {Permission.ACCOUNT}:
            asked = request.saying(cast.victim.credential(name))
            if isinstance(needed, Machine):  # there nobody's issuers count
                yield refused(operation, asked, 401, "TOKEN_INVALID", note=role)
            else:
                yield refused(operation, asked, 403, "FORBIDDEN", note=role)


KINDS: dict[str, Kind] = {
    "no credential": no_credential,
    "malformed credential": bad_credential,
    "oversized credential": oversized_credential,
    "expired token": expired_token,
    "wrong signature": wrong_signature,
    "`alg: none`": unsigned_token,
    "HS256 with the public key": signed_by_public_key,
    "sign-in that has ended": ended_sign_in,
    "cookie of nobody": bad_cookie,
    "cookie from another site": cookie_from_another_site,
    "cookie of another host": cookie_of_another_host,
    "other tenant's cookie": other_tenants_cookie,
    "issuer's token that has expired": issuers_expired_token,
    "issuer's token for somebody else": issuers_wrong_token,
    "issuer's token with `alg: none`": issuers_unsigned_token,
    "issuer's token, HS256 with its public key": issuers_public_key,
    "issuer of another tenant": other_tenants_issuer,
    "issuer's user beyond a contact": issuers_user_beyond_a_contact,
    "issuer's user in another's name": issuers_other_user,
    "issuer's staff beyond their role or tenant": issuers_staff,
    "visitor of another conversation": visitor_of_another_conversation,
    "other tenant's credential": other_tenants_credential,
    "operator of another tenant": operator_of_another_tenant,
    "other tenant's ids in the path": others_ids_in_path,
    "other tenant's ids in the query": others_ids_in_query,
    "other tenant's ids in the body": others_ids_in_body,
    "tenant named by a header": tenant_by_header,
    "key without the permission": lacking_permission,
    "role without the permission": weak_role,
    "revoked key": revoked_key,
    "expired key": expired_key,
    "suspended tenant": suspended_tenant,
    "guessed ids": guessed_ids,
    "developer's bypass from elsewhere": developer_from_elsewhere,
}


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def signed(header: dict[str, Any], claims: dict[str, Any], secret: bytes, digest: str) -> str:
    body = f"{encoded(header)}.{encoded(claims)}"
    seal = hmac.new(secret, body.encode(), digest).digest()
    return f"{body}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

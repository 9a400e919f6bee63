"""Our own tokens: what is taken, what is not, and keys that change meanwhile."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import RSAKey
from tests.identity.forging import as_secrets, opened, part, signed_by_hmac, unsigned
from tests.identity.moved_clock import NOON, MovedClock

from frontdesk.core.errors import FrontdeskError, TokenExpired, TokenInvalid
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.identity.jwts import SKEW_S
from frontdesk.identity.models import Kind
from frontdesk.identity.permissions import ROLES, Permission, Role
from frontdesk.identity.signing import FRESH_S, LONGEST_S, PUBLISHED_BEFORE_S, SigningKeys
from frontdesk.identity.staff import Staff, State
from frontdesk.identity.tokens import ALIVE_S, STAFF_S, Tokens

USER, SIGN_IN, CONVERSATION = str(new_id()), new_id(), new_id()
ALL = ROLES[Role.ADMIN]


class SignIns:
    """What sign-ins may do, in place of the database's."""

    def __init__(self) -> None:
        self.permissions: dict[UUID, frozenset[Permission] | None] = {SIGN_IN: ALL}
        self.asked = 0

    async def __call__(self, _tenant_id: UUID, session_id: UUID) -> frozenset[Permission] | None:
        self.asked += 1
        return self.permissions.get(session_id)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def sign_ins() -> SignIns:
    return SignIns()


@pytest.fixture
def keys(database: Database, clock: MovedClock) -> SigningKeys:
    return SigningKeys(database, Cipher([b"k" * 32]), clock)


@pytest.fixture
def tokens(keys: SigningKeys, clock: MovedClock, sign_ins: SignIns) -> Tokens:
    return Tokens(keys, clock, sign_ins)


async def staff(tokens: Tokens, tenant_id: UUID) -> str:
    person = Staff(
        UUID(USER), tenant_id, "ann@clinic.example", "Ann", Role.ADMIN, State.ACTIVE, False, False, 1, NOON, None
    )
    token, good_s = await tokens.issue(person, SIGN_IN)
    assert good_s == STAFF_S
    return token


async def visitor(tokens: Tokens, tenant_id: UUID, lifetime_s: float = 600) -> str:
    return (await tokens.issue_to_visitor(tenant_id, "v1", CONVERSATION, lifetime_s)).token


async def test_a_staff_token_says_who_where_and_for_how_long(tokens: Tokens, tenant_id: UUID) -> None:
    header, claims = opened(token := await staff(tokens, tenant_id))
    assert header["alg"] == "RS256" and set(header) == {"alg", "typ", "kid"}
    assert {"user_id", "tenant_id", "role", "exp", "iss", "aud", "jti", "sid"} == set(claims)
    principal = await tokens.principal(token)
    assert (principal.kind, principal.tenant_id, principal.id) == (Kind.STAFF, tenant_id, USER)
    assert principal.permissions == ALL and principal.session_id == SIGN_IN


async def test_a_visitor_is_bound_to_himself_and_one_conversation(tokens: Tokens, tenant_id: UUID) -> None:
    principal = await tokens.principal(await visitor(tokens, tenant_id))
    assert (principal.kind, principal.contact, principal.conversation_id) == (Kind.VISITOR, "v1", CONVERSATION)
    assert principal.permissions == {Permission.CHAT}


async def test_a_token_ends_when_it_says_so_within_the_clocks_difference(
    tokens: Tokens, tenant_id: UUID, clock: MovedClock
) -> None:
    token = await visitor(tokens, tenant_id, 60)
    for known in (True, False):
        clock.passed_s = 60 + SKEW_S - 1
        await tokens.principal(token)
        clock.passed_s = 60 + SKEW_S
        with pytest.raises(TokenExpired):
            await tokens.principal(token)
        assert known or not tokens._known.clear()
        tokens._known.clear()


async def test_no_token_outlives_its_keys_publication(tokens: Tokens, tenant_id: UUID) -> None:
    with pytest.raises(ValueError, match="at most"):
        await visitor(tokens, tenant_id, LONGEST_S + 1)


async def test_an_ended_sign_in_is_refused_at_once_here_and_soon_elsewhere(
    tokens: Tokens, keys: SigningKeys, tenant_id: UUID, clock: MovedClock, sign_ins: SignIns
) -> None:
    elsewhere = Tokens(keys, clock, sign_ins)
    token = await staff(tokens, tenant_id)
    for each in (tokens, elsewhere):
        await each.principal(token)
    sign_ins.permissions[SIGN_IN] = None
    tokens.ended(SIGN_IN)
    with pytest.raises(TokenInvalid):
        await tokens.principal(token)
    clock.passed_s += ALIVE_S
    with pytest.raises(TokenInvalid):
        await elsewhere.principal(token)


async def test_what_a_sign_in_may_is_asked_anew(
    tokens: Tokens, tenant_id: UUID, clock: MovedClock, sign_ins: SignIns
) -> None:
    token = await staff(tokens, tenant_id)
    for _ in range(20):
        await tokens.principal(token)
    assert sign_ins.asked == 1
    sign_ins.permissions[SIGN_IN] = ROLES[Role.VIEWER]
    clock.passed_s += ALIVE_S
    assert (await tokens.principal(token)).permissions == ROLES[Role.VIEWER]


Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims | {"iss": "elsewhere"},
        lambda claims: claims | {"aud": "elsewhere"},
        lambda claims: claims | {"aud": ["frontdesk"]},
        lambda claims: claims | {"role": "root"},
        lambda claims: claims | {"role": "visitor"},  # with a sign-in, and without a conversation
        lambda claims: claims | {"role": "contact"},
        lambda claims: claims | {"exp": str(claims["exp"])},
        lambda claims: claims | {"exp": claims["exp"] + 0.5},
        lambda claims: claims | {"exp": True},
        lambda claims: claims | {"exp": None},
        lambda claims: claims | {"exp": 2**70},
        lambda claims: claims | {"tenant_id": "clinic"},
        lambda claims: claims | {"tenant_id": 7},
        lambda claims: claims | {"user_id": 7},
        lambda claims: claims | {"sid": "x"},
        lambda claims: claims | {"conversation": str(CONVERSATION)},
        lambda claims: {name: value for name, value in claims.items() if name != "sid"},
        lambda claims: {name: value for name, value in claims.items() if name != "exp"},
        lambda claims: {name: value for name, value in claims.items() if name != "jti"},
        lambda claims: {name: value for name, value in claims.items() if name != "tenant_id"},
    ],
)
async def test_claims_are_checked_even_when_we_signed_them(
    tokens: Tokens, keys: SigningKeys, tenant_id: UUID, change: Change
) -> None:
    header, claims = opened(await staff(tokens, tenant_id))
    token = jws.serialize_compact(header, json.dumps(change(claims)), await keys.signer(), ["RS256"])
    with pytest.raises(TokenInvalid):
        await tokens.principal(token)


async def test_forged_tokens_are_refused(tokens: Tokens, keys: SigningKeys, tenant_id: UUID) -> None:
    header, claims = opened(good := await staff(tokens, tenant_id))
    ours, _, signature = good.split(".")
    another = RSAKey.generate_key(2048)
    [public] = await keys.published()
    more = claims | {"role": "owner"}
    twice = json.dumps(header).encode()[:-1] + b', "alg": "none"}'
    forged = [
        unsigned(header | {"alg": "none"}, claims),
        unsigned(header | {"alg": "None"}, claims),
        unsigned(header, claims),
        f"{part(header | {'alg': 'none'})}.{part(claims)}.{signature}",
        f"{ours}.{part(more)}.{signature}",
        *(signed_by_hmac(header, more, secret) for secret in as_secrets(public)),
        jws.serialize_compact(header, json.dumps(more), another, ["RS256"]),
        jws.serialize_compact(header | {"jwk": another.as_dict(private=False)}, json.dumps(more), another, ["RS256"]),
        jws.serialize_compact(header | {"jku": "http://127.0.0.1/keys"}, json.dumps(more), another, ["RS256"]),
        jws.serialize_compact(header | {"kid": "theirs"}, json.dumps(more), another, ["RS256"]),
        jws.serialize_compact({"alg": "RS256"}, json.dumps(more), await keys.signer(), ["RS256"]),  # whose key?
        f"{part(header | {'crit': ['exp']})}.{good.split('.', 1)[1]}",
        f"{part(header | {'crit': None})}.{good.split('.', 1)[1]}",
        f"{part(twice)}.{good.split('.', 1)[1]}",
    ]
    for alg in ("RS384", "RS512", "PS256"):
        registry = jws.JWSRegistry(algorithms=[alg])
        private = (await keys.signer()).as_dict(private=True)
        signer = RSAKey.import_key({name: value for name, value in private.items() if name != "alg"})
        forged.append(jws.serialize_compact(header | {"alg": alg}, json.dumps(claims), signer, [alg], registry))
    for token in forged:
        with pytest.raises(TokenInvalid):
            await tokens.principal(token)
    assert await tokens.principal(good)


async def test_extensions_that_we_signed_ourselves_are_refused_too(
    tokens: Tokens, keys: SigningKeys, tenant_id: UUID
) -> None:
    header, claims = opened(await staff(tokens, tenant_id))
    token = jws.serialize_compact(header | {"crit": ["kid"]}, json.dumps(claims), await keys.signer(), ["RS256"])
    with pytest.raises(TokenInvalid):
        await tokens.principal(token)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "....", "x" * 100_000, "." * 3000, f"{'A' * 5000}.e30.e30", "\x00.\x00.\x00", "é.é.é",
     f"{part([])}.{part([])}.x", f"{part({})}.{part({})}.x", f"{part({'alg': 'RS256', 'kid': 7})}.{part({})}.x",
     f"{part({'alg': 'RS256', 'kid': 'x' * 3000})}.{part({})}.x", f"{part(b'[' * 2000)}.{part({})}.x"],
)  # fmt: skip
async def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    with pytest.raises(TokenInvalid):
        await tokens.principal(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
async def test_a_changed_token_is_refused(tokens: Tokens, tenant_id: UUID, data: st.DataObject) -> None:
    token = await visitor(tokens, tenant_id)
    place = data.draw(st.integers(0, len(token) - 1))
    what = data.draw(st.sampled_from(["cut", "doubled", "other"]))
    letter = data.draw(st.characters(max_codepoint=255))
    changed = {
        "cut": token[:place] + token[place + 1 :],
        "doubled": token[:place] + token[place] + token[place:],
        "other": token[:place] + letter + token[place + 1 :],
    }[what]
    try:
        principal = await tokens.principal(changed)
    except FrontdeskError as error:
        assert isinstance(error, TokenInvalid)
    else:  # the last letter of base64 has bits that mean nothing: the same bytes, written otherwise
        assert opened(changed) == opened(token) and principal.conversation_id == CONVERSATION


async def test_two_servers_that_need_the_first_key_make_one(database: Database, clock: MovedClock) -> None:
    cipher = Cipher([b"k" * 32])
    servers = [SigningKeys(database, cipher, clock) for _ in range(4)]
    signers = await asyncio.gather(*(keys.signer() for keys in servers))
    assert len({key.kid for key in signers}) == 1
    assert len(await servers[0].published()) == 1


async def test_a_private_key_is_sealed_in_the_database(database: Database, keys: SigningKeys) -> None:
    private = (await keys.signer()).as_dict(private=True)
    [row] = await database.call("SELECT k::text AS text, k.private FROM signing_keys AS k")
    for name in ("d", "p", "q", "dp", "dq", "qi"):
        assert private[name] not in row["text"] and private[name].encode() not in row["private"]
    assert all(set(key) == {"kty", "n", "e", "kid", "use", "alg"} for key in await keys.published())


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_are_over(
    keys: SigningKeys, tokens: Tokens, tenant_id: UUID, clock: MovedClock
) -> None:
    old = (await keys.signer()).kid
    await keys.rotate()
    assert (await keys.signer()).kid == old
    new = next(key["kid"] for key in await keys.published() if key["kid"] != old)
    clock.passed_s += PUBLISHED_BEFORE_S - 1
    token = await visitor(tokens, tenant_id, LONGEST_S)
    assert opened(token)[0]["kid"] == old
    clock.passed_s += 1
    assert (await keys.signer()).kid == new
    clock.passed_s += LONGEST_S
    tokens._known.clear()
    assert (await tokens.principal(token)).conversation_id == CONVERSATION  # of the last second, within the skew
    clock.passed_s += 4 * SKEW_S
    assert [key["kid"] for key in await keys.published()] == [new]
    await keys.rotate()
    assert old not in {key["kid"] for key in await keys.published()}


async def test_another_servers_new_key_is_known_when_a_token_names_it(
    database: Database, clock: MovedClock, sign_ins: SignIns, tenant_id: UUID
) -> None:
    cipher = Cipher([b"k" * 32])
    ours, theirs = SigningKeys(database, cipher, clock), SigningKeys(database, cipher, clock)
    await ours.signer()
    await theirs.rotate(at_once=True)
    clock.passed_s += 5  # less than ours looks on its own
    token = await visitor(Tokens(theirs, clock, sign_ins), tenant_id)
    assert (await Tokens(ours, clock, sign_ins).principal(token)).conversation_id == CONVERSATION


async def test_keys_that_are_void_at_once_are_so_everywhere_within_a_minute(
    database: Database, keys: SigningKeys, tokens: Tokens, clock: MovedClock, sign_ins: SignIns, tenant_id: UUID
) -> None:
    token = await visitor(tokens, tenant_id)
    elsewhere = SigningKeys(database, Cipher([b"k" * 32]), clock)
    await elsewhere.rotate(at_once=True)
    clock.passed_s += FRESH_S
    with pytest.raises(TokenInvalid):
        await tokens.principal(token)


async def test_a_token_that_was_verified_is_void_with_its_key(
    database: Database, keys: SigningKeys, tokens: Tokens, clock: MovedClock, sign_ins: SignIns, tenant_id: UUID
) -> None:
    token = await visitor(tokens, tenant_id)
    clock.passed_s += FRESH_S - 1
    await tokens.principal(token)  # known from here on
    await SigningKeys(database, Cipher([b"k" * 32]), clock).rotate(at_once=True)
    clock.passed_s += 1
    with pytest.raises(TokenInvalid):
        await tokens.principal(token)
    own = await visitor(tokens, tenant_id)
    await tokens.principal(own)
    await keys.rotate(at_once=True)
    with pytest.raises(TokenInvalid):
        await tokens.principal(own)


async def test_a_lost_sealing_key_makes_a_new_signing_key_and_old_tokens_stay_good(
    database: Database, clock: MovedClock, sign_ins: SignIns, tenant_id: UUID
) -> None:
    token = await visitor(Tokens(SigningKeys(database, Cipher([b"a" * 32]), clock), clock, sign_ins), tenant_id)
    later = SigningKeys(database, Cipher([b"b" * 32]), clock)
    tokens = Tokens(later, clock, sign_ins)
    assert (await tokens.principal(token)).conversation_id == CONVERSATION
    fresh = await visitor(tokens, tenant_id)
    assert opened(fresh)[0]["kid"] != opened(token)[0]["kid"]
    await tokens.principal(fresh)
    assert (await later.signer()).kid == opened(fresh)[0]["kid"]


async def test_unknown_keys_do_not_make_it_ask_the_database_each_time(
    tokens: Tokens, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, claims = opened(await visitor(tokens, tenant_id))
    asked = 0
    call = Database.call

    async def counted(database: Database, query: str, *args: object) -> object:
        nonlocal asked
        asked += 1
        return await call(database, query, *args)

    monkeypatch.setattr(Database, "call", counted)
    another = RSAKey.generate_key(2048)
    for n in range(20):
        token = jws.serialize_compact(header | {"kid": str(n)}, json.dumps(claims), another, ["RS256"])
        with pytest.raises(TokenInvalid):
            await tokens.principal(token)
    assert asked <= 1


async def test_tokens_stay_good_while_the_database_is_away(
    keys: SigningKeys, tokens: Tokens, tenant_id: UUID, clock: MovedClock, database_url: str, database: Database
) -> None:
    token = await visitor(tokens, tenant_id)
    owner = await asyncpg.connect(database_url)
    await owner.execute("ALTER TABLE signing_keys RENAME TO elsewhere")
    clock.passed_s += FRESH_S
    await database.close()
    assert (await tokens.principal(token)).conversation_id == CONVERSATION
    await owner.close()

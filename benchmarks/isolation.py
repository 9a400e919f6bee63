"""Real people's words, said to twenty tenants of one server that have everything in common but themselves.

Each tenant is a clinic with the same name, agents, documents' names and tools; the dialogues of `replay` are spread
over them so that contacts, sessions and idempotency keys of one exist in all the others. Every clinic has a code word
of its own: in a document of the same name, in its greeting and in what it says in an emergency. Afterwards everything
that the server has kept, counted, logged or finds again is looked at: each row, vector and event must be with the
tenant whose it is.
"""

import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # rows and answers are JSON
from uuid import UUID, uuid5

import aiohttp
import asyncpg
import uvloop
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks import servers
from benchmarks.machine import machine
from benchmarks.postgres import postgres
from benchmarks.replay import AT_ONCE, DATA, MTS_DIALOGUES, Desk, Seen, mts, sgd
from benchmarks.report import arguments, table, write
from frontdesk.db.cipher import Cipher, DecryptFailed, key_id, read_key_file

CLINIC = Path(__file__).parents[1] / "examples" / "clinic"
EXAMPLE = "clinic"  # which every server has beside them
TENANTS = 20
KEPT_DOCUMENTS = ("opening-hours.md", "visiting-hours.md", "insurance.md")
QUESTION = "What is the code word for the visitors' gate?"
EMERGENCY = "I have crushing chest pain and can't breathe"
_SESSIONS = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


@dataclass(frozen=True)
class Talk:
    tenant: str
    session: str
    user: str
    messages: list[str]


@dataclass
class Found:
    """What was looked at, by kind, and what is not where it belongs."""

    looked_at: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def seen(self, kind: str, number: int = 1) -> None:
        self.looked_at[kind] += number


def slugs(number: int) -> list[str]:
    return [f"clinic-{n:02}" for n in range(number)]


def code_word(slug: str) -> str:
    """Of no language, so that nobody says it by chance."""
    return "zq" + "".join("bdfghklmnp"[int(digit)] + "u" for digit in slug[-2:]) + "xv"


def make_tenants(folder: Path, number: int) -> None:
    """Copies of the clinic that differ in slug and code word alone."""
    for slug in slugs(number):
        shutil.copytree(CLINIC, folder / slug, ignore=shutil.ignore_patterns("documents", "__pycache__"))
        tenant = folder / slug / "tenant.yaml"
        text = tenant.read_text().replace("slug: clinic\n", f"slug: {slug}\n")
        for place in ("Welcome to Lakeside Clinic.", "**If this is happening now, call 112 straight away**"):
            assert place in text, place
            text = text.replace(place, f"{place} ({code_word(slug)})")
        tenant.write_text(text)
        documents = folder / slug / "documents"
        documents.mkdir()
        for name in KEPT_DOCUMENTS:
            shutil.copy(CLINIC / "documents" / name, documents)
        (documents / "visitors-gate.md").write_text(
            f"# Visitors' gate\n\nThe code word for the visitors' gate is {code_word(slug)}. Say it at the gate.\n"
        )


def spread(dialogues: Sequence[list[str]], number: int) -> list[Talk]:
    """Round-robin: what the nth of one tenant calls his session, the nth of every other does too. Each ends with two
    messages whose answers are others in every tenant: from its documents, and from its settings."""
    talks = []
    for place, messages in enumerate(dialogues):
        nth, of = divmod(place, number)
        session = str(uuid5(_SESSIONS, f"session {nth}"))
        talks.append(Talk(slugs(number)[of], session, f"user-{nth % 7}", [*messages, QUESTION, EMERGENCY]))
    return talks


@asynccontextmanager
async def said(url: str, talks: Sequence[Talk], seen: Seen, done: Any = None) -> AsyncIterator[aiohttp.ClientSession]:
    """Everything said, as many dialogues at a time as `replay`; then the same client for what follows."""
    timeout, limit = aiohttp.ClientTimeout(total=180), aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(timeout=timeout, connector=limit) as http:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(talk: Talk) -> None:
            async with places:
                await Desk(http, url, talk.tenant).converse(talk.user, talk.session, talk.messages, seen)
                if done is not None:
                    done()

        async with asyncio.TaskGroup() as group:
            for talk in talks:
                group.create_task(one(talk))
        yield http


async def looked_at(
    http: aiohttp.ClientSession, url: str, database_url: str, data: Path, log: Path, talks: Sequence[Talk]
) -> Found:
    """Every store and every output, one after the other."""
    found = Found()
    owner = await asyncpg.connect(database_url)
    try:
        of = {row["id"]: row["slug"] for row in await owner.fetch("SELECT id, slug FROM tenants LIMIT 1000")}
        cipher = Cipher(read_key_file(data / "keys"))
        await _texts(owner, cipher, of, talks, found)
        await _sealed(owner, cipher, list(of), key_id(read_key_file(data / "keys")[0]), found)
        await _references(owner, found)
        await _vectors(owner, of, found)
        await _events(owner, of, talks, found)
    finally:
        await owner.close()
    await _answers(http, url, talks, found)
    await _metrics(http, url, talks, found)
    _logged(log, {str(id): slug for id, slug in of.items()}, talks, found)
    return found


async def _texts(owner: Any, cipher: Cipher, of: dict[UUID, str], talks: Sequence[Talk], found: Found) -> None:
    """What was said in each tenant's session is what was said to that tenant, and by whom."""
    kept: dict[tuple[str, str], list[str]] = {}
    for row in await owner.fetch(
        "SELECT tenant_id, conversation_id, body FROM messages WHERE role = 'user' ORDER BY conversation_id, seq"
    ):
        found.seen("messages of contacts")
        said = kept.setdefault((of[row["tenant_id"]], str(row["conversation_id"])), [])
        said.append(json.loads(_opened(cipher, row["tenant_id"], row["body"]) or b"{}").get("content"))
    for talk in talks:
        if kept.pop((talk.tenant, talk.session), None) != talk.messages:
            found.faults.append(f"{talk.tenant} {talk.session}: other messages than were said there")
    found.faults += [f"{tenant} {session}: nobody said this there" for tenant, session in kept]
    contacts = {
        (of[row["tenant_id"]], str(row["id"])): row["contact"]
        for row in await owner.fetch("SELECT tenant_id, id, contact FROM conversations")
    }
    for talk in talks:
        found.seen("conversations")
        if contacts.get((talk.tenant, talk.session)) != talk.user:
            found.faults.append(f"{talk.tenant} {talk.session}: is another contact's")


async def _sealed(owner: Any, cipher: Cipher, tenants: Sequence[UUID], key: bytes, found: Found) -> None:
    """Every sealed value of every table opens as its own row's tenant's, and as no other's."""
    for row in await owner.fetch(
        """
        SELECT c.relname, a.attname
          FROM pg_class AS c
          JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.atttypid = 'bytea'::regtype AND NOT a.attisdropped
          JOIN pg_attribute AS t ON t.attrelid = c.oid AND t.attname = 'tenant_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
         ORDER BY 1, 2
        """
    ):
        name, column = row["relname"], row["attname"]
        values = await owner.fetch(
            f"SELECT tenant_id, {column} AS sealed FROM {name} WHERE substring({column} FROM 1 FOR 5) = $1",
            b"\x01" + key,
        )
        for value in values:
            found.seen("sealed values")
            other = next(id for id in tenants if id != value["tenant_id"])
            opened, stolen = (_opened(cipher, id, value["sealed"]) for id in (value["tenant_id"], other))
            if opened is None or stolen is not None:
                found.faults.append(f"{name}.{column}: a value of {value['tenant_id']} is not sealed as its own")


def _opened(cipher: Cipher, tenant_id: UUID, sealed: bytes) -> bytes | None:
    try:
        return cipher.open(tenant_id, sealed)
    except DecryptFailed:
        return None


_LEADING = {  # table -> (its column, the table that it leads to, the column there)
    "messages": ("conversation_id", "conversations", "id"),
    "turns": ("conversation_id", "conversations", "id"),
    "steps": ("turn_id", "turns", "id"),
    "llm_calls": ("turn_id", "turns", "id"),
    "passages": ("document_id", "documents", "id"),
    "passage_questions": ("passage_id", "passages", "id"),
}


async def _references(owner: Any, found: Found) -> None:
    """What a row leads to is its own tenant's."""
    for name, (column, other, id) in _LEADING.items():
        found.seen("references", await owner.fetchval(f"SELECT count({column}) FROM {name}"))
        strays = await owner.fetchval(
            f"SELECT count(*) FROM {name} AS r WHERE r.{column} IS NOT NULL AND NOT EXISTS"
            f" (SELECT FROM {other} AS o WHERE o.tenant_id = r.tenant_id AND o.{id} = r.{column})"
        )
        if strays:
            found.faults.append(f"{strays} rows of {name} lead to another tenant's {other}")


async def _vectors(owner: Any, of: dict[UUID, str], found: Found) -> None:
    """Each tenant's passages have its own code word, and a search by another's very vector finds only its own."""
    passages = await owner.fetch("SELECT tenant_id, id, text, embedding::text AS vector FROM passages")
    words = {code_word(slug): slug for slug in of.values() if slug != EXAMPLE}
    gates = []
    for row in passages:
        found.seen("vectors")
        said = {slug for word, slug in words.items() if word in row["text"]}
        if said - {of[row["tenant_id"]]}:
            found.faults.append(f"{of[row['tenant_id']]}: has the code word of {said}")
        if said:
            gates.append(row)
    if Counter(of[row["tenant_id"]] for row in gates) != Counter(words.values()):
        found.faults.append("code words are not one in each tenant")
    owners = {row["id"]: row["tenant_id"] for row in passages}
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE frontdesk_app")
        for tenant_id in of:
            await owner.execute(f"SET LOCAL app.tenant_id = '{tenant_id}'")
            for gate in gates:
                hits = await owner.fetch(
                    "SELECT passage_id FROM search_passages($1, $2::text::halfvec, 0, 50)", QUESTION, gate["vector"]
                )
                found.seen("searches")
                if not hits or any(owners[hit["passage_id"]] != tenant_id for hit in hits):
                    found.faults.append(f"{of[tenant_id]}: a search by a vector of {of[gate['tenant_id']]} strays")


async def _events(owner: Any, of: dict[UUID, str], talks: Sequence[Talk], found: Found) -> None:
    """As many messages accepted, and turns ended, as were said in each tenant's session."""
    for type_ in ("message.accepted", "turn.completed"):
        counts = Counter(
            {
                (of[row["tenant_id"]], row["key"]): row["number"]
                for row in await owner.fetch(
                    "SELECT tenant_id, key, count(*) AS number FROM outbox WHERE type = $1 GROUP BY 1, 2", type_
                )
            }
        )
        found.seen("events", counts.total())
        wanted = Counter({(talk.tenant, talk.session): len(talk.messages) for talk in talks})
        found.faults += [f"{type_}: {found_} of {wanted[at]} in {at}" for at, found_ in (counts - wanted).items()]
        found.faults += [f"{type_}: {lacking} lack in {at}" for at, lacking in (wanted - counts).items()]


async def _answers(http: aiohttp.ClientSession, url: str, talks: Sequence[Talk], found: Found) -> None:
    """What each tenant answered names its own code word, cites its own passages, and never another's."""
    words = {code_word(talk.tenant) for talk in talks}
    for talk in talks:
        own = code_word(talk.tenant)
        history = [message async for message in _history(http, f"{url}/api/{talk.tenant}/conversations/{talk.session}")]
        found.seen("messages in histories", len(history))
        if {word for word in words - {own} if word in json.dumps(history)}:
            found.faults.append(f"{talk.tenant} {talk.session}: hears the code word of another")
        told = {seq: message["content"] for message in history for seq in message["in_reply_to"]}
        asked = [message["seq"] for message in history if message["role"] == "user"][-2:]
        for what, seq in zip(("from documents", "from settings"), asked, strict=False):
            found.seen(f"own code words told {what}", int(own in told.get(seq, "")))
    for tenant in {talk.tenant for talk in talks}:
        async with http.get(f"{url}/api/{tenant}/page") as response:
            page = await response.text()
        found.seen("pages")
        if {word for word in words if word in page} != {code_word(tenant)}:
            found.faults.append(f"{tenant}: its page greets with another's words")
    for what in ("from documents", "from settings"):
        if found.looked_at[f"own code words told {what}"] * 2 < len(talks):
            found.faults.append(f"most do not tell their own word {what}: that nobody tells another's proves nothing")


async def _history(http: aiohttp.ClientSession, at: str) -> AsyncIterator[dict[str, Any]]:
    """Until its end, or until it can't be read: then what should be there is missed elsewhere."""
    after = 0
    while True:
        async with http.get(at, params={"after": after}) as response:
            page = (await response.json()).get("messages")
        if not page:
            return
        for message in page:
            yield message
        after = page[-1]["seq"]


async def _metrics(http: aiohttp.ClientSession, url: str, talks: Sequence[Talk], found: Found) -> None:
    """Each tenant's messages are counted as its own."""
    async with http.get(f"{url}/metrics") as response:
        text = await response.text()
    wanted = Counter[str]()
    for talk in talks:
        wanted[talk.tenant] += len(talk.messages)
    counted = Counter[str]()
    for line in text.splitlines():
        if line.startswith("frontdesk_messages_total{"):
            tenant = line.split('tenant="')[1].split('"')[0]
            counted[tenant] = int(float(line.rsplit(" ", 1)[1]))
            found.seen("counters")
    if counted != wanted:
        found.faults.append(f"messages counted by tenant differ: {(counted - wanted) + (wanted - counted)}")


def _logged(log: Path, of: dict[str, str], talks: Sequence[Talk], found: Found) -> None:
    """Each turn's line names the tenant whose session it was of, by both its names."""
    wanted = Counter({(talk.tenant, talk.session): len(talk.messages) for talk in talks})
    logged = Counter[tuple[str, str]]()
    for line in _lines(log):
        if line.get("event") != "turn.ended":
            continue
        logged[line["tenant"], line["session_id"]] += 1
        found.seen("lines of the log")
        if of.get(line.get("tenant_id", "")) != line["tenant"]:
            found.faults.append(f"a line of {line['tenant']} names the tenant {line.get('tenant_id')}")
    if logged != wanted:
        found.faults.append(f"turns in the log differ in {len((logged - wanted) + (wanted - logged))} sessions")


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def clashes(talks: Sequence[Talk]) -> dict[str, int]:
    """How many sessions and contacts there are by name in more than one tenant: without them nothing is proven."""
    sessions, users = Counter(talk.session for talk in talks), Counter[str]()
    for user in {(talk.tenant, talk.user) for talk in talks}:
        users[user[1]] += 1
    return {
        "sessions": sum(number for number in sessions.values() if number > 1),
        "contacts": sum(number for number in users.values() if number > 1),
    }


@asynccontextmanager
async def house(place: Path, number: int) -> AsyncIterator[tuple[str, str, Path]]:
    """A server with so many clinics on a PostgreSQL of its own: its URL, the owner's of the database, its log."""
    make_tenants(place / "tenants", number)
    with postgres(place / "postgres") as database:
        url = await database.make("house")
        with servers.frontdesk(place, env="production", database_url=url, tenants=str(place / "tenants")) as at:
            yield at.url, url, place / "frontdesk.log"


async def main() -> None:
    parser = arguments("isolation", __doc__ or "")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with sgd/ and mts_dialog/")
    parser.add_argument("--dialogues", type=int, default=None, help="only so many of each kind")
    parser.add_argument("--tenants", type=int, default=TENANTS)
    given, where = parser.parse_args(), machine()
    dialogues = list(sgd(given.data))[: given.dialogues] + list(mts(given.data, MTS_DIALOGUES))[: given.dialogues]
    talks = spread(dialogues, given.tenants)
    seen = Seen()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="frontdesk-isolation-") as folder, bar:
        place = Path(folder)
        place.chmod(0o755)  # PostgreSQL's own user, under root, comes through
        async with house(place, given.tenants) as (url, database_url, log):
            progress = bar.add_task("dialogues", total=len(talks))
            async with said(url, talks, seen, lambda: bar.advance(progress)) as http:
                found = await looked_at(http, url, database_url, place / "data", log, talks)
    faults = [*seen.faults, *found.faults]
    results: dict[str, Any] = {
        "tenants": given.tenants, "dialogues": len(talks), "turns": sum(len(talk.messages) for talk in talks),
        "answered": sum(seen.states.values()), "errors": dict(seen.errors), "clashing": clashes(talks),
        "looked_at": dict(found.looked_at), "faults_count": len(faults), "faults": faults[:20],
        "wall_s": time.perf_counter() - began,
    }  # fmt: skip
    write("isolation", given.out, where, results, "One server, many tenants, the same names", report(results))
    if faults or seen.errors:
        raise SystemExit(1)


def report(results: dict[str, Any]) -> str:
    rows = [
        ["dialogues, turns", f"{results['dialogues']}, {results['turns']}"],
        ["turns that ended with an answer", results["answered"]],
        ["refusals and failures", sum(results["errors"].values())],
        ["sessions / contacts whose name another tenant has too",
         f"{results['clashing']['sessions']} / {results['clashing']['contacts']}"],
        *([f"looked at: {what}", number] for what, number in results["looked_at"].items()),
        ["**with another tenant than their own**", f"**{results['faults_count']}**"],
    ]  # fmt: skip
    told = "".join(f"\n- {fault}" for fault in results["faults"])
    return (
        f"The dialogues of `make bench-replay`, spread over {results['tenants']} clinics of one server that share "
        "every name: of contacts, sessions, idempotency keys, agents, tools and documents. Each dialogue ends with a "
        "question and an emergency that every clinic answers with a code word of its own.\n\n"
        f"{table(['', ''], rows)}{told}\n\n"
        "A sealed value counts when it opens with its own row's tenant and not with another's; a search when it is "
        "made in each tenant with the very vector of each tenant's passage."
    )


if __name__ == "__main__":
    uvloop.run(main())

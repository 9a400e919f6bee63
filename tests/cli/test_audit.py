"""`frontdesk audit` as a shell meets it."""

from pathlib import Path

import asyncpg
from tests.command import run
from tests.conftest import as_application, make_tenant

from frontdesk import audit
from frontdesk.db import Database


async def test_an_export_is_checked_anywhere_and_a_changed_row_is_named(database_url: str, tmp_path: Path) -> None:
    database = await Database.connect(as_application(database_url))
    tenant_id = await make_tenant(database, "acme")
    for n in range(3):
        async with database.scope(tenant_id) as scope:
            await audit.append(scope, audit.Actor("command", "apply"), "agent.changed", f"agent/{n}", None, {"n": n})
    await database.close()
    here = {"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_DATA": str(tmp_path)}

    exported = run("audit", "export", "acme", **here)
    assert (exported.returncode, exported.stdout.count("\n")) == (0, 3)
    file = tmp_path / "acme.jsonl"
    file.write_text(exported.stdout)
    for arguments in (["verify"], ["verify", str(file)], ["verify", str(file), "--tenant", "acme"]):
        done = run("audit", *arguments, **here)
        assert (done.returncode, "3 entries" in done.stdout) == (0, True), done.stdout + done.stderr

    owner = await asyncpg.connect(database_url)
    await owner.execute("""UPDATE audit SET after = '{"n":7}' WHERE number = 2""")
    await owner.close()
    done = run("audit", "verify", "--tenant", "acme", **here)
    assert (done.returncode, "BROKEN acme: Entry 2 " in done.stdout) == (1, True), done.stdout + done.stderr
    file.write_text(exported.stdout.replace('"n":1', '"n":8'))
    done = run("audit", "verify", str(file))
    assert (done.returncode, "Entry 2 " in done.stdout) == (1, True), done.stdout + done.stderr
    done = run("audit", "export", "nobody", **here)
    assert (done.returncode, done.stdout, "There is no tenant 'nobody'." in done.stderr) == (1, "", True)

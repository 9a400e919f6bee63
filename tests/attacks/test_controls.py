"""The same requests from those who may: an attack that would be refused whoever sent it would prove nothing."""

from frontdesk.channels.access import Default, Named, Own
from frontdesk.channels.cookies import ACCESS
from frontdesk.identity.permissions import Permission
from tests.attacks.conftest import Stage
from tests.attacks.kinds import by_cookie
from tests.attacks.suite import sent
from tests.attacks.table import Operation, valid

# Right requests that a tenant with one of everything can't have answered, and why.
ANSWERED_OTHERWISE = {
    "PUT /api/auth/password": "the current password of the example is not his",
    "POST /api/auth/second-factor": "the password of the example is not his",
    "PUT /api/auth/second-factor": "a code of an app is needed",
    "DELETE /api/auth/sessions": "his own has ended by then",
    "DELETE /api/admin/aliases/{name}": "the only one that there is",
    "DELETE /api/admin/agents/{name}": "the one that answers what no other does",
    "DELETE /api/admin/tools/{name}": "agents use it",
    "POST /api/auth/second-factor/remove": "the password of the example is not his",
    "POST /api/admin/staff/{staff_id}/invitation": "whom the list has first has accepted his already",
    "DELETE /api/admin/staff/{staff_id}": "whom the list has first may be the last owner",
    "PATCH /api/admin/staff/{staff_id}": "whom the list has first may be the last owner",
}


def turn(operation: Operation) -> tuple[bool, bool, bool, int, str]:
    """Reads first; of what is removed, what is inside comes before what it is in; then one's own sign-in, and
    at the end the tenant, by an operator."""
    is_own = operation.path.startswith("/api/auth")
    erases = operation.needed is not None and operation.needed.permission is Permission.CONTACTS_ERASE
    removes = erases or operation.method == "DELETE"
    return operation.is_operators, is_own, removes, -len(operation.path), operation.name


async def test_cookies_of_our_own_pages_and_users_of_an_issuer_are_let_in(stage: Stage) -> None:
    world = stage.control
    async with stage.grounds.client(app=stage.apps[False]) as client:
        for path, headers in (
            ("http://localhost", by_cookie(world.keys["role owner"])),
            ("https://localhost", by_cookie(world.keys["role owner"], f"__Host-{ACCESS}")),
            ("http://localhost", {"cookie": f"{ACCESS}={world.keys['role owner']}", "origin": "http://localhost"}),
        ):
            changed = await client.patch(
                f"{path}/api/admin/settings", json={"greeting": "Good day!"}, headers=headers | {"if-match": "*"}
            )
            assert changed.status_code == 200, changed.text
        own = f"/api/{world.slug}/sessions?user_id={world.values['user_id']}"
        told = await client.get(own, headers=world.credential("issuer's user"))
        assert world.values["session_id"] in told.text
        assert (await client.get(own, headers=world.credential("issuer's other user"))).status_code == 403


async def test_who_may_is_not_refused(stage: Stage) -> None:
    refused = []
    async with stage.grounds.client(app=stage.apps[False]) as client:
        for operation in sorted(stage.table, key=turn):
            if not isinstance(operation.needed, Named | Own | Default) or operation.name in ANSWERED_OTHERWISE:
                continue
            if isinstance(operation.needed, Default) and operation.method == "DELETE":
                continue  # what it removes is the victim's
            world = stage.cast.victim if isinstance(operation.needed, Default) else stage.control
            # Nobody changes the state of the tenant that he belongs to.
            may = stage.cast.victim.may(operation) if operation.is_operators else world.credential("role owner")
            request = valid(operation, world.values_for(operation), {}).saying(may)
            response = await sent(client, request)
            if response.is_error:
                refused.append(f"{operation.name}: {response.status_code} {response.text[:200]}")
    assert refused == [], "\n".join(refused)

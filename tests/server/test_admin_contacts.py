"""Data subjects' requests over HTTP: what the commands give out and erase, for who may."""

import hashlib
import json

from tests.served import Served

EXPORT, ERASE = "/api/admin/contacts/export", "/api/admin/contacts/erase"
ASKED = "Where can I park my bicycle?"


async def test_everything_about_a_contact_is_given_out_and_erased(served: Served) -> None:
    ann, ben = {"user_id": "ann/1?a=b&c é@example.org"}, {"user_id": "ben"}
    for who in (ann, ben):
        await served.chat(ASKED, user=who["user_id"])

    given = await served.client.post(EXPORT, json=ann)
    assert (given.status_code, given.headers["content-type"]) == (200, "application/x-ndjson")
    *lines, last = given.content.splitlines(keepends=True)
    receipt = json.loads(last)["receipt"]
    assert receipt["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    tables = [json.loads(line)["table"] for line in lines]
    assert {"conversations", "turns", "messages", "steps", "contacts"} <= set(tables)
    assert receipt["rows"] == {name: tables.count(name) for name in set(tables)}
    assert ASKED in given.text
    assert "ben" not in {json.loads(line)["row"].get("contact") for line in lines}

    erased = await served.client.post(ERASE, json=ann)
    told = erased.json()
    assert (erased.status_code, told["action"], told["contact"]) == (200, "erased", receipt["contact"])
    assert told["rows"]["conversations"] == 1
    unsigned = erased.content.replace(told["sha256"].encode(), b"")
    assert told["sha256"] == hashlib.sha256(unsigned).hexdigest()
    left = [json.loads(line) for line in (await served.client.post(EXPORT, json=ann)).content.splitlines()]
    assert {each["table"] for each in left[:-1]} == {"audit"}  # that it was given out and erased, of a hash
    again = (await served.client.post(ERASE, json=ann)).json()
    assert set(again["rows"].values()) == {0}
    other = (await served.client.post(EXPORT, json=ben)).content.splitlines()
    assert json.loads(other[-1])["receipt"]["rows"]["conversations"] == 1

    log = (await served.client.get("/api/admin/audit", params={"limit": 200})).json()["items"]
    found = [each["action"] for each in log if each["target"] == receipt["contact"]]
    assert sorted(found) == ["contact.erased"] * 2 + ["contact.exported"] * 2


async def test_each_needs_its_own_permission_and_a_body_that_names_somebody(served: Served) -> None:
    ann = {"user_id": "ann"}
    exports = await served.bearing_key("clinic", "contacts:export")
    erases = await served.bearing_key("clinic", "contacts:erase")
    assert (await served.nobody.post(ERASE, json=ann, headers=exports)).status_code == 403
    assert (await served.nobody.post(EXPORT, json=ann, headers=erases)).status_code == 403
    for path in (EXPORT, ERASE):
        assert (await served.nobody.post(path, json=ann)).status_code == 401
        for wrong in ({}, {"user_id": " "}, {"user_id": "a\u0000"}, {"user_id": 1}, ann | {"tenant": "other"}):
            assert (await served.client.post(path, json=wrong)).status_code == 422, wrong

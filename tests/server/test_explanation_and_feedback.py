"""Why a message was answered as it was, and what people say of it, through the API of a real server."""

import re
import tempfile
from pathlib import Path
from typing import Any

from tests.served import Served, serving
from tests.server.test_http_contract import assert_error

NOBODY = "0198c0de-0000-7000-8000-00000000dead"


async def explained(served: Served, message_id: str) -> dict[str, Any]:
    response = await served.client.get(f"/api/clinic/messages/{message_id}/explanation")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def judge(served: Served, message_id: str, tenant: str = "clinic", **body: Any) -> Any:
    return await served.client.put(f"/api/{tenant}/messages/{message_id}/feedback", json=body)


async def metric(served: Served, line: str) -> float | None:
    text = (await served.nobody.get("/metrics")).text
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


async def test_an_explanation_has_every_stage_in_order_with_what_it_looked_at(served: Served) -> None:
    answer = await served.chat("When are your visiting hours?")
    found = await explained(served, answer["message_id"])
    stages = [stage["stage"] for stage in found["stages"]]
    assert stages == ["emergency", "human", "pending", "sticky", "pattern", "embedding", "llm", "default"]
    outcomes = {stage["stage"]: stage["outcome"] for stage in found["stages"]}
    assert outcomes["emergency"] == outcomes["pattern"] == "passed"
    assert outcomes["embedding"] == "decided"
    assert outcomes["llm"] == outcomes["default"] == "not_reached"
    assert all(stage["looked_at"] for stage in found["stages"])
    decider = next(stage for stage in found["stages"] if stage["outcome"] == "decided")
    assert decider["reason"] == answer["routing"]["reason"]
    assert decider["least"] <= decider["scores"]["general_info"] <= 1
    assert list(decider["scores"].values()) == sorted(decider["scores"].values(), reverse=True)
    assert 0.5 <= decider["in_scope"] <= 1
    cosines = [like["cosine"] for like in decider["nearest"]]
    assert cosines == sorted(cosines, reverse=True) and len(cosines) == 3
    assert "visiting hours" in decider["nearest"][0]["example"].lower()
    assert decider["nearest"][0]["agent"] == "general_info"
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    assert found["messages"][1]["content"] == answer["text"]
    assert found["feedback"] == []


async def test_the_contacts_message_and_its_answer_have_the_same_explanation(served: Served) -> None:
    answer = await served.chat("Where can I park?")
    asked = (await served.history(answer["session_id"]))["messages"][0]
    assert await explained(served, asked["message_id"]) == await explained(served, answer["message_id"])


async def test_an_emergency_is_explained_by_the_rule_that_fired(served: Served) -> None:
    answer = await served.chat("my dad has chest pain and can't breathe")
    first, *others = (await explained(served, answer["message_id"]))["stages"]
    assert (first["stage"], first["outcome"]) == ("emergency", "decided")
    assert answer["routing"]["reason"] in first["reason"]
    assert {stage["outcome"] for stage in others} == {"not_reached"}


async def test_what_came_near_an_emergency_shows_the_score_reached_and_the_one_needed(served: Served) -> None:
    answer = await served.chat("I had chest pain two years ago, can I book a check-up?")
    first, *others = (await explained(served, answer["message_id"]))["stages"]
    assert (first["stage"], first["outcome"]) == ("emergency", "undecided")
    assert first["scores"]["cardiac"] < first["least"]
    assert "but past" in first["reason"]
    assert [stage["outcome"] for stage in others].count("decided") == 1


async def test_mere_courtesy_reaches_no_classifier(served: Served) -> None:
    answer = await served.chat("Thank you!")
    found = {stage["stage"]: stage for stage in (await explained(served, answer["message_id"]))["stages"]}
    assert found["default"]["outcome"] == "decided"
    assert found["embedding"]["outcome"] == "not_reached"


async def test_the_last_verdict_of_a_user_counts_and_the_same_again_changes_nothing(served: Served) -> None:
    message_id = (await served.chat("Which insurance do you accept?"))["message_id"]
    first = await judge(served, message_id, user_id="ann", verdict="right")
    assert first.status_code == 200, first.text
    again = await judge(served, message_id, user_id="ann", verdict="right")
    assert again.json() == first.json()
    await judge(served, message_id, user_id="bob", verdict="right")
    changed = await judge(served, message_id, user_id="ann", verdict="wrong", agent="general_info")
    assert changed.json()["agent"] == "general_info"
    kept = {each["user_id"]: each for each in (await explained(served, message_id))["feedback"]}
    assert {user: each["verdict"] for user, each in kept.items()} == {"ann": "wrong", "bob": "right"}
    for _ in range(2):
        gone = await served.client.delete(f"/api/clinic/messages/{message_id}/feedback", params={"user_id": "ann"})
        assert gone.status_code == 204
    assert [each["user_id"] for each in (await explained(served, message_id))["feedback"]] == ["bob"]


async def test_what_cannot_be_judged_is_told_in_the_one_format(served: Served) -> None:
    message_id = (await served.chat("Do I have to fast before a blood test?"))["message_id"]
    body = assert_error(
        await judge(served, message_id, user_id="ann", verdict="wrong", agent="sales"), 422, "VALIDATION_FAILED"
    )
    assert body["errors"][0]["field"] == "agent" and "appointments" in body["errors"][0]["message"]
    refused = await judge(served, message_id, user_id="ann", verdict="right", agent="billing")
    assert assert_error(refused, 422, "VALIDATION_FAILED")["errors"][0]["field"] == "agent"
    refused = await judge(served, message_id, user_id="ann", verdict="great")
    assert assert_error(refused, 422, "VALIDATION_FAILED")["errors"][0]["field"] == "verdict"
    assert_error(await judge(served, message_id, user_id=" ", verdict="right"), 422, "VALIDATION_FAILED")
    assert_error(await judge(served, NOBODY, user_id="ann", verdict="right"), 404, "CONVERSATION_NOT_FOUND")
    assert_error(await judge(served, message_id, "nobody", user_id="ann", verdict="right"), 404, "TENANT_NOT_FOUND")


async def test_verdicts_are_counted_from_the_database_and_erased_with_their_session() -> None:
    with tempfile.TemporaryDirectory(prefix="frontdesk-feedback-") as folder:
        async with serving(Path(folder)) as served:
            assert await metric(served, 'frontdesk_intent_accuracy{tenant="clinic"}') is None
            answers = [
                await served.chat(text)
                for text in ("Where can I park?", "Which insurance do you accept?", "When are visiting hours?")
            ]
            for answer, verdict in zip(answers, ("right", "right", "wrong"), strict=True):
                assert (await judge(served, answer["message_id"], user_id="ann", verdict=verdict)).status_code == 200
            assert await metric(served, 'frontdesk_intent_accuracy{tenant="clinic"}') == 2 / 3
            assert await metric(served, 'frontdesk_feedback{tenant="clinic",verdict="right"}') == 2
        async with serving(Path(folder)) as served:  # nothing of it was only in memory
            assert await metric(served, 'frontdesk_intent_accuracy{tenant="clinic"}') == 2 / 3
            await served.client.delete(f"/api/clinic/sessions/{answers[2]['session_id']}")
            await judge(served, answers[0]["message_id"], user_id="bob", verdict="right")
            assert await metric(served, 'frontdesk_intent_accuracy{tenant="clinic"}') == 1
            assert await metric(served, 'frontdesk_feedback{tenant="clinic",verdict="right"}') == 3

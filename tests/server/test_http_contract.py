"""The public API's conventions, as any client meets them."""

import asyncio
import base64
import json
import re
import uuid
from typing import Any

import pytest
from tests.served import Served

from frontdesk.channels.bodies import MAX_DEPTH

ERROR_KEYS = {"detail", "error_code", "timestamp", "correlation_id", "retry_after"}


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def assert_error(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) >= ERROR_KEYS
    assert body["error_code"] == code
    assert response.headers["x-correlation-id"] == body["correlation_id"]
    assert body["timestamp"].endswith("Z")
    return dict(body)


async def test_an_answer_has_everything_that_the_contract_names(served: Served) -> None:
    answer = await served.chat("What are your visiting hours?")
    assert set(answer) >= {
        "session_id", "message_id", "seq", "correlation_id", "text", "agents", "intents", "routing", "emergency",
        "escalated", "owner", "needs", "citations", "items", "tools", "source", "degraded", "usage", "state",
        "duration_ms",
    }  # fmt: skip
    assert set(answer["usage"]) == {
        "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd", "llm_calls",
    }  # fmt: skip
    assert answer["source"] == "local"
    assert answer["state"] == "completed"
    assert answer["citations"]


async def test_the_short_routes_serve_the_default_tenant(served: Served) -> None:
    response = await served.post_chat("Where can I park?", path="/chat")
    session_id = response.json()["session_id"]
    session = (await served.client.get(f"/session/{session_id}")).json()
    assert session["user_id"] == "ann"
    assert session["state"] == "active"
    assert [message["role"] for message in session["conversation_history"]] == ["user", "assistant"]
    assert session["metadata"]["total_interactions"] == 1
    chatting = await served.bearing_key("clinic", "chat")
    for path in (f"/session/{session_id}", f"/api/clinic/sessions/{session_id}"):
        assert_error(await served.client.delete(path, headers=chatting), 403, "FORBIDDEN")
    assert (await served.client.delete(f"/session/{session_id}")).status_code == 204
    assert (await served.nobody.delete(f"/session/{session_id}")).status_code == 204
    assert_error(await served.client.get(f"/session/{session_id}"), 404, "CONVERSATION_NOT_FOUND")
    assert_error(await served.post_chat("hello again", session_id, path="/chat"), 410, "SESSION_EXPIRED")


async def test_a_session_can_be_made_before_its_first_message(served: Served) -> None:
    key = {"idempotency-key": str(uuid.uuid4())}
    body = {"user_id": "early", "context": {"ward": "B"}}
    made = await served.client.post("/api/clinic/sessions", json=body, headers=key)
    again = await served.client.post("/api/clinic/sessions", json=body, headers=key)
    assert (made.status_code, made.json()) == (again.status_code, again.json()) == (201, made.json())
    assert (made.json()["state"], made.json()["context"]) == ("created", {"ward": "B"})
    session_id = made.json()["session_id"]
    await served.chat("hello", session_id, user="early")
    session = (await served.client.get(f"/api/clinic/sessions/{session_id}")).json()
    assert (session["state"], session["context"]) == ("active", {"ward": "B"})
    taken = await served.client.post("/sessions", json={"user_id": "eve", "session_id": session_id})
    assert_error(taken, 404, "CONVERSATION_NOT_FOUND")
    assert_error(await served.client.post("/sessions", json={"message": "x"}), 422, "VALIDATION_FAILED")


async def test_a_session_made_by_key_is_not_made_again_with_another_body(served: Served) -> None:
    async def made(key: str, **body: Any) -> Any:
        headers = {"idempotency-key": key}
        return await served.client.post("/api/clinic/sessions", json={"user_id": "ann"} | body, headers=headers)

    key = str(uuid.uuid4())
    session_id = (await made(key, context={"ward": "B"})).json()["session_id"]
    for other in ({"context": {"ward": "C"}}, {}, {"context": {"ward": "B"}, "channel": "app"}, {"user_id": "eve"}):
        assert_error(await made(key, **other), 409, "IDEMPOTENCY_CONFLICT")
    await served.chat("hello", session_id, context={"ward": "D"})
    again = await made(key, context={"ward": "B"})
    assert (again.status_code, again.json()["session_id"]) == (201, session_id)
    await served.client.delete(f"/api/clinic/sessions/{session_id}")
    assert_error(await made(key, context={"ward": "B"}), 404, "CONVERSATION_NOT_FOUND")


async def test_accept_only_answers_202_and_the_answer_is_in_the_history(served: Served) -> None:
    response = await served.post_chat("Which insurance do you accept?", path="/api/clinic/messages")
    assert response.status_code == 202
    accepted = response.json()
    assert set(accepted) == {"session_id", "message_id", "seq", "correlation_id"}
    history = await served.answered(accepted["session_id"], {accepted["seq"]})
    question, answer = history["messages"]
    assert (question["role"], question["seq"], question["message_id"]) == ("user", 1, accepted["message_id"])
    assert (answer["role"], answer["in_reply_to"]) == ("assistant", [1])
    later = await served.history(accepted["session_id"], after=1)
    assert [message["seq"] for message in later["messages"]] == [2]


async def test_an_answer_can_be_explained_stage_by_stage_and_step_by_step(served: Served) -> None:
    answer = await served.chat("Which insurance do you accept?")
    explained = (await served.client.get(f"/api/clinic/messages/{answer['message_id']}/explanation")).json()
    assert (explained["state"], explained["covers"], explained["attempt"]) == ("completed", [1], 1)
    assert explained["stage"] == explained["decision"]["stage"] == answer["routing"]["stage"]
    trials = explained["decision"]["trials"]
    assert all(set(trial) >= {"stage", "scores", "reason", "duration_ms"} for trial in trials)
    assert {step["kind"] for step in explained["steps"]} == {"llm", "tool"}
    unknown = await served.client.get(f"/api/clinic/messages/{uuid.uuid4()}/explanation")
    assert_error(unknown, 404, "CONVERSATION_NOT_FOUND")


async def test_a_users_sessions_are_listed_last_active_first_page_by_page(served: Served) -> None:
    user = f"lister-{uuid.uuid4()}"
    ids = [(await served.chat("hello", user=user))["session_id"] for _ in range(3)]
    first = (await served.client.get("/api/clinic/sessions", params={"user_id": user, "limit": 2})).json()
    assert [item["session_id"] for item in first["items"]] == ids[:0:-1]
    cursor = {"user_id": user, "limit": 2, "cursor": first["next_cursor"]}
    second = (await served.client.get("/api/clinic/sessions", params=cursor)).json()
    assert [item["session_id"] for item in second["items"]] == ids[:1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "cursor",
    ["%%", "é", encoded("yesterday"), encoded("2026-11-21T10:00:00"), encoded("0001-01-01T00:00:00+14:00"),
     encoded("9999-12-31T23:59:59-14:00")],
)  # fmt: skip
async def test_a_made_up_cursor_is_refused(served: Served, cursor: str) -> None:
    bad = await served.client.get("/api/clinic/sessions", params={"user_id": "ann", "cursor": cursor})
    assert assert_error(bad, 422, "VALIDATION_FAILED")["errors"][0]["field"] == "cursor"


async def test_sessions_of_an_unreadable_user_are_refused(served: Served) -> None:
    for path in ("/api/clinic/sessions", "/sessions"):
        bad = assert_error(await served.client.get(f"{path}?user_id=%00"), 422, "VALIDATION_FAILED")
        assert bad["errors"] == [{"field": "user_id", "message": "must not contain the NUL character"}]


@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("depth", [MAX_DEPTH, 254, 1000, 2000])
async def test_a_context_nested_too_deep_is_refused(served: Served, opening: str, depth: int) -> None:
    closing = "}" if opening.startswith("{") else "]"
    context = f'{{"x": {opening * depth}1{closing * depth}}}'
    for path in ("chat", "sessions"):
        message = '"message": "hi", ' if path == "chat" else ""
        content = f'{{"user_id": "ann", {message}"context": {context}}}'
        headers = {"content-type": "application/json"}
        bad = await served.client.post(f"/api/clinic/{path}", content=content, headers=headers)
        if depth == 2000:  # beyond what is read at all
            assert_error(bad, 400, "MALFORMED")
        else:
            assert assert_error(bad, 422, "VALIDATION_FAILED")["errors"][0]["field"] == "context"


async def test_a_context_as_deep_as_accepted_comes_back(served: Served) -> None:
    context: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 1):
        context = {"a": context, "b": [1]} if not context else {"a": context}
    made = await served.client.post("/api/clinic/sessions", json={"user_id": "ann", "context": context})
    assert (made.status_code, made.json()["context"]) == (201, context)


async def test_the_same_idempotency_key_and_body_give_the_same_answer_and_another_body_409(served: Served) -> None:
    key = {"idempotency-key": str(uuid.uuid4())}
    first = await served.post_chat("When are you open?", headers=key)
    again = await served.post_chat("When are you open?", headers=key)
    assert first.json() == again.json()
    other = await served.post_chat("When do you close?", headers=key)
    assert_error(other, 409, "IDEMPOTENCY_CONFLICT")
    assert len((await served.history(first.json()["session_id"]))["messages"]) == 2


async def test_a_repeated_key_at_the_same_time_is_answered_once(served: Served) -> None:
    key = {"idempotency-key": str(uuid.uuid4())}
    responses = await asyncio.gather(*(served.post_chat("Do you vaccinate?", headers=key) for _ in range(8)))
    assert len({response.json()["message_id"] for response in responses}) == 1
    assert len((await served.history(responses[0].json()["session_id"]))["messages"]) == 2


async def test_a_hundred_messages_at_once_in_one_conversation_are_each_covered_exactly_once(served: Served) -> None:
    session_id = str(uuid.uuid4())
    responses = await asyncio.gather(
        *(served.post_chat(f"Hello number {n}", session_id, path="/api/clinic/messages") for n in range(100))
    )
    seqs = {response.json()["seq"] for response in responses}
    assert len(seqs) == 100
    history = await served.answered(session_id, seqs)
    covered = sorted(seq for message in history["messages"] for seq in message["in_reply_to"])
    assert covered == sorted(seqs)
    assert [message["seq"] for message in history["messages"]] == list(range(1, len(history["messages"]) + 1))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"user_id": "ann"}, 422, "message"),
        ({"message": "hi"}, 422, "user_id"),
        ({"user_id": "ann", "message": ""}, 422, "message"),
        ({"user_id": "ann", "message": " \n\t "}, 422, "message"),
        ({"user_id": "ann", "message": "x" * 2001}, 422, "message"),
        ({"user_id": "x" * 101, "message": "hi"}, 422, "user_id"),
        ({"user_id": "ann", "message": "a\u0000b"}, 422, "message"),
        ({"user_id": "ann", "message": 7}, 422, "message"),
        ({"user_id": 7, "message": "hi"}, 422, "user_id"),
        ({"user_id": "ann", "message": ["hi"]}, 422, "message"),
        ({"user_id": "ann", "message": "hi", "colour": "red"}, 422, "colour"),
        ({"user_id": "ann", "message": "hi", "session_id": "not-a-uuid"}, 422, "session_id"),
        ({"user_id": "ann", "message": "hi", "context": []}, 422, "context"),
        ({"user_id": "ann", "message": "hi", "context": {"x": "y" * 20_000}}, 422, "context"),
        ({"user_id": "ann", "message": "hi", "attachments": [{"url": "x"}]}, 422, "attachments"),
        ({"user_id": "ann", "message": "hi", "channel": "Not A Channel"}, 422, "channel"),
        ([], 422, ""),
        ("hello", 422, ""),
    ],
)
@pytest.mark.parametrize("path", ["/chat", "/api/clinic/messages"])
async def test_a_wrong_field_is_named(served: Served, path: str, body: Any, status: int, field: str) -> None:
    response = await served.client.post(path, json=body)
    error = assert_error(response, status, "VALIDATION_FAILED")
    assert [found["field"] for found in error["errors"]] == [field]


async def test_exactly_2000_characters_are_taken(served: Served) -> None:
    assert (await served.post_chat("ä" * 2000)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"user_id": "ann", "message": "\xff\xfe"}',
        b'{"user_id": "ann", "message": "\\ud800"}',
        b"user_id=ann&message=hi",
        b'{"user_id": "ann", "message": NaN}',
    ],
)
async def test_what_is_not_json_in_utf8_is_refused(served: Served, content: bytes) -> None:
    response = await served.client.post("/chat", content=content, headers={"content-type": "application/json"})
    assert_error(response, 400, "MALFORMED")


async def test_another_content_type_is_refused(served: Served) -> None:
    response = await served.client.post("/chat", content=b"hi", headers={"content-type": "text/plain"})
    assert_error(response, 415, "UNSUPPORTED_TYPE")
    untyped = await served.client.post("/chat", content=b'{"user_id": "ann", "message": "hi"}')
    assert_error(untyped, 415, "UNSUPPORTED_TYPE")


async def test_another_sites_page_can_not_change_anything(served: Served) -> None:
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert_error(await served.post_chat("hi", headers=foreign), 403, "CROSS_SITE")
    assert_error(await served.client.delete(f"/session/{uuid.uuid4()}", headers=foreign), 403, "CROSS_SITE")
    assert (await served.client.get("/", headers=foreign)).status_code == 200  # a link from elsewhere
    assert (await served.post_chat("hi", headers={"sec-fetch-site": "same-origin"})).status_code == 200


async def test_a_huge_body_is_refused_whether_announced_or_not(served: Served) -> None:
    body = json.dumps({"user_id": "ann", "message": "hi", "context": {"x": "y" * 300_000}}).encode()
    announced = await served.client.post("/chat", content=body, headers={"content-type": "application/json"})
    assert_error(announced, 413, "TOO_LARGE")

    async def chunks() -> Any:
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    unannounced = await served.client.post("/chat", content=chunks(), headers={"content-type": "application/json"})
    assert_error(unannounced, 413, "TOO_LARGE")


async def test_unknown_addresses_methods_tenants_and_ids(served: Served) -> None:
    client = served.client
    assert_error(await client.get("/nothing/here"), 404, "NOT_FOUND")
    for name in ("%00", "x" * 300, "chat", "..%2f__init__.py", "chat/main.js%00"):
        assert_error(await client.get(f"/static/{name}"), 404, "NOT_FOUND")
    assert_error(await client.put("/chat"), 405, "METHOD_NOT_ALLOWED")
    assert_error(await served.post_chat("hi", path="/api/no-such-tenant/chat"), 404, "TENANT_NOT_FOUND")
    assert_error(await served.post_chat("hi", path=f"/api/{'x' * 500}/chat"), 404, "TENANT_NOT_FOUND")
    assert_error(await client.get(f"/api/clinic/conversations/{uuid.uuid4()}"), 404, "CONVERSATION_NOT_FOUND")
    assert_error(await client.get(f"/session/{uuid.uuid4()}"), 404, "CONVERSATION_NOT_FOUND")
    assert_error(await client.get("/session/not-a-uuid"), 422, "VALIDATION_FAILED")
    assert_error(await client.get(f"/api/clinic/conversations/{uuid.uuid4()}?after=-1"), 422, "VALIDATION_FAILED")
    assert_error(await client.get(f"/api/clinic/passages/{uuid.uuid4()}"), 404, "PASSAGE_NOT_FOUND")


async def test_a_session_of_another_user_is_not_found(served: Served) -> None:
    session_id = (await served.chat("hello", user="ann"))["session_id"]
    assert_error(await served.post_chat("hello", session_id, user="eve"), 404, "CONVERSATION_NOT_FOUND")
    assert len((await served.history(session_id))["messages"]) == 2


async def test_a_sane_correlation_id_is_taken_and_another_replaced(served: Served) -> None:
    taken = await served.post_chat("hello", headers={"x-correlation-id": "trace-42"})
    assert taken.headers["x-correlation-id"] == taken.json()["correlation_id"] == "trace-42"
    made = await served.post_chat("hello", headers={"x-correlation-id": "no spaces allowed"})
    assert made.headers["x-correlation-id"] == made.json()["correlation_id"] != "no spaces allowed"


async def test_a_name_that_is_not_the_servers_is_refused(served: Served) -> None:
    assert_error(await served.client.get("/health", headers={"host": "evil.example"}), 421, "UNKNOWN_HOST")
    assert (await served.client.get("/health", headers={"host": "localhost:1"})).status_code == 200


async def test_health_and_metrics(served: Served) -> None:
    assert (await served.client.get("/health")).json()["status"] == "ok"
    assert (await served.client.get("/health/ready")).status_code == 200
    detailed = (await served.nobody.get("/health/detailed")).json()
    assert all(set(found) == {"status", "latency_ms", "detail"} for found in detailed.values())
    await served.chat("hello")
    metrics = (await served.nobody.get("/metrics")).text
    for name in ("frontdesk_requests_total", "frontdesk_turns_total", "frontdesk_cache_total", "frontdesk_llm_calls"):
        assert name in metrics


async def test_the_api_describes_itself(served: Served) -> None:
    schema = (await served.client.get("/openapi.json")).json()
    assert "/api/{tenant}/chat" in schema["paths"]
    assert "/chat" in schema["paths"]


async def test_the_list_of_routes_needs_nothing_from_elsewhere(served: Served) -> None:
    page = await served.client.get("/docs")
    assert (page.status_code, page.headers["content-security-policy"][:18]) == (200, "default-src 'self'")
    assert "<code>POST /api/{tenant}/chat</code>" in page.text
    assert "script" not in page.text
    assert not re.findall(r'(?:src|href)="(?!/)', page.text)
    for address in re.findall(r'href="([^"]*)"', page.text):
        assert (await served.client.get(address)).status_code == 200


async def test_a_refused_method_names_all_that_the_address_takes(served: Served) -> None:
    refused = await served.client.put("/api/clinic/sessions")
    assert "GET, POST" in assert_error(refused, 405, "METHOD_NOT_ALLOWED")["detail"]
    assert refused.headers["allow"] == "GET, POST"


async def test_a_context_may_speak_of_nul_but_not_hold_it(served: Served) -> None:
    for context, status in (({"a": ["\\u0000"]}, 201), ({"a": ["\u0000"]}, 422), ({"\u0000": 1}, 422)):
        made = await served.client.post("/api/clinic/sessions", json={"user_id": "ann", "context": context})
        assert made.status_code == status, context

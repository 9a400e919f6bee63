"""Turns with a model that says anything: each ends, in order, and the conversation goes on."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.conversations.room import Room
from tests.crash.desk import Desk
from tests.vendors.replies import Reply, ToolUse, Use

from frontdesk.conversations.models import Author
from frontdesk.core.errors import TurnFailed
from frontdesk.core.ids import new_id

TEXTS = st.sampled_from(
    ["", " ", "\x00", "a\x00b", "\u202e", "🙂" * 300, "[1][2][999999999999]", "x" * 100_000, "\ufeff", "'; --"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | st.sampled_from([10**30, -(2**63), 1e308, 0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DEEP = '{"text": ' + "[" * 900 + "]" * 900 + "}"
USES = st.builds(
    ToolUse, st.sampled_from(["write_note", "", "a\x00b", "x" * 100_000, "Write_Note "]),
    st.fixed_dictionaries({"text": VALUES}), st.none() | TEXTS,
    st.none() | st.sampled_from(["", "[]", "{", DEEP, "nul"]),
)  # fmt: skip
COUNTS = st.sampled_from([0, -1, 7])
REPLIES = st.builds(
    Reply, TEXTS, st.lists(USES, max_size=3),
    use=st.none() | st.builds(Use, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    stop=st.none() | st.sampled_from(["stop", "tool_calls", "max_tokens", "content_filter"]),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(REPLIES, min_size=1, max_size=3))
@example([Reply(tool_calls=[ToolUse("a\x00b")])])
@example([Reply(tool_calls=[ToolUse("write_note", raw=DEEP)])])
@example([Reply(tool_calls=[ToolUse("write_note", {"text": "a\x00b"})])])
async def test_whatever_the_model_says_the_turn_ends_and_the_next_is_answered(
    desk: Desk, desk_room: Room, replies: list[Reply]
) -> None:
    conversation = new_id()
    desk.vendor.clear()
    desk.vendor.responder = lambda _request: Reply("Done.")
    desk.vendor.script(*replies)
    try:
        await desk_room.chat("note one", conversation)
    except TurnFailed as failed:
        assert failed.error_code not in ("TURN_ABANDONED", "TURN_TIMEOUT", "INTERNAL", "TURN_FAILED")
    desk.vendor.clear()
    desk.vendor.responder = lambda _request: Reply("Done.")
    assert "Done." in (await desk_room.chat("note two", conversation)).text
    said = await desk_room.said(conversation)
    assert [covers for author, covers in said if author is not Author.CONTACT] == [(1,), (3,)]

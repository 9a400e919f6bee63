"""The `local` provider as the runner calls it."""

import pytest
from tests.local.conftest import NOW

from frontdesk.core import json
from frontdesk.llm.providers.local import LocalProvider
from frontdesk.llm.slots import validate
from frontdesk.llm.types import (
    JSONObject,
    LLMRequest,
    LLMResponse,
    Message,
    PendingCall,
    ProviderBadRequest,
    Role,
    Situation,
    StopReason,
    TextDelta,
    ToolCall,
    ToolSpec,
)

BOOK = ToolSpec(
    "book_table",
    "Books a table in the restaurant.",
    {
        "type": "object",
        "required": ["date", "time", "name"],
        "properties": {
            "date": {"type": "string", "format": "date"},
            "time": {"type": "string", "format": "time"},
            "people": {"type": "integer", "description": "Number of people"},
            "name": {"type": "string", "format": "person-name"},
        },
    },
    examples=("I'd like to book a table", "A table for two on Friday, please", "Ich möchte einen Tisch reservieren"),
)
CANCEL = ToolSpec(
    "cancel_table",
    "Cancels a reservation.",
    {"type": "object", "properties": {"confirmed": {"type": "boolean"}}},
    examples=("Cancel my reservation", "I can't come, please cancel the table"),
)
SEARCH = ToolSpec(
    "search_documents",
    "Searches the restaurant's documents.",
    {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}},
    kind="knowledge",
)
ABANDON = ToolSpec("abandon_pending", "Drops it.", {"type": "object", "properties": {}}, kind="control")
TOOLS = (BOOK, CANCEL, SEARCH, ABANDON)
PASSAGES = [
    {
        "ref": 1,
        "title": "Opening hours",
        "heading": "Kitchen",
        "text": "The kitchen is open from 12:00 to 22:30. On Sundays the kitchen closes at 21:00.\n\nWe sit on a lake.",
        "score": 0.6,
    },
    {
        "ref": 2,
        "title": "Guests",
        "heading": "Dogs",
        "text": "Dogs are welcome on the terrace:\n\n- at most one dog a table\n- on a lead, also\n  when they sleep\n",
        "score": 0.4,
    },
]


def asking(
    text: str,
    *,
    before: tuple[Message, ...] = (),
    after: tuple[Message, ...] = (),
    tools: tuple[ToolSpec, ...] = TOOLS,
    pending: PendingCall | None = None,
    language: str = "en",
    tool_choice: str = "auto",
) -> LLMRequest:
    messages = (Message(Role.SYSTEM, "You are a waiter."), *before, Message(Role.USER, text), *after)
    situation = Situation(NOW, language, "Lakeside Restaurant", pending)
    return LLMRequest("extractive", messages, tools, tool_choice, situation=situation)


def result(tool: str, body: JSONObject, arguments: JSONObject | None = None) -> tuple[Message, Message]:
    call = ToolCall("c1", tool, arguments or {})
    return (
        Message(Role.ASSISTANT, tool_calls=(call,)),
        Message(Role.TOOL, json.dumps_text(body), tool_call_id="c1", tool_name=tool),
    )


def waits_for(asked: str, tool: str = "book_table", options: tuple[str, ...] = (), **known: object) -> PendingCall:
    question = "Shall I cancel it?" if tool == "cancel_table" else f"Which {asked}?"
    return PendingCall("tables", tool, known, asked, question, options)


def only_call(response: LLMResponse) -> tuple[str, JSONObject | None]:
    assert response.stop_reason is StopReason.TOOL_CALLS
    (call,) = response.tool_calls
    return call.name, call.arguments


async def test_a_wish_becomes_a_call_with_what_was_said(local: LocalProvider) -> None:
    response = await local.generate(asking("Can I have a table for 4 people next Friday at half past seven pm?"))
    assert only_call(response) == ("book_table", {"date": "2026-11-27", "time": "19:30", "people": 4})


async def test_a_wish_in_another_language_becomes_a_call(local: LocalProvider) -> None:
    response = await local.generate(asking("Ich möchte morgen um 19 Uhr einen Tisch reservieren", language="de"))
    assert only_call(response) == ("book_table", {"date": "2026-11-19", "time": "19:00"})


async def test_an_offer_that_is_taken_up_fills_the_call(local: LocalProvider) -> None:
    before = (Message(Role.ASSISTANT, "Shall I book a table on Friday, 27 November at 20:00?"),)
    response = await local.generate(asking("Yes please, book the table", before=before))
    assert only_call(response) == ("book_table", {"date": "2026-11-27", "time": "20:00"})


async def test_what_was_booked_before_is_not_booked_again_unasked(local: LocalProvider) -> None:
    before = (Message(Role.ASSISTANT, "Your table is booked for Friday, 27 November at 20:00."),)
    response = await local.generate(asking("Great, and I'd like to book a table for that other group", before=before))
    assert only_call(response) == ("book_table", {})


async def test_what_the_contact_has_said_about_it_is_not_asked_again(local: LocalProvider) -> None:
    before = (
        Message(Role.USER, "Would you have a table for 4 people next Friday?"),
        Message(Role.ASSISTANT, "The terrace is free all evening."),
        Message(Role.USER, "How late is the kitchen open?"),
        Message(Role.ASSISTANT, "Until 22:30."),
    )
    response = await local.generate(asking("I'd like to book a table at 8 pm", before=before))
    assert only_call(response) == ("book_table", {"date": "2026-11-27", "people": 4, "time": "20:00"})


@pytest.mark.parametrize("said", [
    "I was with you last Friday and left my umbrella.", "How late is the kitchen open next Friday?",
    "The bus comes at eight in the morning on Friday.",
])  # fmt: skip
async def test_a_day_that_was_said_of_something_else_is_not_booked(local: LocalProvider, said: str) -> None:
    before = (Message(Role.USER, said), Message(Role.ASSISTANT, "On Saturdays the kitchen closes at 21:00."))
    response = await local.generate(asking("Great, I'd like to book a table", before=before[1:]))
    assert only_call(response) == ("book_table", {})
    response = await local.generate(asking("I want to book a table", before=before))
    assert only_call(response) == ("book_table", {})


@pytest.mark.parametrize(("language", "done", "wish"), [
    ("en", "Your table has been booked for Friday, 27 November.", "I'd like to book a table"),
    ("de", "Ihr Tisch ist für Freitag, den 27. November, reserviert.", "Ich möchte einen Tisch reservieren"),
    ("en", "All right, I've dropped that.", "I'd like to book a table"),
])  # fmt: skip
async def test_what_was_done_or_given_up_is_over(local: LocalProvider, language: str, done: str, wish: str) -> None:
    given_up = (Message(Role.USER, "never mind"),) if "dropped" in done else ()
    before = (Message(Role.USER, f"{wish}: Friday"), *given_up, Message(Role.ASSISTANT, done))
    response = await local.generate(asking(wish, before=before, language=language))
    assert only_call(response) == ("book_table", {})


async def test_a_place_that_was_spoken_of_can_be_pointed_at(local: LocalProvider) -> None:
    cab = ToolSpec(
        "order_cab", "Orders a cab.", {"type": "object", "properties": {"destination": {"type": "string"}}},
        examples=("I need a cab",),
    )  # fmt: skip
    done = Message(Role.ASSISTANT, "Your table is booked. The address is 12 Harbour Street.")
    wishes = {"I need a cab to get there": {"destination": "12 Harbour Street"}, "I need a cab": {}}
    for wish, arguments in wishes.items():
        response = await local.generate(asking(wish, before=(done,), tools=(cab,)))
        assert only_call(response) == ("order_cab", arguments)


async def test_a_question_goes_to_the_documents(local: LocalProvider) -> None:
    response = await local.generate(asking("How late is the kitchen open?"))
    assert only_call(response) == ("search_documents", {"query": "How late is the kitchen open?"})


async def test_a_follow_up_is_asked_in_full(local: LocalProvider) -> None:
    before = (Message(Role.USER, "How late is the kitchen open?"), Message(Role.ASSISTANT, "Until 22:30."))
    name, arguments = only_call(await local.generate(asking("and on Sundays?", before=before)))
    assert (name, arguments) == ("search_documents", {"query": "How late is the kitchen open? and on Sundays?"})


async def test_an_answer_joins_what_is_known(local: LocalProvider) -> None:
    pending = waits_for("time", date="2026-11-27")
    response = await local.generate(asking("8pm", pending=pending))
    assert only_call(response) == ("book_table", {"date": "2026-11-27", "time": "20:00"})


async def test_a_bare_name_answers_the_question_for_it(local: LocalProvider) -> None:
    pending = waits_for("name", date="2026-11-27", time="20:00")
    response = await local.generate(asking("anna schmidt", pending=pending))
    assert only_call(response) == ("book_table", {"date": "2026-11-27", "time": "20:00", "name": "Anna Schmidt"})


async def test_an_option_can_be_picked_by_its_place(local: LocalProvider) -> None:
    pending = waits_for("time", options=("18:00", "20:30"), date="2026-11-27")
    response = await local.generate(asking("the second one", pending=pending))
    assert only_call(response) == ("book_table", {"date": "2026-11-27", "time": "20:30"})


async def test_a_correction_overrides_what_was_known(local: LocalProvider) -> None:
    pending = waits_for("name", date="2026-11-27", time="20:00")
    response = await local.generate(asking("no, make it Thursday", pending=pending))
    assert only_call(response) == ("book_table", {"date": "2026-11-19", "time": "20:00"})


async def test_giving_up_abandons_the_pending_call_and_says_so(local: LocalProvider) -> None:
    response = await local.generate(asking("never mind", pending=waits_for("name")))
    assert only_call(response) == ("abandon_pending", {})
    assert response.text


async def test_another_subject_leaves_the_pending_call_alone(local: LocalProvider) -> None:
    pending = waits_for("name", date="2026-11-27", time="20:00")
    response = await local.generate(asking("Are dogs allowed on the terrace?", pending=pending))
    assert only_call(response) == ("search_documents", {"query": "Are dogs allowed on the terrace?"})


async def test_a_day_in_a_question_about_something_else_is_no_answer(local: LocalProvider) -> None:
    response = await local.generate(asking("How late is the kitchen open on Sunday?", pending=waits_for("date")))
    assert only_call(response)[0] == "search_documents"


async def test_another_wish_leaves_the_pending_call_alone(local: LocalProvider) -> None:
    pending = waits_for("name", date="2026-11-27")
    response = await local.generate(asking("Please cancel my reservation for tomorrow", pending=pending))
    assert only_call(response)[0] == "cancel_table"


async def test_what_answers_nothing_asks_again(local: LocalProvider) -> None:
    pending = waits_for("date", people=2)
    assert only_call(await local.generate(asking("hmm let me see", pending=pending))) == ("book_table", {"people": 2})


@pytest.mark.parametrize(
    ("said", "confirmed"), [("yes", True), ("cancel it", True), ("no", False), ("nope, keep it", False)]
)
async def test_cancelling_the_cancelled_thing_is_a_yes(local: LocalProvider, said: str, confirmed: bool) -> None:
    response = await local.generate(asking(said, pending=waits_for("confirmed", "cancel_table")))
    assert only_call(response) == ("cancel_table", {"confirmed": confirmed})


@pytest.mark.parametrize(("language", "said", "answer"), [
    ("en", "Hello there!", "Hello! What can I do"), ("es", "¡Hola, buenos días!", "¡Hola! ¿En qué puedo"),
    ("de", "Vielen Dank!", "Gern geschehen."), ("fr", "Au revoir", "Au revoir"), ("pt", "Obrigada!", "De nada."),
    ("id", "Selamat pagi", "Halo!"),
])  # fmt: skip
async def test_small_talk_needs_no_tool(local: LocalProvider, language: str, said: str, answer: str) -> None:
    response = await local.generate(asking(said, language=language))
    assert response.text.startswith(answer)
    assert not response.tool_calls
    assert not response.unsure


async def test_a_greeting_before_a_wish_is_no_small_talk(local: LocalProvider) -> None:
    assert only_call(await local.generate(asking("Hello, I'd like to book a table")))[0] == "book_table"


@pytest.mark.parametrize("said", ["Write me a poem about cats", "translate this into French: hello", "what is 12 * 7?"])
async def test_it_says_plainly_what_it_can_not_do(local: LocalProvider, said: str) -> None:
    response = await local.generate(asking(said))
    assert response.unsure
    assert response.text.startswith("I can't do that")


async def test_passages_answer_word_for_word_with_citations(local: LocalProvider) -> None:
    after = result(
        "search_documents", {"status": "ok", "passages": PASSAGES}, {"query": "When does the kitchen close?"}
    )
    response = await local.generate(asking("When does the kitchen close on Sundays?", after=after))
    assert "On Sundays the kitchen closes at 21:00. [1]" in response.text
    assert "[2]" not in response.text
    assert not response.unsure


async def test_a_list_stays_with_the_line_that_opens_it(local: LocalProvider) -> None:
    after = result("search_documents", {"status": "ok", "passages": PASSAGES})
    response = await local.generate(asking("Are dogs welcome?", after=after))
    assert response.text.splitlines() == [
        "Dogs are welcome on the terrace: [2]",
        "- at most one dog a table [2]",
        "- on a lead, also when they sleep [2]",
    ]


@pytest.mark.parametrize(("language", "opening"), [
    ("en", "I found nothing"), ("es", "No he encontrado nada"), ("de", "Dazu habe ich"), ("fr", "Je n'ai rien"),
    ("pt", "Não encontrei nada"), ("id", "Saya tidak menemukan"), ("ja", "I found nothing"),
])  # fmt: skip
async def test_no_answer_is_admitted_in_the_contacts_language(
    local: LocalProvider, language: str, opening: str
) -> None:
    for passages in ([], PASSAGES):
        after = result("search_documents", {"status": "ok", "passages": passages})
        response = await local.generate(asking("Who won the 2014 world cup?", after=after, language=language))
        assert response.text.startswith(opening)
        assert response.unsure


async def test_a_tools_own_text_is_the_answer(local: LocalProvider) -> None:
    after = result("book_table", {"status": "ok", "result": {"id": 7}, "text": "Booked for **Friday** at 20:00."})
    response = await local.generate(asking("Yes", after=after))
    assert response.text == "Booked for **Friday** at 20:00."


async def test_a_result_without_text_is_listed_as_it_is(local: LocalProvider) -> None:
    after = result(
        "book_table", {"status": "ok", "result": {"table_number": 7, "seats": ["window", "quiet"], "note": None}}
    )
    response = await local.generate(asking("Yes", after=after))
    assert response.text == "- table number: 7\n- seats: window, quiet"


async def test_a_failure_is_told_with_its_reason(local: LocalProvider) -> None:
    after = result("book_table", {"status": "error", "error": "The table is taken."})
    response = await local.generate(asking("Yes", after=after))
    assert response.text == "That did not work: The table is taken."
    assert response.unsure


@pytest.mark.parametrize(
    "text", ["not json", "[1, 2", '{"passages": 7}', '{"passages": [{"ref": "x"}]}', '"yes"', "{}", "null"]
)
async def test_a_result_that_is_nonsense_does_no_harm(local: LocalProvider, text: str) -> None:
    after = (
        Message(Role.ASSISTANT, tool_calls=(ToolCall("c", "x", None),)),
        Message(Role.TOOL, text, tool_call_id="c"),
    )
    assert (await local.generate(asking("Hi there, a table?", after=after))).stop_reason is StopReason.STOP


async def test_without_tools_it_admits_that_it_does_not_know(local: LocalProvider) -> None:
    for request in (asking("Where do I park?", tools=()), asking("Where do I park?", tool_choice="none")):
        response = await local.generate(request)
        assert response.unsure
        assert not response.tool_calls


async def test_a_required_call_is_made(local: LocalProvider) -> None:
    response = await local.generate(asking("hello", tools=(BOOK, CANCEL), tool_choice="required"))
    assert response.tool_calls


async def test_no_message_of_a_contact_gives_an_honest_answer(local: LocalProvider) -> None:
    response = await local.generate(LLMRequest("extractive", (Message(Role.SYSTEM, "x"),)))
    assert response.unsure


async def test_a_stream_is_the_same_text_in_pieces_and_then_the_response(local: LocalProvider) -> None:
    request = asking("Hello!")
    events = [event async for event in local.stream(request)]
    assert isinstance(events[-1], LLMResponse)
    assert events[-1] == await local.generate(request)
    pieces = [event.text for event in events[:-1] if isinstance(event, TextDelta)]
    assert len(pieces) > 3
    assert "".join(pieces) == events[-1].text


async def test_usage_is_estimated_and_names_the_model(local: LocalProvider) -> None:
    response = await local.generate(asking("Hello!"))
    assert response.usage.estimated
    assert response.usage.input_tokens > response.usage.output_tokens > 0
    assert (response.provider, response.model) == ("local", "extractive")
    assert await local.models() == ["extractive"]
    await local.check()


ROUTE: JSONObject = {
    "type": "object",
    "required": ["agent", "confidence"],
    "properties": {
        "agent": {
            "enum": ["tables", "billing"],
            "x-descriptions": {"tables": "books and cancels tables", "billing": "invoices, payment and refunds"},
        },
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "query": {"type": "string"},
    },
}


async def structured(local: LocalProvider, schema: JSONObject, text: str) -> JSONObject:
    request = LLMRequest("extractive", (Message(Role.USER, text),), output_schema=schema, situation=Situation(NOW))
    filled = json.loads((await local.generate(request)).text)
    assert validate(schema, filled) == []
    return filled  # type: ignore[no-any-return]


async def test_a_choice_among_described_values_is_classified(local: LocalProvider) -> None:
    filled = await structured(local, ROUTE, "I was charged twice on my invoice")
    assert filled["agent"] == "billing"
    assert (await structured(local, ROUTE, "Can I reserve a table?"))["agent"] == "tables"


async def test_several_choices_and_nested_objects_are_filled(local: LocalProvider) -> None:
    schema: JSONObject = {
        "type": "object",
        "required": ["intents"],
        "properties": {"intents": {"type": "array", "items": {"$ref": "#/$defs/Intent"}}},
        "$defs": {"Intent": ROUTE},
    }
    filled = await structured(local, schema, "Please send me the invoice again")
    assert [intent["agent"] for intent in filled["intents"]] == ["billing"]


@pytest.mark.parametrize("schema", [
    {"type": "object", "required": ["reason"], "properties": {"reason": {"type": "string"}}},
    {"type": "object", "required": ["x"], "properties": {"x": {"type": "object"}}},
    {"type": "array"},
])  # fmt: skip
async def test_what_would_have_to_be_made_up_is_refused(local: LocalProvider, schema: JSONObject) -> None:
    with pytest.raises(ProviderBadRequest, match="local model can't fill"):
        await structured(local, schema, "Can I reserve a table?")

"""The visitor's page over good and bad lines, against a desk that each test speaks for."""

import re

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect
from scripted_desk import Exchange, ScriptedDesk, message

COMPOSER = "#message"


async def write(page: Page, text: str) -> None:
    await page.fill(COMPOSER, text)
    await page.keyboard.press("Enter")


async def open_and_write(page: Page, desk: ScriptedDesk, text: str) -> Exchange:
    """The request with the visitor's first message."""
    await page.goto(desk.url)
    await write(page, text)
    return await desk.next("POST chat")


def answers(page: Page) -> Locator:
    return page.locator(".desk .text:not(.writing)")


def bubbles(page: Page) -> Locator:
    return page.locator(".bubble")


async def taken(page: Page) -> None:
    """The page knows that its message is kept."""
    await expect(page.locator("[data-delivery=sent]")).to_have_count(1)


async def session_of(page: Page) -> str:
    session_id = await page.evaluate("localStorage.getItem('frontdesk.clinic.session')")
    assert isinstance(session_id, str)
    return session_id


CITATION = {"document": "visits.md", "title": "Visiting hours", "passage_id": "p1", "start": 6, "end": 20}
CITED = [CITATION | {"quote": "from 14:00 to 19:30"}]


# The good line


async def test_greets_and_offers_first_questions_that_send_with_one_press(page: Page, desk: ScriptedDesk) -> None:
    await page.goto(desk.url)
    await expect(page.get_by_role("heading", name="Hello!")).to_be_visible()
    await expect(page.locator(".greeting")).to_have_text("How can we help you today?")
    await expect(page).to_have_title("Lakeside Clinic")
    await page.get_by_role("button", name="When are visiting hours?").click()
    asked = await desk.next("POST chat")
    assert asked.body["message"] == "When are visiting hours?"
    await expect(page.locator(COMPOSER)).to_be_focused()


async def test_a_long_greeting_does_not_shout(page: Page, desk: ScriptedDesk) -> None:
    assert desk.about is not None
    desk.about["greeting"] = f"We answer {'this and that, ' * 10}all day. Ask!"
    await page.goto(desk.url)
    await expect(page.locator(".welcome h2")).to_have_text("Lakeside Clinic")
    await expect(page.locator(".greeting")).to_contain_text("Ask!")


async def test_nothing_is_asked_about_a_conversation_that_has_not_begun(
    page: Page, desk: ScriptedDesk, complaints: list[str]
) -> None:
    await page.goto(desk.url)
    await expect(page.locator(".welcome")).to_be_visible()
    assert desk.seen == []
    assert complaints == []


async def test_an_answer_is_shown_while_it_is_written_and_then_whole(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "When can I visit?")
    assert asked.body.keys() == {"user_id", "message", "session_id", "channel"}
    assert asked.request.headers["Accept"] == "text/event-stream"
    await expect(page.locator(COMPOSER)).to_have_value("")
    await expect(page.get_by_text("Sending…")).to_be_visible()
    await asked.accepted(1)
    await expect(page.get_by_text("Sending…")).to_be_hidden()
    await asked.event("status", {"text": "Looking in the documents…", "agent": "general_info"})
    await expect(page.get_by_text("Looking in the documents…")).to_be_visible()
    await asked.event("delta", {"text": "Every day "})
    await expect(page.locator(".writing")).to_have_text("Every day")
    await asked.event("delta", {"text": "from **two"})
    await expect(page.locator(".writing strong")).to_have_text("two")
    await asked.answer(2, "Every day from **two**.", agents=["general_info", "billing"])
    await expect(answers(page)).to_have_text("Every day from two.")
    await expect(page.locator(".writing")).to_have_count(0)
    await expect(page.locator(".agent")).to_have_text(["General info", "Billing"])
    await expect(page.get_by_text("Answered by the built-in model")).to_be_visible()
    await expect(page.locator("[aria-live=polite]")).to_have_text("Every day from **two**.")


async def test_a_citation_opens_its_passage_with_the_quote_marked(page: Page, desk: ScriptedDesk) -> None:
    desk.passages["p1"] = {
        "document": "visits.md",
        "title": "Visiting hours",
        "heading": "General wards",
        "before": "Please check in. ",
        "quote": "Come from 14:00 to 19:30 any day.",
        "after": " Thank you.",
        "start": 0,
        "end": 40,
    }
    asked = await open_and_write(page, desk, "When can I visit?")
    await asked.accepted(1)
    await asked.answer(2, "From 14:00 to 19:30. [1] Not a source: [2]", citations=CITED)
    await expect(answers(page)).to_have_text("From 14:00 to 19:30. 1 Not a source: [2]")
    chip = page.locator("button.cite")
    await chip.click()
    panel = page.get_by_role("dialog")
    await expect(panel.locator("mark")).to_have_text("from 14:00 to 19:30")
    await expect(panel.locator(".document")).to_have_text(
        "Please check in. Come from 14:00 to 19:30 any day. Thank you."
    )
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)
    await expect(chip).to_be_focused()


async def test_a_passage_that_is_gone_still_shows_what_was_quoted(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "When can I visit?")
    await asked.accepted(1)
    await asked.answer(2, "Then. [1]", citations=CITED)
    await page.get_by_role("button", name="Source 1: Visiting hours").last.click()
    await expect(page.get_by_role("dialog").locator("blockquote")).to_have_text("from 14:00 to 19:30")


async def test_offered_values_and_meanings_are_sent_with_one_press_and_only_from_the_latest(
    page: Page, desk: ScriptedDesk
) -> None:
    asked = await open_and_write(page, desk, "Friday afternoon")
    await asked.accepted(1)
    needs = [{"parameter": "time", "question": "Which suits you?", "options": ["14:00", "14:30"]}]
    await asked.answer(2, "Which suits you?", needs=needs)
    await page.get_by_role("button", name="14:30").click()
    asked = await desk.next("POST chat")
    assert asked.body["message"] == "14:30"
    await expect(page.get_by_role("button", name="14:00")).to_have_count(0)
    await asked.accepted(3)
    await asked.answer(4, "Do you mean billing or appointments?", options=["Billing", "Appointments"])
    await page.get_by_role("button", name="Billing").click()
    assert (await desk.next("POST chat")).body["message"] == "Billing"


async def test_an_emergency_cannot_be_overlooked(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "my chest hurts")
    await asked.accepted(1)
    emergency = {"emergency": True, "escalated": True, "owner": "queue"}
    await asked.answer(2, "Call **112** now.", **emergency, agents=[], routing={"stage": "emergency", "reason": ""})
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Call 112 now.")
    red, green, blue = map(
        int, re.findall(r"\d+", await alert.evaluate("e => getComputedStyle(e).backgroundColor"))[:3]
    )
    assert red > 150 and max(green, blue) < 60
    await expect(page.get_by_text("A person has been asked for.")).to_be_visible()


async def test_an_emergency_that_is_higher_than_the_phone_shows_its_first_lines(page: Page, desk: ScriptedDesk) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    asked = await open_and_write(page, desk, "my chest hurts")
    await asked.accepted(1)
    text = "**Call 112 now**, or 116 123.\n\n" + "\n\n".join(f"Line {n}" for n in range(30))
    alarm = {"emergency": True, "escalated": True, "routing": {"stage": "emergency", "reason": ""}}
    await asked.event("delta", {"text": text})
    await asked.answer(2, text, agents=[], **alarm)
    call = page.get_by_role("link", name="112", exact=True)
    await expect(call).to_be_in_viewport(ratio=1)
    assert await call.get_attribute("href") == "tel:112"
    await page.get_by_role("button", name="To the latest message").click()
    await expect(page.get_by_text("A person has been asked for.")).to_be_in_viewport(ratio=1)
    desk.conversations[asked.body["session_id"]] = [
        message(1, "user", "my chest hurts"),
        message(2, "assistant", text, in_reply_to=[1], metadata=alarm),
    ]
    await page.reload()
    await expect(call).to_be_in_viewport(ratio=1)


async def test_a_second_message_is_sent_while_the_first_answer_is_written(page: Page, desk: ScriptedDesk) -> None:
    first = await open_and_write(page, desk, "Hours?")
    await first.accepted(1, "e-1")
    await write(page, "And parking?")
    second = await desk.next("POST messages")
    assert second.body["session_id"] == first.body["session_id"]
    await second.reply(202, {"session_id": second.body["session_id"], "message_id": "m-2", "seq": 2})
    await expect(page.get_by_text("Sending…")).to_be_hidden()
    desk.conversations[first.body["session_id"]] = [
        message(1, "user", "Hours?"),
        message(2, "user", "And parking?"),
        message(3, "assistant", "From two.", in_reply_to=[1]),
    ]
    await first.answer(3, "From two.")
    rest = await desk.next("GET stream")
    assert rest.last_event_id == "e-3"
    await rest.event("delta", {"text": "In the"})
    await rest.answer(4, "In the yard.")
    await expect(answers(page)).to_have_text(["From two.", "In the yard."])
    await expect(bubbles(page)).to_have_count(2)


# Bad lines


async def test_a_stream_that_is_cut_goes_on_where_it_was(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "When can I visit?")
    await asked.accepted(1, "e1")
    await asked.event("delta", {"text": "Every "}, "e2")
    await expect(page.locator(".writing")).to_be_visible()
    await asked.cut()
    rest = await desk.next("GET stream")
    assert rest.last_event_id == "e2"
    await rest.event("delta", {"text": "day"}, "e3")
    await expect(page.locator(".writing")).to_have_text("Every day")
    await expect(page.locator(".link")).to_have_text("Online")
    await rest.cut()
    rest = await desk.next("GET stream")
    assert rest.last_event_id == "e3"
    await rest.answer(2, "Every day.")
    await expect(answers(page)).to_have_text("Every day.")


async def test_the_state_of_the_line_is_shown_while_it_is_broken(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hours?")
    await asked.accepted(1, "e1")
    await taken(page)
    await asked.cut()
    rest = await desk.next("GET stream")
    await rest.refuse(503, "UNAVAILABLE", retry_after=1)
    await expect(page.locator(".link")).to_have_text("Reconnecting…")
    await expect(page.get_by_text("The connection broke. The answer continues by itself.")).to_be_visible()
    rest = await desk.next("GET stream")
    await rest.answer(2, "From two.")
    await expect(answers(page)).to_have_text("From two.")
    await expect(page.locator(".link")).to_have_text("Online")


async def test_an_answer_that_came_during_the_cut_is_read_from_the_history(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "When can I visit?")
    await asked.accepted(1, "e1")
    await asked.event("delta", {"text": "Ev"}, "e2")
    await expect(page.locator(".writing")).to_be_visible()
    desk.conversations[asked.body["session_id"]] = [
        message(1, "user", "When can I visit?"),
        message(
            2, "assistant", "Every day.", in_reply_to=[1], metadata={"agents": ["general_info"], "source": "local"}
        ),
    ]
    await asked.cut()
    await (await desk.next("GET stream")).reply(204)
    await expect(answers(page)).to_have_text("Every day.")
    await expect(page.locator(".writing, .status")).to_have_count(0)


async def test_a_restart_drops_the_words_so_far(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "When can I visit?")
    await asked.accepted(1)
    await asked.event("delta", {"text": "On Mars"})
    await expect(page.locator(".writing")).to_have_text("On Mars")
    await asked.event("restart", {})
    await asked.event("delta", {"text": "Every day"})
    await expect(page.locator(".writing")).to_have_text("Every day")


async def test_a_message_without_acknowledgement_is_sent_again_under_its_key(page: Page, desk: ScriptedDesk) -> None:
    first = await open_and_write(page, desk, "When can I visit?")
    await first.cut()
    second = await desk.next("POST chat")
    assert (second.key, second.body) == (first.key, first.body)
    await second.accepted(1)
    await second.answer(2, "Every day.")
    await expect(answers(page)).to_have_text("Every day.")
    await expect(bubbles(page)).to_have_count(1)


async def test_a_busy_server_is_asked_again_when_it_said(page: Page, desk: ScriptedDesk) -> None:
    first = await open_and_write(page, desk, "When can I visit?")
    await first.refuse(429, "RATE_LIMITED", retry_after=2)
    await expect(page.get_by_text(re.compile(r"Sending again in \d s\."))).to_be_visible()
    second = await desk.next("POST chat")
    assert second.key == first.key
    await second.accepted(1)
    await expect(page.get_by_text("Sending again")).to_be_hidden()


async def test_the_visitor_need_not_wait_for_the_countdown(page: Page, desk: ScriptedDesk) -> None:
    first = await open_and_write(page, desk, "When can I visit?")
    await first.refuse(503, "UNAVAILABLE", retry_after=3600)
    await page.get_by_role("button", name="Send now").click()
    assert (await desk.next("POST chat")).key == first.key


async def test_a_message_that_waits_can_be_taken_back(page: Page, desk: ScriptedDesk) -> None:
    first = await open_and_write(page, desk, "When can I visit?")
    await first.refuse(503, "UNAVAILABLE", retry_after=3600)
    await page.get_by_role("button", name="Edit").click()
    await expect(page.locator(COMPOSER)).to_have_value("When can I visit?")
    await expect(page.locator(COMPOSER)).to_be_focused()
    await expect(bubbles(page)).to_have_count(0)
    await page.keyboard.press("Enter")
    assert (await desk.next("POST chat")).key != first.key


async def test_an_expired_session_is_told_kindly_and_the_text_goes_on_in_a_new_one(
    page: Page, desk: ScriptedDesk
) -> None:
    first = await open_and_write(page, desk, "Hello")
    await first.accepted(1)
    await first.answer(2, "Hi.")
    await expect(answers(page)).to_have_count(1)
    await write(page, "Still there?")
    late = await desk.next("POST chat")
    await late.refuse(410, "SESSION_EXPIRED")
    again = await desk.next("POST chat")
    assert again.body["message"] == "Still there?"
    assert again.body["session_id"] != late.body["session_id"]
    assert again.key != late.key
    assert again.body["user_id"] == late.body["user_id"]
    await again.accepted(1)
    await again.answer(2, "Yes.")
    await expect(page.get_by_text("A new one begins here.")).to_be_visible()
    await expect(answers(page)).to_have_text(["Hi.", "Yes."])
    await expect(bubbles(page)).to_have_text(["Hello", "Still there?"])


async def test_a_refused_message_tells_why_and_goes_back_to_the_composer(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hello")
    await asked.refuse(422, "VALIDATION_FAILED", "The message holds a character that we can't take.")
    await expect(page.get_by_role("alert")).to_contain_text("The message holds a character that we can't take.")
    await expect(page.get_by_role("alert")).to_contain_text("c-1")
    await page.get_by_role("button", name="Edit").click()
    await expect(page.locator(COMPOSER)).to_have_value("Hello")
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_failed_turn_is_told_and_can_be_asked_again(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hello")
    await asked.accepted(1)
    failure = {"detail": "We could not answer this.", "error_code": "TURN_FAILED", "correlation_id": "c-9"}
    await asked.event("error", failure)
    asked.over.set()
    await expect(page.get_by_role("alert")).to_contain_text("No answer came. We could not answer this.")
    await page.get_by_role("button", name="Ask again").click()
    again = await desk.next("POST chat")
    assert again.body["message"] == "Hello"
    assert again.key != asked.key


async def test_a_stream_that_refuses_ends_the_waiting(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hello")
    await asked.accepted(1, "e1")
    await taken(page)
    await asked.cut()
    await (await desk.next("GET stream")).refuse(404, "CONVERSATION_NOT_FOUND", "There is no such conversation.")
    await expect(page.get_by_role("alert")).to_contain_text("There is no such conversation.")
    await expect(page.locator(".status")).to_have_count(0)


# Coming back


async def test_a_reloaded_page_shows_everything_and_goes_on_with_the_running_answer(
    page: Page, desk: ScriptedDesk
) -> None:
    asked = await open_and_write(page, desk, "When can I visit?")
    await asked.accepted(1, "e1")
    await taken(page)
    desk.conversations[asked.body["session_id"]] = [message(1, "user", "When can I visit?")]
    await page.reload()
    running = await desk.next("GET stream")
    assert running.last_event_id is None
    await expect(bubbles(page)).to_have_text("When can I visit?")
    await running.event("delta", {"text": "Every day"}, "e2")
    await expect(page.locator(".writing")).to_have_text("Every day")
    await running.answer(2, "Every day.")
    await expect(answers(page)).to_have_text("Every day.")


async def test_what_was_not_acknowledged_before_a_reload_is_sent_after_it(page: Page, desk: ScriptedDesk) -> None:
    first = await open_and_write(page, desk, "When can I visit?")
    await page.reload()
    second = await desk.next("POST chat")
    assert (second.key, second.body) == (first.key, first.body)
    await second.accepted(1)
    await page.fill(COMPOSER, "half a sent")
    await page.reload()
    await expect(page.locator(COMPOSER)).to_have_value("half a sent")


async def test_the_history_shows_days_failures_people_and_alarms(page: Page, desk: ScriptedDesk) -> None:
    await page.goto(desk.url)
    await page.wait_for_selector(".welcome")
    session_id = await page.evaluate("crypto.randomUUID()")
    await page.evaluate("id => localStorage.setItem('frontdesk.clinic.session', id)", session_id)
    alarm = {"emergency": True, "escalated": True, "routing": {"stage": "emergency", "reason": ""}}
    desk.conversations[session_id] = [
        message(1, "user", "Hello", timestamp="2024-02-03T12:00:00Z"),
        message(2, "system", "That did not work.", in_reply_to=[1], metadata={"failed": "TURN_FAILED"}),
        message(3, "user", "I need a person"),
        message(4, "human", "Here I am.", in_reply_to=[3]),
        message(5, "user", "my chest hurts"),
        message(6, "assistant", "Call 112.", in_reply_to=[5], metadata=alarm),
    ]
    await page.reload()
    await expect(page.locator(".day")).to_have_text(["Saturday, February 3, 2024", "Today"])
    await expect(page.locator(".trouble")).to_contain_text("That did not work.")
    await expect(page.locator("[data-role=human]")).to_contain_text("Here I am.")
    await expect(page.locator(".emergency")).to_contain_text("Call 112.")


async def test_a_new_conversation_begins_empty_and_under_another_id(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hello")
    await asked.accepted(1)
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("button", name="Start new").click()
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "Hello again")
    again = await desk.next("POST chat")
    assert again.body["session_id"] == await session_of(page) != asked.body["session_id"]
    await expect(answers(page)).to_have_count(0)


async def test_two_pages_of_a_visitor_show_one_conversation(
    context: BrowserContext, page: Page, desk: ScriptedDesk
) -> None:
    await page.goto(desk.url)
    await expect(page.locator(".welcome")).to_be_visible()
    other = await context.new_page()
    asked = await open_and_write(other, desk, "Hello")
    await asked.accepted(1)
    await taken(other)
    desk.conversations[asked.body["session_id"]] = [message(1, "user", "Hello")]
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(bubbles(page)).to_have_text("Hello")
    followed = await desk.next("GET stream")
    for stream in (asked, followed):
        await stream.answer(2, "Hi.")
    await expect(answers(page)).to_have_text("Hi.")
    await other.get_by_role("button", name="New conversation").click()
    await other.get_by_role("button", name="Start new").click()
    await expect(page.locator(".welcome")).to_be_visible()


async def test_a_history_that_can_not_be_read_is_tried_again(page: Page, desk: ScriptedDesk) -> None:
    await open_and_write(page, desk, "Hello")
    desk.history_error = (503, "UNAVAILABLE", 600)  # the page will not try by itself before it is told to
    await page.evaluate("localStorage.removeItem('frontdesk.clinic.unsent')")
    await page.reload()
    await expect(page.get_by_role("heading", name="The desk can’t be reached right now")).to_be_visible()
    desk.history_error = None
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".welcome")).to_be_visible()


async def test_an_unknown_tenant_is_told(page: Page, desk: ScriptedDesk) -> None:
    desk.about = None
    await page.goto(f"{desk.url}/t/nobody")
    await expect(page.get_by_role("heading", name="There is no desk at this address")).to_be_visible()
    await expect(page.get_by_text("“nobody”")).to_be_visible()


# The composer, the keyboard, the screen


async def test_the_composer_sends_only_what_can_be_sent(page: Page, desk: ScriptedDesk) -> None:
    await page.goto(desk.url)
    send = page.get_by_role("button", name="Send", exact=True)
    await expect(send).to_be_disabled()
    await page.fill(COMPOSER, "  \n ")
    await expect(send).to_be_disabled()
    await page.fill(COMPOSER, "😀" * 1990)
    await expect(page.get_by_text("10 characters left")).to_be_visible()
    await expect(send).to_be_enabled()
    await page.fill(COMPOSER, "😀" * 2003)
    await expect(page.get_by_text("3 characters too long")).to_be_visible()
    await expect(send).to_be_disabled()
    await page.keyboard.press("Enter")
    await expect(bubbles(page)).to_have_count(0)
    await page.fill(COMPOSER, "one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await page.keyboard.press("Enter")
    assert (await desk.next("POST chat")).body["message"] == "one\ntwo"


async def test_everything_is_reached_by_keyboard(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hello")
    await asked.accepted(1)
    await asked.answer(2, "Then. [1]", citations=CITED)
    await expect(answers(page)).to_have_count(1)
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("/")
    await expect(page.locator(COMPOSER)).to_be_focused()
    await expect(page.locator(COMPOSER)).to_have_value("")
    await page.keyboard.type("a/b")
    await expect(page.locator(COMPOSER)).to_have_value("a/b")
    first = page.locator("a, button, input, textarea, [tabindex='0']").first
    await first.focus()
    await expect(page.get_by_role("link", name="Skip to the message box")).to_be_focused()
    await expect(first).to_be_in_viewport(ratio=1)
    await page.keyboard.press("Enter")
    await expect(page.locator(COMPOSER)).to_be_focused()


async def test_the_end_is_followed_only_by_those_who_are_there(page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Tell me everything")
    await asked.accepted(1)
    await asked.answer(2, "\n\n".join(f"Line {n}" for n in range(80)))
    await expect(page.get_by_text("Line 79", exact=True)).to_be_in_viewport()
    await page.locator(".frame").evaluate("e => { e.scrollTop = 0 }")
    await expect(page.get_by_role("button", name="To the latest message")).to_be_visible()
    await page.fill(COMPOSER, "")
    desk.conversations[asked.body["session_id"]] = [message(3, "human", "One more thing.")] * 3
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    pill = page.get_by_text("New messages")
    await expect(pill).to_be_visible()
    await expect(page.get_by_text("Line 0", exact=True)).to_be_in_viewport()
    await pill.click()
    await expect(page.get_by_text("One more thing.").first).to_be_in_viewport()
    await expect(pill).to_be_hidden()


@pytest.mark.parametrize("width", [320, 768])
async def test_no_width_scrolls_sideways(page: Page, desk: ScriptedDesk, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 600})
    asked = await open_and_write(page, desk, "w" * 300)
    await asked.accepted(1)
    table = "| a | b | c |\n|---|---|---|\n" + "| " + " | ".join(["cell " * 20] * 3) + " |"
    await asked.answer(2, f"{'x' * 400}\n\n    {'y' * 300}\n\n```\n{'z' * 300}\n```\n\n{table}", citations=CITED)
    await expect(page.locator(".sources")).to_be_visible()
    for part in ("html", ".frame"):
        assert await page.locator(part).evaluate("e => e.scrollWidth - e.clientWidth") <= 0


async def test_the_theme_follows_the_system_until_one_is_chosen(page: Page, desk: ScriptedDesk) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    await page.emulate_media(color_scheme="dark")
    await page.goto(desk.url)
    dark = await page.evaluate(ground)
    await page.get_by_role("button", name="Theme: automatic").click()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await page.evaluate(ground) != dark
    await page.reload()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await page.evaluate(ground) != dark


async def test_the_page_speaks_the_visitors_language(context: BrowserContext, page: Page, desk: ScriptedDesk) -> None:
    await context.add_init_script("Object.defineProperty(navigator, 'languages', {get: () => ['xx', 'de-AT', 'en']})")
    await page.goto(desk.url)
    await expect(page.get_by_role("textbox", name="Nachricht schreiben")).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == "de"


async def test_the_line_going_and_coming_is_noticed(context: BrowserContext, page: Page, desk: ScriptedDesk) -> None:
    asked = await open_and_write(page, desk, "Hello")
    await asked.accepted(1)
    await asked.answer(2, "Hi.")
    await expect(answers(page)).to_have_count(1)
    await context.set_offline(True)
    await expect(page.locator(".link")).to_have_text("You are offline")
    await write(page, "Are you there?")
    await expect(page.get_by_text("Waiting for the connection.")).to_be_visible()
    await context.set_offline(False)
    assert (await desk.next("POST chat")).body["message"] == "Are you there?"

"""`frontdesk explain` against a real server: what it draws, what it says when it can't."""

import io
import json
import sys
from uuid import UUID

import pytest
from rich.console import Console
from tests.served import Served

from frontdesk.cli.chat import chat
from frontdesk.cli.explain import drawn, explain


def console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=120, color_system=None), out


async def told(served: Served, message_id: str, **options: object) -> tuple[int, str]:
    screen, out = console()
    code = await explain(served.url, "clinic", UUID(message_id), screen, key=served.key, **options)  # type: ignore[arg-type]
    return code, out.getvalue()


async def test_every_stage_stands_in_its_order_with_scores_and_nearest_examples(served: Served) -> None:
    answer = await served.chat("When are your visiting hours?")
    code, text = await told(served, answer["message_id"])
    assert code == 0
    places = [text.index(f" {stage} ") for stage in ("emergency", "pattern", "embedding", "llm", "default")]
    assert places == sorted(places)
    assert "When are your visiting hours?" in text
    assert "decided: like the examples of general_info" in text
    assert "sure from 0.60" in text and "█" in text
    assert "most like" in text and "When are visiting hours?" in text
    assert "search_documents" in text


async def test_several_matters_are_told_with_their_parts(served: Served) -> None:
    answer = await served.chat("Where can I park, and which insurance do you accept?")
    _, text = await told(served, answer["message_id"])
    assert len(answer["agents"]) == 2
    assert all(f"{agent}: " in text for agent in answer["agents"])


async def test_a_verdict_is_given_and_shown(served: Served) -> None:
    message_id = (await served.chat("Which insurance do you accept?"))["message_id"]
    assert "Nobody has judged this yet" in (await told(served, message_id))[1]
    verdict = {"user_id": "sue", "verdict": "wrong", "agent": "appointments"}
    code, text = await told(served, message_id, verdict=verdict)
    assert code == 0
    assert "should have been appointments" in text and "says sue" in text


async def test_json_is_what_the_api_says(served: Served) -> None:
    message_id = (await served.chat("Where can I park?"))["message_id"]
    _, text = await told(served, message_id, as_json=True)
    api = (await served.client.get(f"/api/clinic/messages/{message_id}/explanation")).json()
    assert json.loads(text) == api


async def test_refusals_are_the_servers_own_sentences(served: Served) -> None:
    code, text = await told(served, "0198c0de-0000-7000-8000-00000000dead")
    assert (code, text.strip()) == (1, "There is no such message.")
    message_id = (await served.chat("Where can I park?"))["message_id"]
    verdict = {"user_id": "sue", "verdict": "wrong", "agent": "sales"}
    code, text = await told(served, message_id, verdict=verdict)
    assert code == 1 and "there is no agent 'sales'" in text


async def test_a_server_that_is_not_there_is_told_with_what_to_do() -> None:
    screen, out = console()
    assert await explain("http://127.0.0.1:1", "clinic", UUID(int=7), screen) == 1
    assert "No frontdesk server answers at http://127.0.0.1:1" in out.getvalue()


async def test_what_contacts_wrote_cannot_command_the_terminal(served: Served) -> None:
    answer = await served.chat("Where can I [bold]park[/bold]? \x1b[2J\x9b31m [red]")
    verdict = {"user_id": "sue [/red]\x1b[2J", "verdict": "right"}
    code, _ = await told(served, answer["message_id"], verdict=verdict)
    assert code == 0
    found = (await served.client.get(f"/api/clinic/messages/{answer['message_id']}/explanation")).json()
    found["steps"][0]["name"] = "[/park]"
    found["decision"]["clarify"] = "[/park]"
    screen, out = console()
    screen.print(drawn(found))
    assert "[bold]park[/bold]?" in out.getvalue() and "says sue [/red]" in out.getvalue()
    assert "\x1b" not in out.getvalue() and "\x9b" not in out.getvalue()


class Typing(Console):
    """A terminal at which these lines are typed."""

    def __init__(self, *lines: str) -> None:
        self.out = io.StringIO()
        super().__init__(file=self.out, width=120, color_system=None)
        self._lines = list(lines)

    def input(self, *_prompt: object, **_options: object) -> str:
        if not self._lines:
            raise EOFError
        return self._lines.pop(0)


async def test_why_in_a_chat_explains_the_last_answer(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    terminal = Typing("/why", "Where can I park?", "/why", "/quit")
    assert await chat(served.url, "clinic", "ann", terminal, key=served.key) == 0
    before, _, after = terminal.out.getvalue().partition("Nothing has been answered yet.")
    assert "decided" not in before
    assert "decided: like the examples of general_info" in after

"""What the chat routes take: read, bounded and checked before anything is kept."""

from typing import Annotated, Any, TypeVar  # context is the caller's JSON
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, Field, StrictStr, ValidationError
from starlette.requests import Request

from frontdesk.conversations.feedback import Verdict
from frontdesk.conversations.models import Incoming
from frontdesk.core import json
from frontdesk.core.errors import FieldError, Invalid, Malformed, TooLarge, UnsupportedType
from frontdesk.core.ids import new_id

Body = TypeVar("Body", bound=BaseModel)

MAX_BODY = 256 * 1024
MAX_CONTEXT = 16 * 1024
MAX_KEY = 200
# Levels of lists and objects inside one another in a context.
MAX_DEPTH = 32


# What `readable` takes, for OpenAPI.
READABLE = r"^[^\x00]*\S[^\x00]*$"


def readable(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    return text


def _small(context: dict[str, Any] | None) -> dict[str, Any] | None:
    if context is not None:
        if json.is_deep(context, MAX_DEPTH):
            raise ValueError(f"is nested too deep: at most {MAX_DEPTH} levels are accepted")
        if len(json.dumps(context)) > MAX_CONTEXT:
            raise ValueError(f"must be at most {MAX_CONTEXT // 1024} KiB as JSON")
        if _has_nul(context):
            raise ValueError("must not contain the NUL character")
    return context


def _has_nul(value: Any) -> bool:
    """In a text or a name of something that is not deep."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


class SessionIn(BaseModel, extra="forbid"):
    """A session to be made."""

    user_id: Annotated[
        StrictStr,
        Field(min_length=1, max_length=100, json_schema_extra={"pattern": READABLE}),
        AfterValidator(readable),
    ]
    session_id: Annotated[UUID | None, Field(description="leave it out to have one made")] = None
    context: Annotated[dict[str, Any] | None, AfterValidator(_small)] = None
    channel: Annotated[StrictStr, Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")] = "api"


class ChatIn(SessionIn):
    """A contact's message."""

    message: Annotated[
        StrictStr,
        Field(min_length=1, max_length=2000, json_schema_extra={"pattern": READABLE}),
        AfterValidator(readable),
    ]
    attachments: Annotated[
        list[dict[str, Any]], Field(max_length=0, description="kept for later; must be empty in this version")
    ] = []


class FeedbackIn(BaseModel, extra="forbid"):
    """A verdict on the decision behind a message."""

    user_id: Annotated[
        StrictStr,
        Field(min_length=1, max_length=100, description="who judges", json_schema_extra={"pattern": READABLE}),
        AfterValidator(readable),
    ]
    verdict: Annotated[Verdict, Field(description="whether the right agent answered")]
    agent: Annotated[StrictStr | None, Field(max_length=60, description="with `wrong`: whose matter it was")] = None


async def read_body(request: Request, most: int = MAX_BODY) -> bytes:
    """The body, at most `most` bytes, whatever the client announced. Raises TooLarge."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise TooLarge(f"The body is larger than {most // 1024} KiB.")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge(f"The body is larger than {most // 1024} KiB.")
        parts.append(part)
    return b"".join(parts)


async def read_chat(request: Request, bound_to: str | None) -> Incoming:
    """`bound_to`: see `idempotency_key`. Raises UnsupportedType, TooLarge, Malformed, Invalid (the wrong fields)."""
    body = await read_form(request, ChatIn)
    return Incoming(
        contact=body.user_id,
        text=body.message,
        conversation_id=body.session_id or new_id(),
        is_new=body.session_id is None,
        channel=body.channel,
        context=body.context,
        idempotency_key=idempotency_key(request, bound_to),
    )


async def read_session(request: Request, tenant_id: UUID, bound_to: str | None) -> tuple[UUID, SessionIn, bool]:
    """The session's id, the rest, and whether the id is that of an Idempotency-Key. Raises as `read_chat`."""
    body = await read_form(request, SessionIn)
    key = idempotency_key(request, bound_to)
    if body.session_id is None and key is not None:
        return uuid5(tenant_id, key), body, True
    return body.session_id or new_id(), body, False


async def read_feedback(request: Request) -> FeedbackIn:
    """Raises as `read_chat`."""
    return await read_form(request, FeedbackIn)


async def read_form(request: Request, form: type[Body]) -> Body:
    """Raises UnsupportedType, TooLarge, Malformed, Invalid (with the fields that are wrong)."""
    fields = await _read_json(request, MAX_BODY)
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from None


async def read_object(request: Request, most: int) -> dict[str, Any]:
    """A JSON object that can be stored, for a form that stands elsewhere. Raises as `read_form`."""
    fields = await _read_json(request, most)
    if json.is_deep(fields, MAX_DEPTH):
        raise Invalid(f"The body is nested too deep: at most {MAX_DEPTH} levels are accepted.")
    if _has_nul(fields):
        raise Invalid("The body must not contain the NUL character.")
    return fields


async def _read_json(request: Request, most: int) -> dict[str, Any]:
    # Said explicitly: what browsers send on their own (no type, text, a form) another site's page could send unasked.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedType("The body must be JSON: send it with Content-Type: application/json.")
    try:
        fields = json.loads(await read_body(request, most))
    except ValueError as error:
        raise Malformed("The body is not JSON in UTF-8.") from error
    if not isinstance(fields, dict):
        raise Invalid("The body must be a JSON object.", errors=[FieldError("", "must be a JSON object")])
    return fields


def idempotency_key(request: Request, bound_to: str | None = None) -> str | None:
    """`bound_to`: the one contact whom the caller speaks for: his keys are his own, a backend's are others.

    Raises Invalid.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        message = f"must have 1 to {MAX_KEY} characters"
        raise Invalid(f"Idempotency-Key {message}.", errors=[FieldError("Idempotency-Key", message)])
    return f"{bound_to}\n{key}" if key is not None and bound_to is not None else key


def invalid(error: ValidationError) -> Invalid:
    """pydantic's findings in the one error format."""
    found = [
        FieldError(".".join(str(part) for part in problem["loc"]), _sentence(problem["type"], problem["msg"]))
        for problem in error.errors()
    ]
    detail = "; ".join(f"{field.field}: {field.message}" for field in found[:5])
    return Invalid(f"The body is not valid: {detail}.", errors=found)


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "missing":
        return "is required"
    text = message.removeprefix("Value error, ")
    return text[0].lower() + text[1:]

"""The one error type. Its family, as a tree (error_code, status):

FrontdeskError                 INTERNAL 500
├── Invalid                    VALIDATION_FAILED 422   what the caller sent can't be taken
│   ├── Malformed              MALFORMED 400           not even readable (JSON, UTF-8)
│   └── DefinitionError        DEFINITION_INVALID 422  a tenant file, with file and line
├── NotFound                   NOT_FOUND 404           also: it is another tenant's
│   ├── TenantNotFound         TENANT_NOT_FOUND 404
│   ├── ConversationNotFound   CONVERSATION_NOT_FOUND 404
│   └── PassageNotFound        PASSAGE_NOT_FOUND 404
├── Unauthenticated            UNAUTHENTICATED 401     no credential where one is needed
│   ├── TokenInvalid           TOKEN_INVALID 401       unreadable, wrongly signed, revoked: not told apart
│   └── TokenExpired           TOKEN_EXPIRED 401
├── Forbidden                  FORBIDDEN 403           names the permission that lacks
├── MethodNotAllowed           METHOD_NOT_ALLOWED 405
├── UnknownHost                UNKNOWN_HOST 421        the Host header names another server
├── CrossSite                  CROSS_SITE 403          another site's page asked, and is not allowed to
├── AddressRefused             ADDRESS_REFUSED 403     the client's address is not on the list of those allowed
├── TlsRequired                TLS_REQUIRED 403        the request came from elsewhere, and not by TLS
├── TenantSuspended            TENANT_SUSPENDED 403    an operator has closed the tenant for now
├── Conflict                   CONFLICT 409
│   ├── IdempotencyConflict    IDEMPOTENCY_CONFLICT 409
│   └── ChainBroken            AUDIT_BROKEN 409        `audit/chain.py`
├── PreconditionFailed         PRECONDITION_FAILED 412     If-Match names what has changed since
├── PreconditionRequired       PRECONDITION_REQUIRED 428   what is there is replaced only with If-Match
├── SessionExpired             SESSION_EXPIRED 410
├── TooLarge                   TOO_LARGE 413
├── UnsupportedType            UNSUPPORTED_TYPE 415
├── RequestLate                REQUEST_LATE 408        the client did not send all of its request in time
├── HeadersTooLarge            HEADERS_TOO_LARGE 431
├── RateLimited                RATE_LIMITED 429        has `retry_after`
│   └── BudgetUsedUp           BUDGET_USED_UP 429      only what costs nothing may answer
├── QuotaReached               QUOTA_REACHED 403       time does not help: something has to go, or the limit be raised
├── Unavailable                UNAVAILABLE 503         has `retry_after`
│   ├── DatabaseUnavailable    DATABASE_UNAVAILABLE 503
│   ├── ShuttingDown           SHUTTING_DOWN 503
│   └── TooManyConnections     TOO_MANY_CONNECTIONS 503
├── ProviderError              PROVIDER_FAILED 502     `llm/types.py` holds its kinds
├── TurnFailed                 TURN_FAILED 500         an accepted message ended without an answer
├── AnswerLate                 ANSWER_LATE 504         the answer comes later, by stream or history
└── SettingsError              SETTINGS_INVALID 500    start-up only, with file and line
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that was wrong: its path (`message`, `context.lang`) and a sentence."""

    field: str
    message: str


class FrontdeskError(Exception):
    """A failure we foresaw. Subclasses fix `status` and `error_code`; `detail` is the sentence the caller reads."""

    status, error_code = 500, "INTERNAL"

    def __init__(self, detail: str, *, retry_after: float | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after  # seconds
        self.errors = tuple(errors)


class Invalid(FrontdeskError):
    status, error_code = 422, "VALIDATION_FAILED"


class Malformed(Invalid):
    status, error_code = 400, "MALFORMED"


class DefinitionError(Invalid):
    """A tenant's file is wrong; `detail` starts with `file:line:`."""

    error_code = "DEFINITION_INVALID"


class NotFound(FrontdeskError):
    status, error_code = 404, "NOT_FOUND"


class TenantNotFound(NotFound):
    error_code = "TENANT_NOT_FOUND"


class ConversationNotFound(NotFound):
    error_code = "CONVERSATION_NOT_FOUND"


class PassageNotFound(NotFound):
    error_code = "PASSAGE_NOT_FOUND"


class Unauthenticated(FrontdeskError):
    status, error_code = 401, "UNAUTHENTICATED"


class TokenInvalid(Unauthenticated):
    error_code = "TOKEN_INVALID"


class TokenExpired(Unauthenticated):
    error_code = "TOKEN_EXPIRED"


class Forbidden(FrontdeskError):
    status, error_code = 403, "FORBIDDEN"


class MethodNotAllowed(FrontdeskError):
    status, error_code = 405, "METHOD_NOT_ALLOWED"


class UnknownHost(FrontdeskError):
    status, error_code = 421, "UNKNOWN_HOST"


class CrossSite(FrontdeskError):
    status, error_code = 403, "CROSS_SITE"


class AddressRefused(FrontdeskError):
    status, error_code = 403, "ADDRESS_REFUSED"


class TlsRequired(FrontdeskError):
    status, error_code = 403, "TLS_REQUIRED"


class TenantSuspended(FrontdeskError):
    status, error_code = 403, "TENANT_SUSPENDED"


class Conflict(FrontdeskError):
    status, error_code = 409, "CONFLICT"


class IdempotencyConflict(Conflict):
    error_code = "IDEMPOTENCY_CONFLICT"


class PreconditionFailed(FrontdeskError):
    status, error_code = 412, "PRECONDITION_FAILED"


class PreconditionRequired(FrontdeskError):
    status, error_code = 428, "PRECONDITION_REQUIRED"


class SessionExpired(FrontdeskError):
    status, error_code = 410, "SESSION_EXPIRED"


class TooLarge(FrontdeskError):
    status, error_code = 413, "TOO_LARGE"


class UnsupportedType(FrontdeskError):
    status, error_code = 415, "UNSUPPORTED_TYPE"


class RequestLate(FrontdeskError):
    status, error_code = 408, "REQUEST_LATE"


class HeadersTooLarge(FrontdeskError):
    status, error_code = 431, "HEADERS_TOO_LARGE"


class RateLimited(FrontdeskError):
    status, error_code = 429, "RATE_LIMITED"


class BudgetUsedUp(RateLimited):
    error_code = "BUDGET_USED_UP"


class QuotaReached(FrontdeskError):
    status, error_code = 403, "QUOTA_REACHED"


class Unavailable(FrontdeskError):
    status, error_code = 503, "UNAVAILABLE"


class DatabaseUnavailable(Unavailable):
    error_code = "DATABASE_UNAVAILABLE"


class ShuttingDown(Unavailable):
    error_code = "SHUTTING_DOWN"


class TooManyConnections(Unavailable):
    error_code = "TOO_MANY_CONNECTIONS"


class ProviderError(FrontdeskError):
    status, error_code = 502, "PROVIDER_FAILED"


class TurnFailed(FrontdeskError):
    error_code = "TURN_FAILED"


class AnswerLate(FrontdeskError):
    status, error_code = 504, "ANSWER_LATE"


class SettingsError(FrontdeskError):
    error_code = "SETTINGS_INVALID"

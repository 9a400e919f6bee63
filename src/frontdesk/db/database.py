"""The pool and the tenant scope. Every statement runs as the application role, bound by row-level security."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

import asyncpg

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.core.ids import new_id

APP_ROLE = "frontdesk_app"
AT_HAND = 8  # connections that are not given back to the pool between two uses

# A lost server, one that starts or stops, a pool that can't connect, a deadlock: the caller may try again.
_UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,  # it gave way to another transaction
    asyncpg.InternalClientError,  # a connection that is used while its server's last words are being read
)
_UNAVAILABLE_TEXTS = (
    "connection was closed",
    "connection has been closed",
    "connection is closed",
    "pool is clos",
    "released back to the pool",
)

RETRY_AFTER_S = 2.0


def is_unavailable(error: BaseException) -> bool:
    """Whether the database can't do it now (as against: the statement is wrong)."""
    if isinstance(error, asyncpg.InterfaceError):
        return any(text in str(error) for text in _UNAVAILABLE_TEXTS)
    return isinstance(error, (*_UNAVAILABLE, TimeoutError, DatabaseUnavailable))


def is_deadlock(error: DatabaseUnavailable) -> bool:
    """Whether the transaction gave way to another: it may be tried again at once."""
    return isinstance(error.__cause__, asyncpg.DeadlockDetectedError)


async def _nothing_to_reset(_connection: Any) -> None:
    """Every setting is made per transaction (`set local`), so a connection comes back as it left."""


class TenantScope:
    """One transaction in which row-level security shows one tenant's rows and no other's."""

    def __init__(self, connection: Any, tenant_id: UUID) -> None:
        self._connection = connection
        self.tenant_id = tenant_id

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        rows: list[Any] = await self._connection.fetch(query, *args)
        return rows

    async def fetchrow(self, query: str, *args: Any) -> Any:
        return await self._connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> None:
        await self._connection.execute(query, *args)

    async def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        await self._connection.executemany(query, rows)


class Database:
    """A pool of connections as `frontdesk_app`. Raises DatabaseUnavailable when the server is away."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._at_hand: list[Any] = []
        self._waiting = 0

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        max_connections: int = 10,
        statement_timeout_s: float = 30.0,
    ) -> "Database":
        """Opens the pool; connections are made when needed. `url` may be of any role that may become frontdesk_app."""
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=max_connections,
            max_inactive_connection_lifetime=60.0,
            reset=_nothing_to_reset,
            timeout=5.0,
            command_timeout=statement_timeout_s + 5.0,
            server_settings={
                "role": APP_ROLE,
                "application_name": "frontdesk",
                "statement_timeout": str(int(statement_timeout_s * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                # Those at hand are never closed for being idle: routers on the way must not forget them.
                "tcp_keepalives_idle": "60",
            },
        )
        with _translated():
            await pool
        return cls(pool)

    @asynccontextmanager
    async def scope(self, tenant_id: UUID) -> AsyncIterator[TenantScope]:
        """A transaction of this tenant: committed at the end, rolled back by any exception."""
        with _translated():
            async with self._connection() as connection:
                # One text, one round trip. The id is a UUID by type, so nothing else can be formatted in.
                await connection.execute(f"BEGIN; SET LOCAL app.tenant_id = '{UUID(str(tenant_id))}'")
                try:
                    yield TenantScope(connection, tenant_id)
                except BaseException:
                    await _roll_back(connection)
                    raise
                await connection.execute("COMMIT")

    async def call(self, query: str, *args: Any) -> list[Any]:
        """One statement in a transaction of its own: for functions that set the tenant, or are of no tenant."""
        with _translated():
            connection = await self._take()
            try:
                rows: list[Any] = await connection.fetch(query, *args)
            except BaseException:
                await self._pool.release(connection)  # which waits until a cancelled statement has really ended
                raise
            await self._put_back(connection)
            return rows

    @asynccontextmanager
    async def listening(
        self, channel: str, on_notice: Callable[[], None], on_loss: Callable[[], None]
    ) -> AsyncIterator[Any]:
        """A connection that listens on `channel` while the context lasts. `on_notice` is told of what others send,
        `on_loss` of the connection's end: who only waits would not learn of it."""

        def heard(own: Any, pid: int, _channel: str, _payload: str) -> None:
            if pid != own.get_server_pid():
                on_notice()

        def lost(_own: Any) -> None:
            on_loss()

        with _translated():
            async with self._connection() as connection:
                connection.add_termination_listener(lost)
                try:
                    await connection.add_listener(channel, heard)
                    yield connection
                finally:
                    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                        connection.remove_termination_listener(lost)
                        await connection.remove_listener(channel, heard)

    async def ping(self) -> None:
        await self.call("SELECT 1")

    async def rehearse(self, work: Callable[[TenantScope], Awaitable[None]]) -> None:
        """Opens the connections that stay at hand and does `work` once on each, as a tenant that is not there; then
        everything is rolled back.

        PostgreSQL compiles and plans by connection: what is done first on a new one takes ten times as long.
        """
        with _translated():
            await self._rehearse(work)

    async def _rehearse(self, work: Callable[[TenantScope], Awaitable[None]]) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(min(AT_HAND, self._pool.get_max_size() - 1)):
                connection = await stack.enter_async_context(self._connection())  # held, so that the next is another
                scope = TenantScope(connection, new_id())
                await connection.execute(f"BEGIN; SET LOCAL app.tenant_id = '{scope.tenant_id}'")
                try:
                    await work(scope)
                finally:
                    await _roll_back(connection)

    def size(self) -> tuple[int, int]:
        """(open, idle) connections."""
        return self._pool.get_size(), self._pool.get_idle_size() + len(self._at_hand)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(5):
                while self._at_hand:
                    await self._pool.release(self._at_hand.pop())
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError):
            self._pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A few connections stay at hand: the pool's own way there and back costs as much as a small statement."""
        connection = await self._take()
        try:
            yield connection
        except BaseException:
            await self._pool.release(connection)  # as in `call`
            raise
        await self._put_back(connection)

    async def _take(self) -> Any:
        while self._at_hand:
            connection = self._at_hand.pop()
            if not _is_lost(connection):
                return connection
            await self._pool.release(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=10.0)
        finally:
            self._waiting -= 1

    async def _put_back(self, connection: Any) -> None:
        """One that has just done its work: whether it lives is asked when it is needed again."""
        if self._waiting or len(self._at_hand) >= AT_HAND:
            await self._pool.release(connection)
        else:
            self._at_hand.append(connection)


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # its pool has heard of the loss already, and taken its place back
        return True


async def _roll_back(connection: Any) -> None:
    """A connection that can't be rolled back must not go back to the pool inside a transaction."""
    try:
        await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError):
        with suppress(asyncpg.InterfaceError):  # one that was lost has left the pool already
            connection.terminate()


class _translated:  # noqa: N801 - reads as the statement that it is
    """asyncpg's ways to say that the server is away, as the one error of ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, DatabaseUnavailable) or not isinstance(error, Exception):
            return
        if is_unavailable(error):
            raise DatabaseUnavailable("The database is not reachable.", retry_after=RETRY_AFTER_S) from error

"""Runs an agent in a turn: everything that its definition names is looked up here, then the loop begins."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog

from frontdesk.agents.actions import Actions, StepLog
from frontdesk.agents.live import Emit
from frontdesk.agents.loop import Loop
from frontdesk.agents.models import Agent, AgentOutcome, Definitions
from frontdesk.agents.prompts import Prompts
from frontdesk.agents.turn import AgentTurn
from frontdesk.core.clock import Clock
from frontdesk.llm.gateway import Gateway
from frontdesk.llm.types import NoProvider
from frontdesk.tools.templates import TemplateFailed, Templates
from frontdesk.tools.toolbox import Toolbox
from frontdesk.tools.types import Owner, Records

log = structlog.get_logger()


class Runner:
    """Runs agents. It keeps nothing between two runs: what must last is in the turn's steps."""

    def __init__(
        self,
        gateway: Gateway,
        toolbox: Toolbox,
        prompts: Prompts,
        templates: Templates,
        records: Callable[[UUID, UUID], Records],
        clock: Clock,
    ) -> None:
        """`records`: those of a tenant, for a turn."""
        self._gateway = gateway
        self._toolbox = toolbox
        self._prompts = prompts
        self._templates = templates
        self._records = records
        self._clock = clock

    async def run(self, turn: AgentTurn, agent: Agent, emit: Emit) -> AgentOutcome:
        """The agent's answer, question or failure. `turn.rows` has the gateway's rows afterwards, also if it raises.

        Raises what `turn.record_step` raises, and Unavailable when the database is away: the turn is resumed later.
        """
        definitions = turn.definitions
        alias = definitions.aliases.get(agent.model)
        if alias is None:
            log.error("agent.model_unknown", agent=agent.name, model=agent.model)
            return AgentOutcome(agent.name, "", "local", degraded=True, error_code=NoProvider.error_code)
        bound = self._toolbox.open(owner(definitions), definitions.tools)
        ends_at = asyncio.get_running_loop().time() + agent.timeout_s
        steps = StepLog([step for step in turn.steps if step.agent == agent.name])
        records = self._records(definitions.tenant.id, turn.turn_id)
        loop = Loop(
            gateway=self._gateway,
            templates=self._templates,
            clock=self._clock,
            actions=Actions(self._toolbox, records, self._clock, turn, agent, steps, emit, ends_at),
            steps=steps,
            turn=turn,
            agent=agent,
            alias=self._gateway.available(alias),
            tools={name: bound[name] for name in agent.tools if name in bound},
            instructions=self._instructions(definitions, agent),
            emit=emit,
            ends_at=ends_at,
        )
        try:
            return await loop.run()
        finally:
            turn.rows.extend(loop.rows)

    def _instructions(self, definitions: Definitions, agent: Agent) -> str:
        try:
            return self._prompts.instructions(definitions, agent)
        except TemplateFailed as error:
            # An agent with its bare description still serves; `apply` has refused templates that can't be read.
            log.error("agent.prompt_failed", agent=agent.name, prompt=agent.prompt, reason=str(error))
            return agent.description


def owner(definitions: Definitions) -> Owner:
    """The tenant as its tools know it."""
    tenant = definitions.tenant
    return Owner(tenant.id, tenant.slug, tenant.version, tenant.settings.http_allow, tenant.settings.min_score)

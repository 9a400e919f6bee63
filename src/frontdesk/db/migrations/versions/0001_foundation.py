"""The foundation: tenants and their definitions, conversations, the log, knowledge, records, the ledger.

Revision: 0001
"""

from alembic import op

revision = "0001"
down_revision = None

# Tables with a tenant_id: each gets row-level security for the application role.
TENANT_TABLES = {
    "agents": "tenant_id uuid NOT NULL, name text NOT NULL, definition jsonb NOT NULL, PRIMARY KEY (tenant_id, name)",
    "tools": "tenant_id uuid NOT NULL, name text NOT NULL, definition jsonb NOT NULL, PRIMARY KEY (tenant_id, name)",
    "agent_tools": """
        tenant_id uuid NOT NULL, agent text NOT NULL, tool text NOT NULL, place int NOT NULL,
        PRIMARY KEY (tenant_id, agent, tool),
        FOREIGN KEY (tenant_id, agent) REFERENCES agents ON DELETE CASCADE,
        FOREIGN KEY (tenant_id, tool) REFERENCES tools ON DELETE CASCADE""",
    "prompts": """
        tenant_id uuid NOT NULL, name text NOT NULL, version int NOT NULL, template text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, name, version)""",
    "aliases": "tenant_id uuid NOT NULL, name text NOT NULL, definition jsonb NOT NULL, PRIMARY KEY (tenant_id, name)",
    "classifiers": """
        tenant_id uuid NOT NULL, fingerprint text NOT NULL, body bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id)""",
    "secrets": """
        tenant_id uuid NOT NULL, name text NOT NULL, value bytea NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, name)""",
    "contacts": """
        tenant_id uuid NOT NULL, external_id text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, external_id)""",
    # contact: the channel's id. pending, context, summary: encrypted JSON / text.
    "conversations": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, contact text NOT NULL, channel text NOT NULL,
        state text NOT NULL CHECK (state IN ('created', 'active', 'waiting', 'expired', 'cleared')),
        owner text NOT NULL CHECK (owner IN ('agent', 'queue', 'human')), epoch int NOT NULL DEFAULT 1,
        last_seq int NOT NULL DEFAULT 0, emergency boolean NOT NULL DEFAULT false,
        escalated boolean NOT NULL DEFAULT false, agent text, intent text, pending bytea, context bytea,
        summary bytea, summary_seq int NOT NULL DEFAULT 0, window_from int NOT NULL DEFAULT 0,
        answers int NOT NULL DEFAULT 0, answer_ms bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(), last_activity timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id)""",
    # seqs: the contact's messages that it answers. lease_until/worker: who runs it, and until when alone.
    "turns": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, conversation_id uuid NOT NULL,
        state text NOT NULL
            CHECK (state IN ('accepted', 'running', 'waiting', 'completed', 'handed_off', 'failed')),
        seqs int[] NOT NULL, epoch int NOT NULL, correlation_id text NOT NULL, worker uuid, lease_until timestamptz,
        attempt int NOT NULL DEFAULT 0, stage text, agents text[], decision bytea, error_code text,
        created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, ended_at timestamptz,
        PRIMARY KEY (tenant_id, id)""",
    # body: encrypted JSON {content, metadata}.
    "messages": """
        tenant_id uuid NOT NULL, conversation_id uuid NOT NULL, seq int NOT NULL, id uuid NOT NULL,
        role text NOT NULL CHECK (role IN ('user', 'assistant', 'system', 'human')), body bytea NOT NULL,
        turn_id uuid, in_reply_to int[], idempotency_key text, request_hash bytea,
        created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, conversation_id, seq)""",
    # input, output: encrypted JSON. key: a tool call's idempotency key.
    "steps": """
        tenant_id uuid NOT NULL, turn_id uuid NOT NULL, number int NOT NULL, agent text NOT NULL, kind text NOT NULL,
        name text NOT NULL, status text NOT NULL, input bytea NOT NULL, output bytea, key text NOT NULL DEFAULT '',
        duration_ms int NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, turn_id, agent, number)""",
    "llm_calls": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, turn_id uuid, purpose text NOT NULL, alias text NOT NULL,
        provider text NOT NULL, model text NOT NULL, outcome text NOT NULL, input_tokens int NOT NULL,
        cached_tokens int NOT NULL, output_tokens int NOT NULL, reasoning_tokens int NOT NULL,
        estimated boolean NOT NULL, cost_usd numeric(16, 9), latency_ms int NOT NULL, first_token_ms int,
        created_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, id)""",
    "documents": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, title text NOT NULL, media_type text NOT NULL,
        fingerprint text NOT NULL, text text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, name)""",
    "passages": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, document_id uuid NOT NULL, place int NOT NULL,
        heading text NOT NULL, start_at int NOT NULL, end_at int NOT NULL, text text NOT NULL,
        embedding halfvec(384) NOT NULL, words tsvector NOT NULL, PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, document_id) REFERENCES documents ON DELETE CASCADE""",
    # What a search must know before it starts: how much there is, and in how many passages each word stands.
    "knowledge": "tenant_id uuid PRIMARY KEY, version bigint NOT NULL, passages int NOT NULL",
    "knowledge_words": """
        tenant_id uuid NOT NULL, word text NOT NULL, passages int NOT NULL, PRIMARY KEY (tenant_id, word)""",
    # Small durable state of tools. made_by: the idempotency key of the call that wrote it. Ranges of keys are by bytes.
    "records": """
        tenant_id uuid NOT NULL, collection text NOT NULL, key text COLLATE "C" NOT NULL, value jsonb NOT NULL,
        made_by text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, collection, key)""",
    # The log. Readers go by (xid, position) below the snapshot's xmin, so that none skips a late commit.
    "outbox": """
        tenant_id uuid NOT NULL, position bigint GENERATED ALWAYS AS IDENTITY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(), event_id uuid NOT NULL, topic text NOT NULL,
        key text NOT NULL, type text NOT NULL, version int NOT NULL DEFAULT 1,
        occurred_at timestamptz NOT NULL DEFAULT now(), correlation_id text NOT NULL, causation_id uuid,
        payload bytea NOT NULL, PRIMARY KEY (xid, position)""",
    "dead_letters": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, consumer text NOT NULL, topic text NOT NULL, event_id uuid NOT NULL,
        error text NOT NULL, event jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id)""",
}

INDEXES = [
    "CREATE INDEX conversations_by_contact ON conversations (tenant_id, contact, last_activity DESC)",
    "CREATE INDEX conversations_idle ON conversations (last_activity) WHERE state IN ('created', 'active', 'waiting')",
    "CREATE INDEX turns_open ON turns (tenant_id, conversation_id) WHERE state IN ('accepted', 'running')",
    "CREATE INDEX turns_due ON turns (lease_until) WHERE state IN ('accepted', 'running')",
    "CREATE UNIQUE INDEX messages_by_id ON messages (tenant_id, id)",
    "CREATE UNIQUE INDEX messages_by_key ON messages (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX steps_by_key ON steps (tenant_id, key) WHERE key <> ''",
    "CREATE INDEX llm_calls_by_turn ON llm_calls (tenant_id, turn_id)",
    "CREATE INDEX passages_by_document ON passages (tenant_id, document_id, place)",
    "CREATE INDEX passages_by_embedding ON passages USING hnsw (embedding halfvec_cosine_ops)",
    "CREATE INDEX passages_by_words ON passages USING gin (words)",
    "CREATE INDEX records_by_value ON records USING gin (value jsonb_path_ops)",
    "CREATE INDEX outbox_by_time ON outbox (occurred_at)",
]


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.execute(
        """
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'frontdesk_app') THEN
                CREATE ROLE frontdesk_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
            -- From version 16 on, being a member and being allowed to SET ROLE are two things.
            IF NOT pg_has_role(current_user, 'frontdesk_app',
                               CASE WHEN current_setting('server_version_num')::int >= 160000
                                    THEN 'SET' ELSE 'MEMBER' END) THEN
                EXECUTE format('GRANT frontdesk_app TO %I', current_user);
            END IF;
        END $$
        """
    )
    op.execute(
        """
        CREATE TABLE tenants (
            id uuid PRIMARY KEY, slug text NOT NULL UNIQUE, name text NOT NULL, version bigint NOT NULL DEFAULT 1,
            settings jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now())
        """
    )
    op.execute("ALTER TABLE tenants ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY tenant ON tenants USING (id = current_setting('app.tenant_id')::uuid)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON tenants TO frontdesk_app")
    for table, columns in TENANT_TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('app.tenant_id')::uuid)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO frontdesk_app")
    # Whole in the row: ranking reads `words` once a term, and would fetch and unpack it each time.
    op.execute("ALTER TABLE passages SET (toast_tuple_target = 8160)")
    for index in INDEXES:
        op.execute(index)
    # How far each consumer group has read: of no tenant, it holds no content.
    op.execute(
        """
        CREATE TABLE consumer_positions (
            consumer text PRIMARY KEY, xid xid8 NOT NULL, position bigint NOT NULL, worker uuid,
            lease_until timestamptz, updated_at timestamptz NOT NULL DEFAULT now())
        """
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON consumer_positions TO frontdesk_app")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")

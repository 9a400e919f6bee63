-- The turn's transactions, one call each. Every function that appends events of a conversation takes the
-- conversation's advisory lock first, before its transaction has an xid: that orders the log per conversation
-- (events/outbox.sql) and makes the lane.

CREATE OR REPLACE FUNCTION conversation_lock(conversation uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(conversation::text, 0))
$$;

-- accept: the message is kept when this commits. outcome: accepted | repeated | conflict | foreign | expired | cleared
-- | full (there are in_most messages already). Servers before functions 4 know no in_most.
-- claimed: the lane was free and the turn is the caller's to run; the window comes along then.
-- In this and in complete_turn each statement saved counts, see docs/performance.md. `done := …` is an expression and
-- needs none of the executor.
CREATE OR REPLACE FUNCTION accept_message(
    in_tenant uuid, in_conversation uuid, in_contact text, in_channel text, in_message uuid, in_turn uuid,
    in_body bytea, in_context bytea, in_key text, in_hash bytea, in_correlation text, in_event uuid, in_payload bytea,
    in_worker uuid, in_lease_s float, in_ttl_s int, in_join boolean, in_window int,
    in_most int DEFAULT 2147483646,
    OUT outcome text, OUT conversation uuid, OUT message uuid, OUT seq int, OUT turn uuid, OUT claimed boolean,
    OUT epoch int, OUT version bigint, OUT pending bytea, OUT context bytea, OUT summary bytea, OUT agent text,
    OUT seqs int[], OUT roles text[], OUT bodies bytea[])
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    c record;
    kept messages%ROWTYPE;
    open_turn uuid;
    open_state text;
    open_covers int;
    done text;
BEGIN
    done := set_config('app.tenant_id', in_tenant::text, true);
    claimed := false;
    conversation := in_conversation;
    -- A repeated request first: the key's lock makes two at once take their turns.
    IF in_key IS NOT NULL THEN
        done := pg_advisory_xact_lock(hashtextextended(in_tenant::text || in_key, 1))::text;
        SELECT * INTO kept FROM messages AS m WHERE m.tenant_id = in_tenant AND m.idempotency_key = in_key;
        IF FOUND THEN
            -- One whose personal data was replaced has no hash any more: that it was the same is believed.
            outcome := CASE WHEN kept.request_hash <> in_hash THEN 'conflict' ELSE 'repeated' END;
            conversation := kept.conversation_id;
            message := kept.id;
            seq := kept.seq;
            turn := kept.turn_id;
            RETURN;
        END IF;
    END IF;

    done := pg_advisory_xact_lock(hashtextextended(in_conversation::text, 0))::text;  -- as conversation_lock
    UPDATE conversations AS v
       SET last_seq = v.last_seq + 1, state = 'active', context = coalesce(in_context, v.context),
           -- Only when it says something new: an update that leaves what is indexed alone needs no index entries.
           last_activity = CASE WHEN v.last_activity BETWEEN now() - make_interval(secs => in_ttl_s / 60.0) AND now()
                                THEN v.last_activity ELSE now() END
     WHERE v.tenant_id = in_tenant AND v.id = in_conversation AND v.contact = in_contact
       AND v.state IN ('created', 'active', 'waiting') AND v.last_activity >= now() - make_interval(secs => in_ttl_s)
       AND v.last_seq < in_most
    RETURNING v.last_seq, v.epoch, v.window_from, v.pending, v.context, v.summary, v.agent INTO c;
    IF FOUND THEN
        -- The last that waits (several do where joining was off until now), else one that runs.
        SELECT t.id, t.state, cardinality(t.seqs)
          INTO open_turn, open_state, open_covers
          FROM turns AS t
         WHERE t.tenant_id = in_tenant AND t.conversation_id = in_conversation AND t.state IN ('accepted', 'running')
         ORDER BY t.state, t.seqs[1] DESC
         LIMIT 1;
    ELSE
        SELECT v.contact, v.state, v.last_seq INTO c
          FROM conversations AS v
         WHERE v.tenant_id = in_tenant AND v.id = in_conversation;
        IF FOUND THEN
            outcome := CASE WHEN c.contact <> in_contact THEN 'foreign'
                            WHEN c.state = 'cleared' THEN 'cleared'
                            WHEN c.state <> 'expired' AND c.last_seq >= in_most THEN 'full'
                            ELSE 'expired' END;  -- to be marked as such by expire_conversation, which tells the log
            RETURN;
        END IF;
        INSERT INTO contacts (tenant_id, external_id) VALUES (in_tenant, in_contact) ON CONFLICT DO NOTHING;
        INSERT INTO conversations (tenant_id, id, contact, channel, state, owner, last_seq, context)
        VALUES (in_tenant, in_conversation, in_contact, in_channel, 'active', 'agent', 1, in_context)
        RETURNING last_seq, conversations.epoch, window_from, conversations.pending, conversations.context,
                  conversations.summary, conversations.agent
             INTO c;
    END IF;

    -- Joins the turn that waits to start; else opens one, and runs it at once when the lane is free.
    IF in_join AND open_state = 'accepted'
       AND open_covers < 20 THEN  -- what a turn reads is bounded: the rest is the next one's
        turn := open_turn;
        UPDATE turns AS t SET seqs = t.seqs || c.last_seq WHERE t.tenant_id = in_tenant AND t.id = open_turn;
    ELSE
        turn := in_turn;
        claimed := in_worker IS NOT NULL AND open_turn IS NULL;
        INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id, worker, lease_until,
                           attempt, started_at)
        VALUES (in_tenant, in_turn, in_conversation, CASE WHEN claimed THEN 'running' ELSE 'accepted' END,
                ARRAY[c.last_seq], c.epoch, in_correlation, CASE WHEN claimed THEN in_worker END,
                now() + make_interval(secs => in_lease_s), claimed::int, CASE WHEN claimed THEN now() END);
    END IF;

    INSERT INTO messages (tenant_id, conversation_id, seq, id, role, body, turn_id, idempotency_key, request_hash)
    VALUES (in_tenant, in_conversation, c.last_seq, in_message, 'user', in_body, turn, in_key, in_hash);
    INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload)
    VALUES (in_tenant, in_event, 'messages.raw', in_conversation::text, 'message.accepted', in_correlation, in_payload);

    outcome := 'accepted';
    message := in_message;
    seq := c.last_seq;
    epoch := c.epoch;
    IF claimed THEN
        pending := c.pending;
        context := c.context;
        summary := c.summary;
        agent := c.agent;
        SELECT (SELECT t.version FROM tenants AS t WHERE t.id = in_tenant),
               array_agg(w.seq ORDER BY w.seq), array_agg(w.role ORDER BY w.seq), array_agg(w.body ORDER BY w.seq)
          INTO version, seqs, roles, bodies
          FROM (SELECT m.seq, m.role, m.body
                  FROM messages AS m
                 WHERE m.tenant_id = in_tenant AND m.conversation_id = in_conversation AND m.seq > c.window_from
                 ORDER BY m.seq DESC
                 LIMIT in_window + 1) AS w;
    END IF;
END $$;

-- A session before its first message. False: there is one of this id with another contact.
CREATE OR REPLACE FUNCTION create_conversation(
    in_tenant uuid, in_conversation uuid, in_contact text, in_channel text, in_context bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    PERFORM conversation_lock(in_conversation);
    INSERT INTO contacts (tenant_id, external_id) VALUES (in_tenant, in_contact) ON CONFLICT DO NOTHING;
    INSERT INTO conversations (tenant_id, id, contact, channel, state, owner, context)
    VALUES (in_tenant, in_conversation, in_contact, in_channel, 'created', 'agent', in_context)
        ON CONFLICT DO NOTHING;
    RETURN EXISTS (
        SELECT FROM conversations AS c
         WHERE c.tenant_id = in_tenant AND c.id = in_conversation AND c.contact = in_contact);
END $$;

-- What a turn that was not claimed by accept needs to run: the same as accept returns, and the steps already taken.
CREATE OR REPLACE FUNCTION turn_input(
    in_tenant uuid, in_turn uuid, in_window int,
    OUT conversation uuid, OUT contact text, OUT channel text, OUT attempt int, OUT handovers int, OUT epoch int,
    OUT version bigint, OUT correlation text, OUT covers int[], OUT accepted_at timestamptz, OUT pending bytea,
    OUT context bytea, OUT summary bytea, OUT agent text, OUT seqs int[], OUT roles text[], OUT bodies bytea[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
    begins int;
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    SELECT t.conversation_id, c.contact, c.channel, t.attempt, t.handovers, t.epoch, n.version, t.correlation_id,
           t.seqs, t.created_at, c.pending, c.context, c.summary, c.agent, c.window_from
      INTO conversation, contact, channel, attempt, handovers, epoch, version, correlation, covers,
           accepted_at, pending, context, summary, agent, begins
      FROM turns AS t
      JOIN conversations AS c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
      JOIN tenants AS n ON n.id = t.tenant_id
     WHERE t.tenant_id = in_tenant AND t.id = in_turn;
    -- Messages of later turns are not this turn's business: those it covers, and what was there before or answered since.
    SELECT array_agg(w.seq ORDER BY w.seq), array_agg(w.role ORDER BY w.seq), array_agg(w.body ORDER BY w.seq)
      INTO seqs, roles, bodies
      FROM (SELECT m.seq, m.role, m.body
              FROM messages AS m
             WHERE m.tenant_id = in_tenant AND m.conversation_id = conversation AND m.seq > begins
               AND (m.seq <= covers[cardinality(covers)] OR m.role <> 'user')
             ORDER BY m.seq DESC
             LIMIT in_window + cardinality(covers)) AS w;
END $$;

-- complete: the answer, or the explicit failure, of a turn that the caller still holds, with everything that it left.
-- outcome: completed | lost (another worker has the turn, or the session was cleared) | overtaken (a human took over:
-- kept as a suggestion). next_turn: one that waited in this lane, now the caller's to run.
CREATE OR REPLACE FUNCTION complete_turn(
    in_tenant uuid, in_conversation uuid, in_turn uuid, in_worker uuid, in_attempt int, in_state text, in_stage text,
    in_agents text[], in_decision bytea, in_error text, in_message uuid, in_role text, in_body bytea, in_agent text,
    in_intent text, in_pending bytea, in_keep boolean, in_emergency boolean, in_escalated boolean, in_answer_ms int,
    in_steps step_row[], in_calls call_row[], in_events event_row[], in_lease_s float, in_anew boolean,
    OUT outcome text, OUT seq int, OUT covers int[], OUT next_turn uuid)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    correlation text;
    done text;
BEGIN
    done := set_config('app.tenant_id', in_tenant::text, true);
    done := pg_advisory_xact_lock(hashtextextended(in_conversation::text, 0))::text;  -- as conversation_lock
    UPDATE turns AS u
       SET state = CASE WHEN u.epoch = c.epoch THEN in_state ELSE 'handed_off' END, stage = in_stage,
           agents = in_agents, decision = in_decision, error_code = in_error, ended_at = now(), worker = NULL,
           lease_until = NULL
      FROM conversations AS c
     WHERE u.tenant_id = in_tenant AND u.id = in_turn AND u.conversation_id = in_conversation
       AND u.state = 'running' AND u.worker = in_worker AND u.attempt = in_attempt
       AND c.tenant_id = in_tenant AND c.id = in_conversation
    RETURNING CASE WHEN u.epoch = c.epoch THEN 'completed' ELSE 'overtaken' END, u.seqs, u.correlation_id
         INTO outcome, covers, correlation;
    IF NOT FOUND THEN
        outcome := 'lost';
        RETURN;
    END IF;

    -- The ledger's rows stand whatever becomes of the answer. Who gave up waiting for this may have written them since.
    INSERT INTO llm_calls (tenant_id, id, turn_id, purpose, alias, provider, model, outcome, input_tokens,
                           cached_tokens, output_tokens, reasoning_tokens, estimated, cost_usd, latency_ms,
                           first_token_ms, created_at)
    SELECT in_tenant, l.id, in_turn, l.purpose, l.alias, l.provider, l.model, l.outcome, l.input_tokens,
           l.cached_tokens, l.output_tokens, l.reasoning_tokens, l.estimated, l.cost_usd, l.latency_ms,
           l.first_token_ms, l.created_at
      FROM unnest(in_calls) AS l
        ON CONFLICT DO NOTHING;
    INSERT INTO steps (tenant_id, turn_id, number, agent, kind, name, status, input, output, key, duration_ms)
    SELECT in_tenant, in_turn, s.number, s.agent, s.kind, s.name, s.status, s.input, s.output, s.key, s.duration_ms
      FROM unnest(in_steps) AS s
        ON CONFLICT (tenant_id, turn_id, agent, number) DO UPDATE
       SET status = EXCLUDED.status, output = EXCLUDED.output, duration_ms = EXCLUDED.duration_ms;

    IF outcome = 'completed' THEN
        UPDATE conversations AS v
           SET last_seq = v.last_seq + 1,
               -- As in accept_message.
               last_activity = CASE WHEN v.last_activity < now() - interval '1 minute' THEN now()
                                    ELSE v.last_activity END,
               emergency = v.emergency OR in_emergency,
               escalated = v.escalated OR in_escalated, agent = coalesce(in_agent, v.agent),
               intent = coalesce(in_intent, v.intent), pending = CASE WHEN in_keep THEN v.pending ELSE in_pending END,
               state = CASE WHEN in_state = 'waiting' THEN 'waiting' ELSE 'active' END,
               answers = v.answers + 1, answer_ms = v.answer_ms + in_answer_ms,
               -- What could not be read is left behind: the next turn's window begins with this one.
               window_from = CASE WHEN in_anew THEN covers[1] - 1 ELSE v.window_from END,
               context = CASE WHEN in_anew THEN NULL ELSE v.context END,
               summary = CASE WHEN in_anew THEN NULL ELSE v.summary END,
               summary_seq = CASE WHEN in_anew THEN covers[1] - 1 ELSE v.summary_seq END
         WHERE v.tenant_id = in_tenant AND v.id = in_conversation
        RETURNING v.last_seq INTO seq;
        INSERT INTO messages (tenant_id, conversation_id, seq, id, role, body, turn_id, in_reply_to)
        VALUES (in_tenant, in_conversation, seq, in_message, in_role, in_body, in_turn, covers);
    ELSE
        INSERT INTO steps (tenant_id, turn_id, number, agent, kind, name, status, input, output)
        VALUES (in_tenant, in_turn, 0, '', 'suggestion', 'answer', 'withheld', ''::bytea, in_body)
            ON CONFLICT DO NOTHING;
    END IF;
    INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload)
    SELECT in_tenant, e.event_id, e.topic, in_conversation::text,
           CASE WHEN outcome = 'overtaken' THEN 'turn.handed_off' ELSE e.type END, correlation, e.payload
      FROM unnest(in_events) AS e;

    -- What waited in this lane goes on at once, in the same hands.
    IF in_lease_s > 0 THEN
        SELECT w.id INTO next_turn
          FROM turns AS w
         WHERE w.tenant_id = in_tenant AND w.conversation_id = in_conversation AND w.state = 'accepted'
         ORDER BY w.seqs[1]
         LIMIT 1;
        IF FOUND THEN
            UPDATE turns AS u
               SET state = 'running', worker = in_worker, lease_until = now() + make_interval(secs => in_lease_s),
                   attempt = u.attempt + 1, started_at = now()
             WHERE u.tenant_id = in_tenant AND u.id = next_turn;
        END IF;
    END IF;
END $$;

-- The form that servers before functions 3 call: they may go on beside newer ones.
CREATE OR REPLACE FUNCTION complete_turn(
    in_tenant uuid, in_turn uuid, in_worker uuid, in_attempt int, in_state text, in_stage text, in_agents text[],
    in_decision bytea, in_error text, in_message uuid, in_role text, in_body bytea, in_agent text, in_intent text,
    in_pending bytea, in_keep boolean, in_emergency boolean, in_escalated boolean, in_answer_ms int,
    in_steps jsonb, in_step_inputs bytea[], in_step_outputs bytea[], in_calls jsonb,
    in_events jsonb, in_payloads bytea[], in_lease_s float, in_anew boolean,
    OUT outcome text, OUT seq int, OUT covers int[], OUT next_turn uuid)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    done text;
    conversation uuid;
BEGIN
    done := set_config('app.tenant_id', in_tenant::text, true);
    SELECT u.conversation_id INTO conversation FROM turns AS u WHERE u.tenant_id = in_tenant AND u.id = in_turn;
    IF NOT FOUND THEN
        outcome := 'lost';
        RETURN;
    END IF;
    SELECT n.outcome, n.seq, n.covers, n.next_turn INTO outcome, seq, covers, next_turn
      FROM complete_turn(
               in_tenant, conversation, in_turn, in_worker, in_attempt, in_state, in_stage, in_agents, in_decision,
               in_error, in_message, in_role, in_body, in_agent, in_intent, in_pending, in_keep, in_emergency,
               in_escalated, in_answer_ms,
               ARRAY(SELECT (s.number, s.agent, s.kind, s.name, s.status, in_step_inputs[s.place],
                             in_step_outputs[s.place], s.key, s.duration_ms)::step_row
                       FROM jsonb_to_recordset(in_steps) AS s (
                            place int, number int, agent text, kind text, name text, status text, key text,
                            duration_ms int)),
               ARRAY(SELECT jsonb_populate_record(NULL::call_row, l) FROM jsonb_array_elements(in_calls) AS l),
               ARRAY(SELECT (e.event_id, e.topic, e.type, in_payloads[e.place])::event_row
                       FROM jsonb_to_recordset(in_events) AS e (place int, event_id uuid, topic text, type text)),
               in_lease_s, in_anew) AS n;
END $$;

-- A step with side effects, before (status started) and after it ran: recovery then knows. False: the turn is lost.
CREATE OR REPLACE FUNCTION record_step(
    in_tenant uuid, in_turn uuid, in_worker uuid, in_attempt int, in_number int, in_agent text, in_name text,
    in_status text, in_input bytea, in_output bytea, in_key text, in_duration_ms int) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    PERFORM 1 FROM turns AS t
      WHERE t.tenant_id = in_tenant AND t.id = in_turn AND t.state = 'running' AND t.worker = in_worker
        AND t.attempt = in_attempt
        FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO steps AS s (tenant_id, turn_id, number, agent, kind, name, status, input, output, key, duration_ms)
    VALUES (in_tenant, in_turn, in_number, in_agent, 'tool', in_name, in_status, in_input, in_output, in_key,
            in_duration_ms)
        ON CONFLICT (tenant_id, turn_id, agent, number) DO UPDATE
       SET name = EXCLUDED.name, status = EXCLUDED.status, input = EXCLUDED.input, output = EXCLUDED.output,
           key = EXCLUDED.key, duration_ms = EXCLUDED.duration_ms;
    RETURN true;
END $$;

-- Turns that nobody works on: accepted and left, or running under a lease that ran out. Across tenants, ids only.
-- A lease of more than ten times the usual length is from before the clock was set back: its end may never come.
CREATE OR REPLACE FUNCTION claim_due_turns(in_worker uuid, in_lease_s float, most int, in_running uuid[])
RETURNS TABLE (tenant_id uuid, turn_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    due record;
    taken int := 0;
BEGIN
    FOR due IN
        SELECT t.tenant_id, t.id, t.conversation_id, t.seqs
          FROM turns AS t
         WHERE t.state IN ('accepted', 'running')
           AND t.lease_until NOT BETWEEN now() AND now() + make_interval(secs => in_lease_s * 10)
           AND t.id <> ALL (in_running)  -- a worker that overslept its lease, and lost it to nobody, still has it
           -- Not those behind others of their lane: a long one must not fill the places of all other conversations.
           AND NOT EXISTS (
               SELECT FROM turns AS o
                WHERE o.tenant_id = t.tenant_id AND o.conversation_id = t.conversation_id AND o.id <> t.id
                  AND (o.state = 'running' OR (o.state = 'accepted' AND o.seqs[1] < t.seqs[1])))
         ORDER BY t.lease_until
         LIMIT most * 4
    LOOP
        EXIT WHEN taken >= most;
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(due.conversation_id::text, 0));
        UPDATE turns AS t
           SET state = 'running', worker = in_worker, lease_until = now() + make_interval(secs => in_lease_s),
               attempt = t.attempt + 1, started_at = coalesce(t.started_at, now())
         WHERE t.tenant_id = due.tenant_id AND t.id = due.id
           AND t.state IN ('accepted', 'running')
           AND t.lease_until NOT BETWEEN now() AND now() + make_interval(secs => in_lease_s * 10)
           -- Again, under the lock: nothing else of the conversation runs, and nothing older waits.
           AND NOT EXISTS (
               SELECT FROM turns AS o
                WHERE o.tenant_id = due.tenant_id AND o.conversation_id = due.conversation_id AND o.id <> due.id
                  AND (o.state = 'running' OR (o.state = 'accepted' AND o.seqs[1] < due.seqs[1])));
        IF FOUND THEN
            taken := taken + 1;
            tenant_id := due.tenant_id;
            turn_id := due.id;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Keeps the leases of turns that are still worked on; gives back those that are still the worker's.
CREATE OR REPLACE FUNCTION extend_leases(in_worker uuid, in_turns uuid[], in_lease_s float) RETURNS SETOF uuid
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE turns AS t
       SET lease_until = now() + make_interval(secs => in_lease_s)
     WHERE t.id = ANY (in_turns) AND t.worker = in_worker AND t.state = 'running'
    RETURNING t.id
$$;

-- Hands turns over: of one worker that stops, or (NULL) of every worker, when the caller knows that all are dead.
CREATE OR REPLACE FUNCTION release_turns(in_worker uuid) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH freed AS (
        UPDATE turns AS t
           SET lease_until = now() - interval '1 second', worker = NULL,
               -- The attempt's number stays its own: streams tell attempts apart by it.
               handovers = t.handovers + (in_worker IS NOT NULL AND t.state = 'running')::int
         WHERE t.state IN ('accepted', 'running') AND (in_worker IS NULL OR t.worker = in_worker)
        RETURNING 1
    )
    SELECT count(*) FROM freed
$$;

-- Conversations whose time is over, of any tenant, with that time; each is then expired in its own tenant's scope.
-- A tenant whose setting is no number has the default: it must not hold the others up. A suspended one's wait.
CREATE OR REPLACE FUNCTION idle_conversations(default_ttl_s int, most int)
RETURNS TABLE (tenant_id uuid, conversation_id uuid, ttl_s int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH lives AS (
        SELECT b.id,
               CASE WHEN jsonb_typeof(b.settings -> 'session_ttl_s') = 'number'
                    THEN greatest(60, least(2147483647, (b.settings ->> 'session_ttl_s')::numeric))::int
                    ELSE default_ttl_s END AS ttl_s
          FROM tenants AS b
         WHERE b.state = 'active'
    )
    SELECT c.tenant_id, c.id, n.ttl_s
      FROM conversations AS c
      JOIN lives AS n ON n.id = c.tenant_id
     WHERE c.state IN ('created', 'active', 'waiting')
       -- What can't be idle for any tenant is not looked at, however many conversations are open.
       AND c.last_activity < now() - make_interval(secs => (SELECT min(l.ttl_s) FROM lives AS l))
       AND c.last_activity < now() - make_interval(secs => n.ttl_s)
       AND NOT EXISTS (
           SELECT FROM turns AS t
            WHERE t.tenant_id = c.tenant_id AND t.conversation_id = c.id AND t.state IN ('accepted', 'running'))
     ORDER BY c.last_activity
     LIMIT most
$$;

CREATE OR REPLACE FUNCTION expire_conversation(
    in_tenant uuid, in_conversation uuid, in_ttl_s int, in_event uuid, in_payload bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    PERFORM conversation_lock(in_conversation);
    UPDATE conversations AS c
       SET state = 'expired', pending = NULL
     WHERE c.tenant_id = in_tenant AND c.id = in_conversation AND c.state IN ('created', 'active', 'waiting')
       AND c.last_activity < now() - make_interval(secs => in_ttl_s)
       AND NOT EXISTS (  -- whoever waits for an answer is still there
           SELECT FROM turns AS t
            WHERE t.tenant_id = in_tenant AND t.conversation_id = in_conversation
              AND t.state IN ('accepted', 'running'));
    IF FOUND THEN
        INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload)
        VALUES (in_tenant, in_event, 'conversations.state', in_conversation::text, 'conversation.expired',
                in_event::text, in_payload);
    END IF;
    RETURN FOUND;
END $$;

-- Everything that was said is removed; the row stays as the mark that the session was cleared.
CREATE OR REPLACE FUNCTION clear_conversation(
    in_tenant uuid, in_conversation uuid, in_event uuid, in_payload bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    gone uuid[];
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    PERFORM conversation_lock(in_conversation);
    UPDATE conversations AS c
       SET state = 'cleared', pending = NULL, context = NULL, summary = NULL
     WHERE c.tenant_id = in_tenant AND c.id = in_conversation AND c.state <> 'cleared';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Each turn is that of a message, and messages are found by their conversation.
    WITH said AS (
        DELETE FROM messages AS m WHERE m.tenant_id = in_tenant AND m.conversation_id = in_conversation
        RETURNING m.turn_id
    )
    SELECT array_agg(DISTINCT s.turn_id) INTO gone FROM said AS s WHERE s.turn_id IS NOT NULL;
    DELETE FROM steps AS s WHERE s.tenant_id = in_tenant AND s.turn_id = ANY (gone);
    DELETE FROM feedback AS f WHERE f.tenant_id = in_tenant AND f.turn_id = ANY (gone);
    -- Whoever runs one of its turns has lost it: nothing of it may be written any more.
    UPDATE turns AS t
       SET state = CASE WHEN t.state IN ('accepted', 'running') THEN 'failed' ELSE t.state END,
           error_code = CASE WHEN t.state IN ('accepted', 'running') THEN 'CLEARED' ELSE t.error_code END,
           ended_at = coalesce(t.ended_at, now()), worker = NULL, lease_until = NULL, decision = NULL
     WHERE t.tenant_id = in_tenant AND t.id = ANY (gone);
    -- What the log tells of it is removed too: its events keep their place without their content.
    UPDATE outbox AS o
       SET payload = in_payload
      FROM conversations AS c
     WHERE c.tenant_id = in_tenant AND c.id = in_conversation AND o.occurred_at >= c.created_at
       AND o.tenant_id = in_tenant AND o.key = in_conversation::text;
    INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload)
    VALUES (in_tenant, in_event, 'conversations.state', in_conversation::text, 'conversation.cleared', in_event::text,
            in_payload);
    RETURN true;
END $$;

-- Turns of the scope's tenant that will not be answered any more: whoever runs one has lost it.
CREATE OR REPLACE FUNCTION end_turns(in_tenant uuid, in_error text) RETURNS void
LANGUAGE sql VOLATILE AS $$
    UPDATE turns AS t
       SET state = 'failed', error_code = in_error, ended_at = now(), worker = NULL, lease_until = NULL
     WHERE t.tenant_id = in_tenant AND t.state IN ('accepted', 'running')
$$;

REVOKE EXECUTE ON FUNCTION claim_due_turns(uuid, float, int, uuid[]), extend_leases(uuid, uuid[], float), release_turns(uuid),
    idle_conversations(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_due_turns(uuid, float, int, uuid[]), extend_leases(uuid, uuid[], float), release_turns(uuid),
    idle_conversations(int, int) TO frontdesk_app;

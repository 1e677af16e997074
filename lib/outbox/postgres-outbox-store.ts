import type { EntityManager } from 'typeorm';
import { fromKey128 } from '../database/message-id.js';
import type { SqlExecutor, SqlResult, SqlSession } from '../database/sql-session.js';
import type { NewOutboxRow, OutboxRow, WrittenOutboxRow } from './outbox-row.js';
import type {
  BlockedKey,
  FetchRequest,
  IdRange,
  LaneLease,
  LaneReport,
  OutboxStore,
  ParkOrder,
  ParkResult,
  RowId,
  Survey,
  UnparkResult,
} from './outbox-store.js';
import {
  headersText,
  keysText,
  numberOrUndefined,
  roundedOrUndefined,
  textOrUndefined,
} from './row-columns.js';

/** Columns that travel with a row from table to table. */
const PAYLOAD =
  'message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level, deliver_at, connection, sequence, created_at';

/** A row as the relay reads it. */
const READ = `lane, id, message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level,
  extract(epoch FROM deliver_at) * 1000 AS deliver_at, connection, attempts,
  extract(epoch FROM clock_timestamp() - created_at) * 1000 AS age`;

/** PostgreSQL 12 and later. READ COMMITTED throughout; the only clock is `clock_timestamp()`. */
export class PostgresOutboxStore implements OutboxStore {
  private readonly sql: ReturnType<typeof statements>;

  constructor(
    private readonly session: SqlSession,
    private readonly prefix: string,
  ) {
    this.sql = statements(prefix);
  }

  async lanes(tx?: EntityManager): Promise<number> {
    const { rows } = await this.session
      .in(tx)
      .query(`SELECT count(*) AS lanes FROM ${this.prefix}outbox_lane`);
    return Number(rows[0]?.['lanes']);
  }

  async insert(tx: EntityManager, rows: readonly NewOutboxRow[]): Promise<readonly WrittenOutboxRow[]> {
    const session = this.session.in(tx);
    const [only] = rows;
    let result: SqlResult;
    if (only === undefined || rows.length > 1) {
      result = await session.query(this.sql.insertMany, transposed(rows.map(columnsOf)));
    } else if (isPlain(only)) {
      result = await session.query(this.sql.insertPlain, plainColumnsOf(only));
    } else {
      result = await session.query(this.sql.insertOne, columnsOf(only));
    }
    return result.rows.map((row) => ({
      id: Number(row['id']),
      exact: true,
      deliverAt: roundedOrUndefined(row['deliver_at']),
    }));
  }

  async nextSequences(
    tx: EntityManager,
    counts: ReadonlyMap<string, number>,
  ): Promise<ReadonlyMap<string, number>> {
    // Sorted, so that two transactions with the same keys cannot wait for each other.
    const { rows } = await this.session.in(tx).query(
      `INSERT INTO ${this.prefix}outbox_sequence AS s (ordering_key, sequence)
       SELECT k, n FROM unnest($1::text[], $2::bigint[]) AS r (k, n) ORDER BY k
       ON CONFLICT (ordering_key) DO UPDATE SET sequence = s.sequence + EXCLUDED.sequence
       RETURNING ordering_key, sequence`,
      [[...counts.keys()], [...counts.values()]],
    );
    return new Map(rows.map((row) => [String(row['ordering_key']), Number(row['sequence'])]));
  }

  async survey(): Promise<Survey> {
    const { rows } = await this.session.query(
      `SELECT (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM ${this.prefix}outbox_instance
               WHERE expires_at > clock_timestamp()) AS instances,
              (SELECT count(*) FROM ${this.prefix}outbox_lane WHERE expires_at < clock_timestamp()) AS claimable`,
    );
    return {
      instances: (rows[0]?.['instances'] ?? []) as string[],
      claimable: Number(rows[0]?.['claimable'] ?? 0),
    };
  }

  async renew(instance: string, lanes: readonly LaneReport[], leaseMs: number): Promise<readonly number[]> {
    const { rows } = await this.session.query(
      `WITH me AS (
         INSERT INTO ${this.prefix}outbox_instance (id, expires_at)
         VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
         ON CONFLICT (id) DO UPDATE SET expires_at = EXCLUDED.expires_at
       ), gone AS (
         DELETE FROM ${this.prefix}outbox_instance WHERE expires_at < clock_timestamp() - interval '1 hour'
       )
       UPDATE ${this.prefix}outbox_lane l
       SET expires_at = clock_timestamp() + $2 * interval '1 millisecond', pending = r.pending, pending_more = r.more,
           oldest_at = clock_timestamp() - r.age * interval '1 millisecond'
       FROM unnest($3::smallint[], $4::bigint[], $5::integer[], $6::boolean[], $7::float8[]) AS r(lane, epoch, pending, more, age)
       WHERE l.lane = r.lane AND l.epoch = r.epoch AND l.owner = $1
       RETURNING l.lane`,
      [
        instance,
        leaseMs,
        lanes.map(({ lane }) => lane),
        lanes.map(({ epoch }) => epoch),
        lanes.map(({ pending }) => pending),
        lanes.map(({ more }) => more),
        lanes.map(({ oldestAgeMs }) => oldestAgeMs ?? null),
      ],
    );
    return rows.map((row) => Number(row['lane']));
  }

  async acquire(instance: string, max: number, leaseMs: number): Promise<readonly LaneLease[]> {
    const { rows } = await this.session.query(
      `UPDATE ${this.prefix}outbox_lane
       SET owner = $1, epoch = epoch + 1, expires_at = clock_timestamp() + $2 * interval '1 millisecond'
       WHERE lane IN (
         SELECT lane FROM ${this.prefix}outbox_lane WHERE expires_at < clock_timestamp()
         ORDER BY expires_at, lane LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING lane, epoch`,
      [instance, leaseMs, max],
    );
    return rows.map((row) => ({ lane: Number(row['lane']), epoch: Number(row['epoch']) }));
  }

  async release(instance: string, lanes: readonly LaneLease[]): Promise<void> {
    await this.session.query(
      `UPDATE ${this.prefix}outbox_lane l SET owner = NULL, expires_at = clock_timestamp()
       FROM unnest($2::smallint[], $3::bigint[]) AS r(lane, epoch)
       WHERE l.lane = r.lane AND l.epoch = r.epoch AND l.owner = $1`,
      [instance, lanes.map(({ lane }) => lane), lanes.map(({ epoch }) => epoch)],
    );
  }

  async leave(instance: string): Promise<void> {
    await this.session.query(`DELETE FROM ${this.prefix}outbox_instance WHERE id = $1`, [instance]);
  }

  async fetch(
    requests: readonly FetchRequest[],
    limit: number,
    bytes: number,
  ): Promise<readonly OutboxRow[]> {
    const { rows } = await this.session.query(this.sql.fetch, [
      requests.map(({ lane }) => lane),
      requests.map(({ after }) => after),
      limit,
      bytes,
    ]);
    return rows.map(toOutboxRow);
  }

  async overtaken(
    ranges: readonly IdRange[],
    orderingKeys: readonly string[],
    known: readonly number[],
  ): Promise<readonly number[]> {
    const { rows } = await this.session.query(
      `SELECT want.lane FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS want (lane, after, upto)
       WHERE EXISTS (
         SELECT 1 FROM ${this.prefix}outbox o WHERE o.lane = want.lane AND o.id > want.after AND o.id <= want.upto
           AND o.ordering_key = ANY ($4::text[]) AND o.id <> ALL ($5::bigint[]))`,
      [
        ranges.map(({ lane }) => lane),
        ranges.map(({ after }) => after),
        ranges.map(({ upto }) => upto),
        orderingKeys,
        known,
      ],
    );
    return rows.map((row) => Number(row['lane']));
  }

  async settle(rows: readonly RowId[], history: boolean): Promise<number> {
    const { affected, rows: returned } = await this.session.query(
      history ? this.sql.settleKeeping : this.sql.settle,
      [rows.map(({ lane }) => lane), rows.map(({ id }) => id)],
    );
    return history ? Number(returned[0]?.['settled'] ?? 0) : affected;
  }

  park(lease: LaneLease, orders: readonly ParkOrder[], behindDead: 'block' | 'skip'): Promise<ParkResult> {
    const { lane } = lease;
    return this.session.transaction(async (tx) => {
      if (!(await this.fence(tx, lease))) return { held: false, free: [] };
      const first = orders.filter(({ state }) => state !== 'behind');
      const behind = orders.filter(({ state }) => state === 'behind');
      let dead = 0;
      let waiting = 0;
      if (first.length > 0) {
        const { rows } = await tx.query(this.sql.park, parkParameters(lane, first));
        dead = rows.filter((row) => row['state'] === 'dead').length;
        waiting = rows.length - dead;
        await tx.query(this.sql.demote, [lane, rows.map((row) => Number(row['id']))]);
      }
      let free: readonly number[] = [];
      if (behind.length > 0) {
        const { rows } = await tx.query(this.sql.parkBehind, [
          ...parkParameters(lane, behind),
          behindDead === 'block',
        ]);
        waiting += rows.length;
        const left = await tx.query(this.sql.stillThere, [lane, behind.map(({ id }) => id)]);
        free = left.rows.map((row) => Number(row['id']));
      }
      if (dead > 0 && behindDead === 'skip') {
        await tx.query(this.sql.promote, [lane, first.map(({ id }) => id)]);
      }
      await this.count(tx, lane, waiting, dead);
      return { held: true, free };
    });
  }

  async blockedKeys(lanes: readonly number[], behindDead: 'block' | 'skip'): Promise<readonly BlockedKey[]> {
    const { rows } = await this.session.query(
      `SELECT DISTINCT lane, ordering_key FROM ${this.prefix}outbox_parked
       WHERE lane = ANY ($1::smallint[]) AND ordering_key IS NOT NULL AND (state <> 'dead' OR $2)`,
      [lanes, behindDead === 'block'],
    );
    return rows.map((row) => ({ lane: Number(row['lane']), orderingKey: String(row['ordering_key']) }));
  }

  async dueLanes(lanes: readonly number[]): Promise<readonly number[]> {
    const { rows } = await this.session.query(
      `SELECT DISTINCT lane FROM ${this.prefix}outbox_parked
       WHERE state = 'retry' AND due_at <= clock_timestamp() AND lane = ANY ($1::smallint[])`,
      [lanes],
    );
    return rows.map((row) => Number(row['lane']));
  }

  unpark(lease: LaneLease, limit: number): Promise<UnparkResult> {
    const { lane } = lease;
    return this.session.transaction(async (tx) => {
      if (!(await this.fence(tx, lease))) return { held: false, rows: [], stillBlocked: [] };
      const { rows } = await tx.query(this.sql.unpark, [lane, limit]);
      const keys = [...new Set(rows.map((row) => textOrUndefined(row['ordering_key'])))].filter(
        (key) => key !== undefined,
      );
      // What did not fit comes next, and stays in front of later rows until then.
      const promoted = await tx.query(this.sql.promoteKeys, [lane, keys]);
      await this.count(tx, lane, -rows.length, 0);
      return {
        held: true,
        rows: rows.map(toOutboxRow).sort((a, b) => a.id - b.id),
        stillBlocked: promoted.rows.map((row) => String(row['ordering_key'])),
      };
    });
  }

  async sweepHistory(retentionMs: number, limit: number): Promise<number> {
    const { affected } = await this.session.query(
      `DELETE FROM ${this.prefix}outbox_sent WHERE id IN (
         SELECT id FROM ${this.prefix}outbox_sent
         WHERE sent_at < clock_timestamp() - $1 * interval '1 millisecond' ORDER BY sent_at LIMIT $2)`,
      [retentionMs, limit],
    );
    return affected;
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** Locks the lane for the rest of the transaction, if it is still held in that epoch. */
  private async fence(tx: SqlExecutor, { lane, epoch }: LaneLease): Promise<boolean> {
    const { rows } = await tx.query(
      `SELECT 1 FROM ${this.prefix}outbox_lane WHERE lane = $1 AND epoch = $2 FOR UPDATE`,
      [lane, epoch],
    );
    return rows.length === 1;
  }

  private async count(tx: SqlExecutor, lane: number, retrying: number, dead: number): Promise<void> {
    if (retrying === 0 && dead === 0) return;
    await tx.query(
      `UPDATE ${this.prefix}outbox_lane SET retrying = greatest(retrying + $2, 0), dead = greatest(dead + $3, 0) WHERE lane = $1`,
      [lane, retrying, dead],
    );
  }
}

/** Statements that run per message or per batch, put together once. */
function statements(prefix: string) {
  const insert = (source: string, place: boolean): string => `INSERT INTO ${prefix}outbox
      (lane, message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level, deliver_at, connection, sequence)
    SELECT lane, message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level,
           CASE WHEN deliver_at IS NOT NULL THEN to_timestamp(deliver_at / 1000)
                WHEN delay_ms IS NOT NULL THEN clock_timestamp() + delay_ms * interval '1 millisecond' END,
           connection, sequence
    FROM ${source} AS r (lane, message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level,
                         delay_ms, deliver_at, connection, sequence${place ? ', place' : ''})
    ${place ? 'ORDER BY place' : ''} RETURNING id, extract(epoch FROM deliver_at) * 1000 AS deliver_at`;

  const settle = `DELETE FROM ${prefix}outbox o
    USING unnest($1::smallint[], $2::bigint[]) AS s (lane, id) WHERE o.lane = s.lane AND o.id = s.id`;

  const park = (condition: string): string => `WITH moved AS (
      DELETE FROM ${prefix}outbox o
      USING unnest($2::bigint[], $3::text[], $4::float8[], $5::smallint[], $6::text[]) AS p (id, state, delay_ms, tried, error)
      WHERE o.lane = $1 AND o.id = p.id ${condition}
      RETURNING o.id, o.lane, p.state, p.delay_ms, p.error, p.tried, ${PAYLOAD.replaceAll(/(\w+)/g, 'o.$1')})
    INSERT INTO ${prefix}outbox_parked (id, lane, state, due_at, error, attempts, ${PAYLOAD})
    SELECT id, lane, state, clock_timestamp() + delay_ms * interval '1 millisecond', error, tried, ${PAYLOAD} FROM moved
    RETURNING id, state, ordering_key`;

  const promote = (
    keys: string,
  ): string => `UPDATE ${prefix}outbox_parked p SET state = 'retry', due_at = clock_timestamp()
    FROM (SELECT min(id) AS id FROM ${prefix}outbox_parked
          WHERE lane = $1 AND state = 'behind' AND ordering_key IN (${keys}) GROUP BY ordering_key) next
    WHERE p.id = next.id RETURNING p.ordering_key`;

  return {
    // What nearly every message is: little to parse, plan and answer, for database and driver.
    insertPlain: `INSERT INTO ${prefix}outbox (lane, message_id, topic, tag, ordering_key, message_keys, headers, body)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
    insertOne: insert(
      `(SELECT $1::smallint, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::text, $8::bytea, $9::smallint,
               $10::float8, $11::float8, $12::text, $13::bigint)`,
      false,
    ),
    insertMany: insert(
      `unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
              $9::smallint[], $10::float8[], $11::float8[], $12::text[], $13::bigint[]) WITH ORDINALITY`,
      true,
    ),
    // Per lane an ordered walk over the primary key, cut where the bodies reach the budget; at least one row.
    fetch: `SELECT f.* FROM unnest($1::smallint[], $2::bigint[]) AS want (lane, after)
      CROSS JOIN LATERAL (
        SELECT r.*, sum(octet_length(r.body)) OVER (ORDER BY r.id) - octet_length(r.body) AS before
        FROM (
          SELECT ${READ} FROM ${prefix}outbox WHERE lane = want.lane AND id > want.after ORDER BY id LIMIT $3
        ) r
      ) f WHERE f.before < $4`,
    settle,
    settleKeeping: `WITH gone AS (
        ${settle} RETURNING o.id, o.lane, o.message_id, o.topic, o.tag, o.ordering_key, o.message_keys, o.created_at
      ), kept AS (
        INSERT INTO ${prefix}outbox_sent (id, lane, message_id, topic, tag, ordering_key, message_keys, created_at)
        SELECT * FROM gone ON CONFLICT (id) DO NOTHING
      ) SELECT count(*) AS settled FROM gone`,
    park: park(''),
    /** Only the first parked row of a key is due by itself. */
    demote: `UPDATE ${prefix}outbox_parked later SET state = 'behind', due_at = NULL
      FROM ${prefix}outbox_parked first
      WHERE first.lane = $1 AND first.id = ANY ($2::bigint[]) AND later.lane = $1
        AND later.ordering_key = first.ordering_key AND later.id > first.id AND later.state = 'retry'`,
    stillThere: `SELECT id FROM ${prefix}outbox WHERE lane = $1 AND id = ANY ($2::bigint[])`,
    promote: promote(
      `SELECT ordering_key FROM ${prefix}outbox_parked WHERE lane = $1 AND id = ANY ($2::bigint[]) AND state = 'dead'`,
    ),
    promoteKeys: promote('SELECT unnest($2::text[])'),
    unpark: `WITH due AS (
        SELECT id, ordering_key FROM ${prefix}outbox_parked
        WHERE lane = $1 AND state = 'retry' AND due_at <= clock_timestamp() ORDER BY due_at LIMIT $2
      ), chosen AS (
        SELECT id FROM due
        UNION
        (SELECT behind.id FROM due JOIN ${prefix}outbox_parked behind
           ON behind.lane = $1 AND behind.ordering_key = due.ordering_key AND behind.state = 'behind' AND behind.id > due.id
         ORDER BY behind.id LIMIT $2)
      ), back AS (
        DELETE FROM ${prefix}outbox_parked WHERE id IN (SELECT id FROM chosen) RETURNING id, lane, attempts, ${PAYLOAD}
      )
      INSERT INTO ${prefix}outbox (id, lane, attempts, ${PAYLOAD}) SELECT id, lane, attempts, ${PAYLOAD} FROM back
      RETURNING ${READ}`,
    parkBehind: park(`AND EXISTS (SELECT 1 FROM ${prefix}outbox_parked b
      WHERE b.lane = o.lane AND b.ordering_key = o.ordering_key AND b.id < o.id
        AND (b.state = 'retry' OR (b.state = 'dead' AND $7)))`),
  };
}

/** Whether only the columns of {@link plainColumnsOf} have something to say. */
function isPlain(row: NewOutboxRow): boolean {
  return (
    row.delayLevel === undefined &&
    row.delayMs === undefined &&
    row.deliverAt === undefined &&
    row.connection === undefined &&
    row.sequence === undefined
  );
}

function plainColumnsOf(row: NewOutboxRow): unknown[] {
  return [
    row.lane,
    row.messageId,
    row.topic,
    row.tag ?? null,
    row.orderingKey ?? null,
    keysText(row.keys),
    headersText(row.headers),
    row.body,
  ];
}

function columnsOf(row: NewOutboxRow): unknown[] {
  return [
    ...plainColumnsOf(row),
    row.delayLevel ?? null,
    row.delayMs ?? null,
    row.deliverAt ?? null,
    row.connection ?? null,
    row.sequence ?? null,
  ];
}

function transposed(rows: readonly unknown[][]): unknown[][] {
  return Array.from({ length: 13 }, (_, column) => rows.map((row) => row[column]));
}

function parkParameters(lane: number, orders: readonly ParkOrder[]): unknown[] {
  return [
    lane,
    orders.map(({ id }) => id),
    orders.map(({ state }) => state),
    orders.map(({ delayMs }) => delayMs ?? null),
    orders.map(({ attempts }) => attempts),
    orders.map(({ error }) => error ?? null),
  ];
}

function toOutboxRow(row: Readonly<Record<string, unknown>>): OutboxRow {
  return {
    lane: Number(row['lane']),
    id: Number(row['id']),
    messageId: fromKey128(row['message_id']),
    topic: row['topic'] as string,
    tag: textOrUndefined(row['tag']),
    orderingKey: textOrUndefined(row['ordering_key']),
    keys: textOrUndefined(row['message_keys'])?.split(' '),
    headers:
      row['headers'] === null ? undefined : (JSON.parse(row['headers'] as string) as Record<string, string>),
    body: row['body'] as Buffer,
    delayLevel: numberOrUndefined(row['delay_level']),
    deliverAt: roundedOrUndefined(row['deliver_at']),
    connection: textOrUndefined(row['connection']),
    attempts: Number(row['attempts']),
    ageMs: Math.max(0, Number(row['age'])),
  };
}

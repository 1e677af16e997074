import type { EntityManager } from 'typeorm';
import { fromKey128, toKey128 } from '../database/message-id.js';
import type { SqlExecutor, SqlSession } from '../database/sql-session.js';
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

const NOW = 'UTC_TIMESTAMP(6)';
/** Times as numbers, whatever the session's time zone is. */
const EPOCH_MS = (column: string): string => `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) / 1000`;
const IN_MS = (ms: string): string => `${NOW} + INTERVAL (${ms} * 1000) MICROSECOND`;

/** A row as the relay reads it. */
const READ = `o.lane, o.id, o.message_id, o.topic, o.tag, o.ordering_key, o.message_keys, o.headers, o.body, o.delay_level,
  ${EPOCH_MS('o.deliver_at')} AS deliver_at, o.connection, o.attempts,
  TIMESTAMPDIFF(MICROSECOND, o.created_at, ${NOW}) / 1000 AS age`;

/** Bodies travel as hex; a statement must stay below the smallest usual max_allowed_packet (16 MiB). */
const MAX_INSERT_BYTES = 6 * 1024 * 1024;

/**
 * MySQL 8 and MariaDB 10.6 or later, in their common language: no RETURNING, no LATERAL, no arrays. READ COMMITTED,
 * since under REPEATABLE READ a scan would lock gaps that business transactions insert into.
 */
export class MysqlOutboxStore implements OutboxStore {
  constructor(
    private readonly session: SqlSession,
    private readonly prefix: string,
  ) {}

  async lanes(tx?: EntityManager): Promise<number> {
    const { rows } = await this.session
      .in(tx)
      .query(`SELECT count(*) AS lanes FROM ${this.prefix}outbox_lane`);
    return Number(rows[0]?.['lanes']);
  }

  async insert(tx: EntityManager, rows: readonly NewOutboxRow[]): Promise<readonly WrittenOutboxRow[]> {
    const written: WrittenOutboxRow[] = [];
    for (const chunk of chunks(rows)) {
      const { insertId } = await this.session.in(tx).query(
        `INSERT INTO ${this.prefix}outbox (lane, message_id, topic, tag, ordering_key, message_keys, headers, body,
           delay_level, deliver_at, connection, sequence, created_at)
         VALUES ${chunk.map(() => INSERT_ROW).join(', ')}`,
        chunk.flatMap(columnsOf),
      );
      // The server names the first id only.
      for (const { deliverAt, delayMs } of chunk) {
        written.push({ id: insertId ?? 0, deliverAt, exact: chunk.length === 1 && delayMs === undefined });
      }
    }
    return written;
  }

  async nextSequences(
    tx: EntityManager,
    counts: ReadonlyMap<string, number>,
  ): Promise<ReadonlyMap<string, number>> {
    // Sorted, so that two transactions with the same keys cannot wait for each other.
    const entries = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const { session, prefix } = this;
    await session.in(tx).query(
      `INSERT INTO ${prefix}outbox_sequence (ordering_key, sequence) VALUES ${entries.map(() => '(?, ?)').join(', ')}
       ON DUPLICATE KEY UPDATE sequence = sequence + VALUES(sequence)`,
      entries.flat(),
    );
    const { rows } = await session
      .in(tx)
      .query(
        `SELECT ordering_key, sequence FROM ${prefix}outbox_sequence WHERE ordering_key IN (?) FOR UPDATE`,
        [entries.map(([key]) => key)],
      );
    return new Map(rows.map((row) => [row['ordering_key'] as string, Number(row['sequence'])]));
  }

  async survey(): Promise<Survey> {
    const { rows } = await this.session.query(
      `SELECT id, NULL AS claimable FROM ${this.prefix}outbox_instance WHERE expires_at > ${NOW}
       UNION ALL
       SELECT NULL, count(*) FROM ${this.prefix}outbox_lane WHERE expires_at < ${NOW}`,
    );
    const instances = rows.map((row) => textOrUndefined(row['id'])).filter((id) => id !== undefined);
    const claimable = rows
      .map((row) => numberOrUndefined(row['claimable']))
      .find((count) => count !== undefined);
    return { instances: instances.sort(), claimable: claimable ?? 0 };
  }

  async renew(instance: string, lanes: readonly LaneReport[], leaseMs: number): Promise<readonly number[]> {
    await this.session.query(
      `INSERT INTO ${this.prefix}outbox_instance (id, joined_at, expires_at) VALUES (?, ${NOW}, ${IN_MS('?')})
       ON DUPLICATE KEY UPDATE expires_at = VALUES(expires_at)`,
      [instance, leaseMs],
    );
    await this.session.query(
      `DELETE FROM ${this.prefix}outbox_instance WHERE expires_at < ${NOW} - INTERVAL 1 HOUR`,
    );
    if (lanes.length === 0) return [];
    // Joined in this order, only this instance's rows are looked at, and locked.
    await this.session.query(
      `UPDATE ${derived(lanes.length, ['lane', 'epoch', 'pending', 'more', 'age'])} r
       STRAIGHT_JOIN ${this.prefix}outbox_lane l ON l.lane = r.lane
       SET l.expires_at = ${IN_MS('?')}, l.pending = r.pending, l.pending_more = r.more,
           l.oldest_at = ${NOW} - INTERVAL (r.age * 1000) MICROSECOND
       WHERE l.epoch = r.epoch AND l.owner = ?`,
      [
        ...lanes.flatMap(({ lane, epoch, pending, more, oldestAgeMs }) => [
          lane,
          epoch,
          pending,
          more,
          oldestAgeMs ?? null,
        ]),
        leaseMs,
        instance,
      ],
    );
    const { rows } = await this.session.query(
      `SELECT lane FROM ${this.prefix}outbox_lane WHERE owner = ? AND (lane, epoch) IN (?)`,
      [instance, lanes.map(({ lane, epoch }) => [lane, epoch])],
    );
    return rows.map((row) => Number(row['lane']));
  }

  acquire(instance: string, max: number, leaseMs: number): Promise<readonly LaneLease[]> {
    return this.session.transaction(async (tx) => {
      const { rows } = await tx.query(
        `SELECT lane, epoch FROM ${this.prefix}outbox_lane WHERE expires_at < ${NOW} ORDER BY lane LIMIT ?
         FOR UPDATE SKIP LOCKED`,
        [max],
      );
      if (rows.length === 0) return [];
      await tx.query(
        `UPDATE ${this.prefix}outbox_lane SET owner = ?, epoch = epoch + 1, expires_at = ${IN_MS('?')} WHERE lane IN (?)`,
        [instance, leaseMs, rows.map((row) => row['lane'])],
      );
      return rows.map((row) => ({ lane: Number(row['lane']), epoch: Number(row['epoch']) + 1 }));
    });
  }

  async release(instance: string, lanes: readonly LaneLease[]): Promise<void> {
    if (lanes.length === 0) return;
    await this.session.query(
      `UPDATE ${this.prefix}outbox_lane SET owner = NULL, expires_at = ${NOW} WHERE owner = ? AND (lane, epoch) IN (?)`,
      [instance, lanes.map(({ lane, epoch }) => [lane, epoch])],
    );
  }

  async leave(instance: string): Promise<void> {
    await this.session.query(`DELETE FROM ${this.prefix}outbox_instance WHERE id = ?`, [instance]);
  }

  async fetch(
    requests: readonly FetchRequest[],
    limit: number,
    bytes: number,
  ): Promise<readonly OutboxRow[]> {
    if (requests.length === 0) return [];
    // Per lane an ordered walk over its index, cut where the bodies reach the budget; at least one row.
    const one = `SELECT ${READ} FROM (
        SELECT s.id FROM (
          SELECT w.id, SUM(w.size) OVER (ORDER BY w.id) - w.size AS ahead FROM (
            SELECT id, LENGTH(body) AS size FROM ${this.prefix}outbox FORCE INDEX (by_lane)
            WHERE lane = ? AND id > ? ORDER BY id LIMIT ?
          ) w
        ) s WHERE s.ahead < ?
      ) chosen STRAIGHT_JOIN ${this.prefix}outbox o ON o.id = chosen.id`;
    const { rows } = await this.session.query(
      requests.map(() => `(${one})`).join(' UNION ALL '),
      requests.flatMap(({ lane, after }) => [lane, after, limit, bytes]),
    );
    return rows.map(toOutboxRow).sort((a, b) => a.id - b.id);
  }

  async overtaken(
    ranges: readonly IdRange[],
    orderingKeys: readonly string[],
    known: readonly number[],
  ): Promise<readonly number[]> {
    if (ranges.length === 0 || orderingKeys.length === 0) return [];
    const one = `SELECT ? AS lane FROM DUAL WHERE EXISTS (
        SELECT 1 FROM ${this.prefix}outbox FORCE INDEX (by_lane)
        WHERE lane = ? AND id > ? AND id <= ? AND ordering_key IN (?) AND id NOT IN (?))`;
    const { rows } = await this.session.query(
      ranges.map(() => `(${one})`).join(' UNION ALL '),
      // A list must not be empty; no row has the id 0.
      ranges.flatMap(({ lane, after, upto }) => [lane, lane, after, upto, orderingKeys, [0, ...known]]),
    );
    return rows.map((row) => Number(row['lane']));
  }

  async settle(rows: readonly RowId[], history: boolean): Promise<number> {
    const ids = rows.map(({ id }) => id).sort((a, b) => a - b);
    const remove = deleteByIds(`${this.prefix}outbox`, ids.length);
    if (!history) return (await this.session.query(remove, ids)).affected;
    return this.session.transaction(async (tx) => {
      await tx.query(
        `INSERT IGNORE INTO ${this.prefix}outbox_sent
           (id, lane, message_id, topic, tag, ordering_key, message_keys, created_at, sent_at)
         SELECT id, lane, message_id, topic, tag, ordering_key, message_keys, created_at, ${NOW}
         FROM ${this.prefix}outbox WHERE id IN (?)`,
        [ids],
      );
      return (await tx.query(remove, ids)).affected;
    });
  }

  park(lease: LaneLease, orders: readonly ParkOrder[], behindDead: 'block' | 'skip'): Promise<ParkResult> {
    const { lane } = lease;
    return this.session.transaction(async (tx) => {
      if (!(await this.fence(tx, lease))) return { held: false, free: [] };
      const first = await this.move(
        tx,
        lane,
        orders.filter(({ state }) => state !== 'behind'),
        '',
      );
      const keys = await this.keysOf(tx, first);
      for (const [key, id] of keys) {
        await tx.query(
          `UPDATE ${this.prefix}outbox_parked SET state = 'behind', due_at = NULL
           WHERE lane = ? AND ordering_key = ? AND state = 'retry' AND id > ?`,
          [lane, key, id],
        );
      }
      const behind = orders.filter(({ state }) => state === 'behind');
      const followers = await this.move(
        tx,
        lane,
        behind,
        `AND EXISTS (SELECT 1 FROM ${this.prefix}outbox_parked b
           WHERE b.lane = o.lane AND b.ordering_key = o.ordering_key AND b.id < o.id
             AND b.state IN (${behindDead === 'block' ? "'retry', 'dead'" : "'retry'"}))`,
      );
      const left =
        behind.length === 0
          ? []
          : (
              await tx.query(`SELECT id FROM ${this.prefix}outbox WHERE lane = ? AND id IN (?)`, [
                lane,
                behind.map(({ id }) => id),
              ])
            ).rows;
      const dead = first.filter(({ state }) => state === 'dead');
      if (dead.length > 0 && behindDead === 'skip') {
        for (const key of (await this.keysOf(tx, dead)).keys()) await this.promote(tx, lane, key);
      }
      await this.count(tx, lane, first.length + followers.length - dead.length, dead.length);
      return { held: true, free: left.map((row) => Number(row['id'])) };
    });
  }

  async blockedKeys(lanes: readonly number[], behindDead: 'block' | 'skip'): Promise<readonly BlockedKey[]> {
    if (lanes.length === 0) return [];
    const { rows } = await this.session.query(
      `SELECT DISTINCT lane, ordering_key FROM ${this.prefix}outbox_parked
       WHERE lane IN (?) AND ordering_key IS NOT NULL ${behindDead === 'block' ? '' : "AND state <> 'dead'"}`,
      [lanes],
    );
    return rows.map((row) => ({ lane: Number(row['lane']), orderingKey: row['ordering_key'] as string }));
  }

  async dueLanes(lanes: readonly number[]): Promise<readonly number[]> {
    if (lanes.length === 0) return [];
    const { rows } = await this.session.query(
      `SELECT DISTINCT lane FROM ${this.prefix}outbox_parked
       WHERE state = 'retry' AND due_at <= ${NOW} AND lane IN (?)`,
      [lanes],
    );
    return rows.map((row) => Number(row['lane']));
  }

  unpark(lease: LaneLease, limit: number): Promise<UnparkResult> {
    const { lane } = lease;
    const parked = `${this.prefix}outbox_parked`;
    return this.session.transaction(async (tx) => {
      if (!(await this.fence(tx, lease))) return { held: false, rows: [], stillBlocked: [] };
      const due = await tx.query(
        `SELECT id, ordering_key FROM ${parked}
         WHERE lane = ? AND state = 'retry' AND due_at <= ${NOW} ORDER BY due_at LIMIT ?`,
        [lane, limit],
      );
      const keys = [...new Set(due.rows.map((row) => textOrUndefined(row['ordering_key'])))].filter(
        (key) => key !== undefined,
      );
      const behind =
        keys.length === 0
          ? []
          : (
              await tx.query(
                `SELECT id FROM ${parked} WHERE lane = ? AND ordering_key IN (?) AND state = 'behind' ORDER BY id LIMIT ?`,
                [lane, keys, limit],
              )
            ).rows;
      const ids = [...due.rows, ...behind].map((row) => Number(row['id']));
      if (ids.length === 0) return { held: true, rows: [], stillBlocked: [] };
      await tx.query(
        `INSERT INTO ${this.prefix}outbox (id, lane, attempts, ${PAYLOAD})
         SELECT id, lane, attempts, ${PAYLOAD} FROM ${parked} WHERE id IN (?)`,
        [ids],
      );
      await tx.query(deleteByIds(parked, ids.length), ids);
      const stillBlocked: string[] = [];
      for (const key of keys) if (await this.promote(tx, lane, key)) stillBlocked.push(key);
      await this.count(tx, lane, -ids.length, 0);
      const { rows } = await tx.query(
        `SELECT ${READ} FROM ${this.prefix}outbox o WHERE o.id IN (?) ORDER BY o.id`,
        [ids],
      );
      return { held: true, rows: rows.map(toOutboxRow), stillBlocked };
    });
  }

  async sweepHistory(retentionMs: number, limit: number): Promise<number> {
    const { affected } = await this.session.query(
      `DELETE FROM ${this.prefix}outbox_sent WHERE sent_at < ${NOW} - INTERVAL (? * 1000) MICROSECOND
       ORDER BY sent_at LIMIT ?`,
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
      `SELECT 1 FROM ${this.prefix}outbox_lane WHERE lane = ? AND epoch = ? FOR UPDATE`,
      [lane, epoch],
    );
    return rows.length === 1;
  }

  private async count(tx: SqlExecutor, lane: number, retrying: number, dead: number): Promise<void> {
    if (retrying === 0 && dead === 0) return;
    await tx.query(
      `UPDATE ${this.prefix}outbox_lane SET retrying = GREATEST(retrying + ?, 0), dead = GREATEST(dead + ?, 0) WHERE lane = ?`,
      [retrying, dead, lane],
    );
  }

  /** From the outbox to the parked rows; resolves with those that were there and fulfil the condition. */
  private async move(
    tx: SqlExecutor,
    lane: number,
    orders: readonly ParkOrder[],
    condition: string,
  ): Promise<readonly ParkOrder[]> {
    if (orders.length === 0) return [];
    const ids = orders.map(({ id }) => id);
    const here = await tx.query(
      `SELECT o.id FROM ${this.prefix}outbox o WHERE o.lane = ? AND o.id IN (?) ${condition}`,
      [lane, ids],
    );
    const found = new Set(here.rows.map((row) => Number(row['id'])));
    const moving = orders.filter(({ id }) => found.has(id));
    if (moving.length === 0) return [];
    await tx.query(
      `INSERT INTO ${this.prefix}outbox_parked (id, lane, state, due_at, error, parked_at, attempts, ${PAYLOAD})
       SELECT o.id, o.lane, p.state, ${IN_MS('p.delay_ms')}, p.error, ${NOW}, p.tried, ${PAYLOAD.replaceAll(/(\w+)/g, 'o.$1')}
       FROM ${derived(moving.length, ['id', 'state', 'delay_ms', 'tried', 'error'])} p
       STRAIGHT_JOIN ${this.prefix}outbox o ON o.id = p.id`,
      moving.flatMap(({ id, state, delayMs, attempts, error }) => [
        id,
        state,
        delayMs ?? null,
        attempts,
        error ?? null,
      ]),
    );
    await tx.query(
      deleteByIds(`${this.prefix}outbox`, moving.length),
      moving.map(({ id }) => id),
    );
    return moving;
  }

  /** Ordering keys of parked rows, each with the lowest id among these. */
  private async keysOf(tx: SqlExecutor, orders: readonly ParkOrder[]): Promise<ReadonlyMap<string, number>> {
    if (orders.length === 0) return new Map();
    const { rows } = await tx.query(
      `SELECT ordering_key, MIN(id) AS id FROM ${this.prefix}outbox_parked
       WHERE id IN (?) AND ordering_key IS NOT NULL GROUP BY ordering_key`,
      [orders.map(({ id }) => id)],
    );
    return new Map(rows.map((row) => [row['ordering_key'] as string, Number(row['id'])]));
  }

  /** What is behind comes next. False: nothing is. */
  private async promote(tx: SqlExecutor, lane: number, key: string): Promise<boolean> {
    const { affected } = await tx.query(
      `UPDATE ${this.prefix}outbox_parked SET state = 'retry', due_at = ${NOW}
       WHERE lane = ? AND ordering_key = ? AND state = 'behind' ORDER BY id LIMIT 1`,
      [lane, key],
    );
    return affected > 0;
  }
}

const INSERT_ROW = `(?, ?, ?, ?, ?, ?, ?, ?, ?, COALESCE(${IN_MS('?')}, TIMESTAMPADD(MICROSECOND, ? * 1000, '1970-01-01')), ?, ?, ${NOW})`;

function columnsOf(row: NewOutboxRow): unknown[] {
  return [
    row.lane,
    Buffer.from(toKey128(row.messageId), 'hex'),
    row.topic,
    row.tag ?? null,
    row.orderingKey ?? null,
    keysText(row.keys),
    headersText(row.headers),
    row.body,
    row.delayLevel ?? null,
    row.delayMs ?? null,
    row.deliverAt ?? null,
    row.connection ?? null,
    row.sequence ?? null,
  ];
}

/** A table of parameters: one SELECT per row, the first names the columns. */
function derived(rows: number, columns: readonly string[]): string {
  const first = `SELECT ${columns.map((column) => `? AS ${column}`).join(', ')}`;
  const rest = ` UNION ALL SELECT ${columns.map(() => '?').join(', ')}`;
  return `(${first}${rest.repeat(rows - 1)})`;
}

/**
 * One look-up of the primary key per id. `WHERE id IN (…)` may become a scan, which would wait for rows that
 * business transactions have not committed yet.
 */
function deleteByIds(table: string, count: number): string {
  return `DELETE t FROM ${derived(count, ['id'])} r STRAIGHT_JOIN ${table} t ON t.id = r.id`;
}

function chunks(rows: readonly NewOutboxRow[]): NewOutboxRow[][] {
  const result: NewOutboxRow[][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    bytes += row.body.length + 512;
    if (bytes > MAX_INSERT_BYTES) {
      result.push([]);
      bytes = row.body.length;
    }
    result[result.length - 1]?.push(row);
  }
  return result;
}

function toOutboxRow(row: Readonly<Record<string, unknown>>): OutboxRow {
  const headers = textOrUndefined(row['headers']);
  return {
    lane: Number(row['lane']),
    id: Number(row['id']),
    messageId: fromKey128(row['message_id']),
    topic: row['topic'] as string,
    tag: textOrUndefined(row['tag']),
    orderingKey: textOrUndefined(row['ordering_key']),
    keys: textOrUndefined(row['message_keys'])?.split(' '),
    headers: headers === undefined ? undefined : (JSON.parse(headers) as Record<string, string>),
    body: row['body'] as Buffer,
    delayLevel: numberOrUndefined(row['delay_level']),
    deliverAt: roundedOrUndefined(row['deliver_at']),
    connection: textOrUndefined(row['connection']),
    attempts: Number(row['attempts']),
    ageMs: Math.max(0, Number(row['age'])),
  };
}

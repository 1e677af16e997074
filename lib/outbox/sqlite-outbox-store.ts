import type { DataSource, EntityManager } from 'typeorm';
import { fromKey128 } from '../database/message-id.js';
import { pooled, within } from '../database/pooled.js';
import { sqliteGate, type SqliteGate, type SqliteTransaction } from '../database/sqlite-gate.js';
import type { NewOutboxRow, OutboxRow, WrittenOutboxRow } from './outbox-row.js';
import type {
  BlockedKey,
  FetchRequest,
  LaneLease,
  LaneReport,
  OutboxStore,
  ParkOrder,
  ParkResult,
  RowId,
  Survey,
  UnparkResult,
} from './outbox-store.js';
import { headersText, keysText, numberOrUndefined, textOrUndefined } from './row-columns.js';

/** Columns that travel with a row from table to table. */
const PAYLOAD =
  'message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level, deliver_at, connection, sequence, created_at';
const NOW = `CAST(unixepoch('subsec') * 1000 AS integer)`;
/** A list of numbers or texts, as JSON. */
const LIST = '(SELECT value FROM json_each(?))';
/** A row as the relay reads it. */
const READ = `lane, id, message_id, topic, tag, ordering_key, message_keys, headers, body, delay_level, deliver_at,
  connection, attempts, ${NOW} - created_at AS age`;
/** Bound to SQLite's limit of parameters in a statement. */
const ROWS_PER_INSERT = 500;

/**
 * SQLite 3.41 or later, one process. The relay shares the application's one connection: each of its steps runs
 * synchronously between two transactions, so that it neither sees what is not committed nor is rolled back with it.
 */
export class SqliteOutboxStore implements OutboxStore {
  private readonly gate: SqliteGate;

  constructor(
    private readonly dataSource: DataSource,
    private readonly prefix: string,
  ) {
    this.gate = sqliteGate(dataSource);
  }

  async lanes(tx?: EntityManager): Promise<number> {
    const sql = `SELECT count(*) AS lanes FROM ${this.prefix}outbox_lane`;
    const { rows } = tx?.queryRunner
      ? await within(tx).query(sql)
      : await pooled(this.dataSource, (connection) => connection.query(sql));
    return Number(rows[0]?.['lanes']);
  }

  async insert(tx: EntityManager, rows: readonly NewOutboxRow[]): Promise<readonly WrittenOutboxRow[]> {
    const written = new Map<string, WrittenOutboxRow>();
    for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
      const some = rows.slice(from, from + ROWS_PER_INSERT);
      const result = await within(tx).query(
        `INSERT INTO ${this.prefix}outbox (lane, message_id, topic, tag, ordering_key, message_keys, headers, body,
           delay_level, deliver_at, connection, sequence, created_at)
         VALUES ${some.map(() => INSERT_ROW).join(', ')}
         RETURNING id, deliver_at, hex(message_id) AS message_id`,
        some.flatMap(columnsOf),
      );
      for (const row of result.rows) {
        const deliverAt = numberOrUndefined(row['deliver_at']);
        written.set(row['message_id'] as string, { id: Number(row['id']), exact: true, deliverAt });
      }
    }
    return rows.map(({ messageId }) => written.get(messageId) as WrittenOutboxRow);
  }

  async nextSequences(
    tx: EntityManager,
    counts: ReadonlyMap<string, number>,
  ): Promise<ReadonlyMap<string, number>> {
    const { rows } = await within(tx).query(
      `INSERT INTO ${this.prefix}outbox_sequence (ordering_key, sequence)
       SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?) WHERE true
       ON CONFLICT (ordering_key) DO UPDATE SET sequence = sequence + excluded.sequence
       RETURNING ordering_key, sequence`,
      [JSON.stringify([...counts])],
    );
    return new Map(rows.map((row) => [row['ordering_key'] as string, Number(row['sequence'])]));
  }

  survey(): Promise<Survey> {
    return this.gate.runNative((tx) => ({
      instances: tx
        .all(`SELECT id FROM ${this.prefix}outbox_instance WHERE expires_at > ${NOW} ORDER BY id`)
        .map((row) => row['id'] as string),
      claimable: Number(
        tx.all(`SELECT count(*) AS n FROM ${this.prefix}outbox_lane WHERE expires_at < ${NOW}`)[0]?.['n'],
      ),
    }));
  }

  renew(instance: string, lanes: readonly LaneReport[], leaseMs: number): Promise<readonly number[]> {
    return this.gate.runNative((tx) => {
      tx.run(
        `INSERT INTO ${this.prefix}outbox_instance (id, joined_at, expires_at) VALUES (?, ${NOW}, ${NOW} + ?)
         ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
        instance,
        leaseMs,
      );
      tx.run(`DELETE FROM ${this.prefix}outbox_instance WHERE expires_at < ${NOW} - 3600000`);
      return lanes
        .filter(
          ({ lane, epoch, pending, more, oldestAgeMs }) =>
            tx.run(
              `UPDATE ${this.prefix}outbox_lane SET expires_at = ${NOW} + ?, pending = ?, pending_more = ?, oldest_at = ${NOW} - ?
               WHERE lane = ? AND epoch = ? AND owner = ?`,
              leaseMs,
              pending,
              more ? 1 : 0,
              oldestAgeMs === undefined ? null : Math.round(oldestAgeMs),
              lane,
              epoch,
              instance,
            ) === 1,
        )
        .map(({ lane }) => lane);
    });
  }

  acquire(instance: string, max: number, leaseMs: number): Promise<readonly LaneLease[]> {
    return this.gate.runNative((tx) =>
      tx
        .all(
          `UPDATE ${this.prefix}outbox_lane SET owner = ?, epoch = epoch + 1, expires_at = ${NOW} + ?
           WHERE lane IN (SELECT lane FROM ${this.prefix}outbox_lane WHERE expires_at < ${NOW} ORDER BY lane LIMIT ?)
           RETURNING lane, epoch`,
          instance,
          leaseMs,
          max,
        )
        .map((row) => ({ lane: Number(row['lane']), epoch: Number(row['epoch']) })),
    );
  }

  release(instance: string, lanes: readonly LaneLease[]): Promise<void> {
    return this.gate.runNative((tx) => {
      for (const { lane, epoch } of lanes) {
        tx.run(
          `UPDATE ${this.prefix}outbox_lane SET owner = NULL, expires_at = ${NOW} - 1
           WHERE lane = ? AND epoch = ? AND owner = ?`,
          lane,
          epoch,
          instance,
        );
      }
    });
  }

  leave(instance: string): Promise<void> {
    return this.gate.runNative((tx) => {
      tx.run(`DELETE FROM ${this.prefix}outbox_instance WHERE id = ?`, instance);
    });
  }

  fetch(requests: readonly FetchRequest[], limit: number, bytes: number): Promise<readonly OutboxRow[]> {
    return this.gate.runNative((tx) =>
      requests.flatMap(({ lane, after }) =>
        tx
          .all(
            `SELECT ${READ} FROM ${this.prefix}outbox WHERE id IN (
               SELECT id FROM (
                 SELECT id, sum(size) OVER (ORDER BY id) - size AS ahead FROM (
                   SELECT id, length(body) AS size FROM ${this.prefix}outbox WHERE lane = ? AND id > ? ORDER BY id LIMIT ?
                 )
               ) WHERE ahead < ?
             ) ORDER BY id`,
            lane,
            after,
            limit,
            bytes,
          )
          .map(toOutboxRow),
      ),
    );
  }

  /** There is one connection, so transactions come one after the other, and ids appear in their order. */
  overtaken(): Promise<readonly number[]> {
    return Promise.resolve([]);
  }

  settle(rows: readonly RowId[], history: boolean): Promise<number> {
    const ids = JSON.stringify(rows.map(({ id }) => id));
    return this.gate.runNative((tx) => {
      if (history) {
        tx.run(
          `INSERT OR IGNORE INTO ${this.prefix}outbox_sent
             (id, lane, message_id, topic, tag, ordering_key, message_keys, created_at, sent_at)
           SELECT id, lane, message_id, topic, tag, ordering_key, message_keys, created_at, ${NOW}
           FROM ${this.prefix}outbox WHERE id IN ${LIST}`,
          ids,
        );
      }
      return tx.run(`DELETE FROM ${this.prefix}outbox WHERE id IN ${LIST}`, ids);
    });
  }

  park(lease: LaneLease, orders: readonly ParkOrder[], behindDead: 'block' | 'skip'): Promise<ParkResult> {
    const { lane } = lease;
    return this.gate.runNative((tx) => {
      if (!this.isHeld(tx, lease)) return { held: false, free: [] };
      let dead = 0;
      let waiting = 0;
      const free: number[] = [];
      const first = orders.filter(({ state }) => state !== 'behind');
      for (const order of first) {
        const key = this.move(tx, lane, order);
        if (key === undefined) continue;
        if (order.state === 'dead') dead += 1;
        else waiting += 1;
        tx.run(
          `UPDATE ${this.prefix}outbox_parked SET state = 'behind', due_at = NULL
           WHERE lane = ? AND ordering_key = ? AND state = 'retry' AND id > ?`,
          lane,
          key,
          order.id,
        );
        if (order.state === 'dead' && behindDead === 'skip' && key !== null) this.promote(tx, lane, key);
      }
      for (const order of orders) {
        if (order.state !== 'behind') continue;
        if (this.isBlocked(tx, lane, order.id, behindDead)) {
          if (this.move(tx, lane, order) !== undefined) waiting += 1;
        } else if (tx.all(`SELECT 1 FROM ${this.prefix}outbox WHERE id = ?`, order.id).length === 1) {
          free.push(order.id);
        }
      }
      this.count(tx, lane, waiting, dead);
      return { held: true, free };
    });
  }

  blockedKeys(lanes: readonly number[], behindDead: 'block' | 'skip'): Promise<readonly BlockedKey[]> {
    return this.gate.runNative((tx) =>
      tx
        .all(
          `SELECT DISTINCT lane, ordering_key FROM ${this.prefix}outbox_parked
           WHERE lane IN ${LIST} AND ordering_key IS NOT NULL AND (state <> 'dead' OR ?)`,
          JSON.stringify(lanes),
          behindDead === 'block' ? 1 : 0,
        )
        .map((row) => ({ lane: Number(row['lane']), orderingKey: row['ordering_key'] as string })),
    );
  }

  dueLanes(lanes: readonly number[]): Promise<readonly number[]> {
    return this.gate.runNative((tx) =>
      tx
        .all(
          `SELECT DISTINCT lane FROM ${this.prefix}outbox_parked
           WHERE state = 'retry' AND due_at <= ${NOW} AND lane IN ${LIST}`,
          JSON.stringify(lanes),
        )
        .map((row) => Number(row['lane'])),
    );
  }

  unpark(lease: LaneLease, limit: number): Promise<UnparkResult> {
    const { lane } = lease;
    const parked = `${this.prefix}outbox_parked`;
    return this.gate.runNative((tx) => {
      if (!this.isHeld(tx, lease)) return { held: false, rows: [], stillBlocked: [] };
      const due = tx.all(
        `SELECT id, ordering_key FROM ${parked}
         WHERE lane = ? AND state = 'retry' AND due_at <= ${NOW} ORDER BY due_at LIMIT ?`,
        lane,
        limit,
      );
      const keys = [...new Set(due.map((row) => textOrUndefined(row['ordering_key'])))].filter(
        (key) => key !== undefined,
      );
      const behind = tx.all(
        `SELECT id FROM ${parked} WHERE lane = ? AND ordering_key IN ${LIST} AND state = 'behind' ORDER BY id LIMIT ?`,
        lane,
        JSON.stringify(keys),
        limit,
      );
      const ids = JSON.stringify([...due, ...behind].map((row) => Number(row['id'])));
      tx.run(
        `INSERT INTO ${this.prefix}outbox (id, lane, attempts, ${PAYLOAD})
         SELECT id, lane, attempts, ${PAYLOAD} FROM ${parked} WHERE id IN ${LIST}`,
        ids,
      );
      this.count(tx, lane, -tx.run(`DELETE FROM ${parked} WHERE id IN ${LIST}`, ids), 0);
      const stillBlocked = keys.filter((key) => this.promote(tx, lane, key));
      const rows = tx
        .all(`SELECT ${READ} FROM ${this.prefix}outbox WHERE id IN ${LIST} ORDER BY id`, ids)
        .map(toOutboxRow);
      return { held: true, rows, stillBlocked };
    });
  }

  sweepHistory(retentionMs: number, limit: number): Promise<number> {
    return this.gate.runNative((tx) =>
      tx.run(
        `DELETE FROM ${this.prefix}outbox_sent WHERE id IN (
           SELECT id FROM ${this.prefix}outbox_sent WHERE sent_at < ${NOW} - ? ORDER BY sent_at LIMIT ?)`,
        retentionMs,
        limit,
      ),
    );
  }

  /** The connection is the application's. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  private isHeld(tx: SqliteTransaction, { lane, epoch }: LaneLease): boolean {
    const sql = `SELECT 1 FROM ${this.prefix}outbox_lane WHERE lane = ? AND epoch = ?`;
    return tx.all(sql, lane, epoch).length === 1;
  }

  /** To the parked rows; resolves with the ordering key (null: it has none), or undefined when it was gone. */
  private move(tx: SqliteTransaction, lane: number, order: ParkOrder): string | null | undefined {
    const [row] = tx.all(
      `INSERT INTO ${this.prefix}outbox_parked (id, lane, state, due_at, error, parked_at, attempts, ${PAYLOAD})
       SELECT id, lane, ?, ${NOW} + ?, ?, ${NOW}, ?, ${PAYLOAD} FROM ${this.prefix}outbox WHERE lane = ? AND id = ?
       RETURNING ordering_key`,
      order.state,
      order.delayMs === undefined ? null : Math.round(order.delayMs),
      order.error ?? null,
      order.attempts,
      lane,
      order.id,
    );
    if (row === undefined) return undefined;
    tx.run(`DELETE FROM ${this.prefix}outbox WHERE id = ?`, order.id);
    return row['ordering_key'] as string | null;
  }

  private isBlocked(tx: SqliteTransaction, lane: number, id: number, behindDead: 'block' | 'skip'): boolean {
    const rows = tx.all(
      `SELECT 1 FROM ${this.prefix}outbox o JOIN ${this.prefix}outbox_parked b
         ON b.lane = o.lane AND b.ordering_key = o.ordering_key AND b.id < o.id
           AND (b.state = 'retry' OR (b.state = 'dead' AND ?))
       WHERE o.lane = ? AND o.id = ? LIMIT 1`,
      behindDead === 'block' ? 1 : 0,
      lane,
      id,
    );
    return rows.length === 1;
  }

  /** What is behind comes next. False: nothing is. */
  private promote(tx: SqliteTransaction, lane: number, key: string): boolean {
    const sql = `UPDATE ${this.prefix}outbox_parked SET state = 'retry', due_at = ${NOW} WHERE id = (
        SELECT min(id) FROM ${this.prefix}outbox_parked WHERE lane = ? AND ordering_key = ? AND state = 'behind')`;
    return tx.run(sql, lane, key) > 0;
  }

  private count(tx: SqliteTransaction, lane: number, retrying: number, dead: number): void {
    tx.run(
      `UPDATE ${this.prefix}outbox_lane SET retrying = max(retrying + ?, 0), dead = max(dead + ?, 0) WHERE lane = ?`,
      retrying,
      dead,
      lane,
    );
  }
}

const INSERT_ROW = `(?, unhex(?), ?, ?, ?, ?, ?, ?, ?, coalesce(${NOW} + ?, ?), ?, ?, ${NOW})`;

function columnsOf(row: NewOutboxRow): unknown[] {
  return [
    row.lane,
    row.messageId,
    row.topic,
    row.tag ?? null,
    row.orderingKey ?? null,
    keysText(row.keys),
    headersText(row.headers),
    row.body,
    row.delayLevel ?? null,
    row.delayMs === undefined ? null : Math.round(row.delayMs),
    row.deliverAt ?? null,
    row.connection ?? null,
    row.sequence ?? null,
  ];
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
    body: Buffer.from(row['body'] as Uint8Array),
    delayLevel: numberOrUndefined(row['delay_level']),
    deliverAt: numberOrUndefined(row['deliver_at']),
    connection: textOrUndefined(row['connection']),
    attempts: Number(row['attempts']),
    ageMs: Math.max(0, Number(row['age'])),
  };
}

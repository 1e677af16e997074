import type { DataSource, EntityManager } from 'typeorm';
import { fromKey128, isMessageId, toKey128 } from '../database/message-id.js';
import { runInTransaction } from '../database/own-transaction.js';
import { sqlDialect, type SqlDialect } from '../database/sql-dialect.js';
import { pooled, within } from '../database/pooled.js';
import type { SqlResult } from '../database/sql-session.js';
import { SQL_WORDS, SqlParameters } from '../database/sql-text.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { ParkedState } from './outbox-store.js';
import { numberOrUndefined, textOrUndefined } from './row-columns.js';

/** A message the broker refused, without its body. */
export interface ParkedMessage {
  /** Its id in the outbox. */
  readonly id: number;
  /** `retry`: goes out again at `dueAt`. `behind`: waits for an earlier one of its ordering key. `dead`: waits for you. */
  readonly state: ParkedState;
  readonly lane: number;
  readonly messageId: string;
  readonly topic: string;
  readonly tag: string | undefined;
  readonly orderingKey: string | undefined;
  readonly keys: readonly string[];
  readonly connection: string | undefined;
  readonly attempts: number;
  /** What the broker, or the way to it, said last. */
  readonly error: string | undefined;
  readonly createdAt: Date;
  readonly parkedAt: Date;
  readonly dueAt: Date | undefined;
  /** Of the body, bytes. */
  readonly size: number;
}

/** A parked message with what it carries. */
export interface ParkedMessageDetail extends ParkedMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Which parked messages; conditions are joined by "and". */
export interface ParkedFilter {
  readonly ids?: readonly number[];
  readonly state?: ParkedState;
  readonly topic?: string;
  readonly orderingKey?: string;
  readonly messageId?: string;
  readonly parkedBefore?: Date;
  readonly parkedAfter?: Date;
}

/** Which page of parked messages. */
export interface ParkedPageRequest {
  /** Only rows with a higher id: the `next` of the page before. @default from the beginning */
  readonly after?: number;
  /** At most 500. @default 50 */
  readonly limit?: number;
}

/** A page of parked messages. */
export interface ParkedPage {
  /** In order of id. */
  readonly items: readonly ParkedMessage[];
  /** Where the next page begins; undefined on the last one. */
  readonly next: number | undefined;
}

const LIST_COLUMNS =
  'id, state, lane, message_id, topic, tag, ordering_key, message_keys, connection, attempts, error';

/** Rows handled with one transaction. */
const CHUNK = 500;

/**
 * What an operator does with messages the broker refused. Nothing here is deleted by itself.
 *
 * Replaying does not send: it makes rows due, and the instance that holds their lane sends them within a second, with
 * the rows of their ordering key in order.
 */
export class ParkedMessages {
  private readonly dialect: SqlDialect;
  private readonly table: string;
  private readonly laneTable: string;

  constructor(
    private readonly dataSource: DataSource,
    prefix: string,
    private readonly behindDead: 'block' | 'skip',
    private readonly events: RocketMQEvents,
  ) {
    this.dialect = sqlDialect(dataSource);
    this.table = `${prefix}outbox_parked`;
    this.laneTable = `${prefix}outbox_lane`;
  }

  /** A page of them, oldest first. */
  async list(
    filter: ParkedFilter = {},
    { after = 0, limit = 50 }: ParkedPageRequest = {},
  ): Promise<ParkedPage> {
    const size = Math.min(500, Math.max(1, Math.floor(limit)));
    const parameters = new SqlParameters(this.dialect);
    const where = this.where(filter, parameters);
    const { rows } = await this.query(
      `SELECT ${LIST_COLUMNS}, ${this.times()}, ${this.size()} FROM ${this.table}
       WHERE ${where} AND id > ${parameters.add(after)} ORDER BY id LIMIT ${size + 1}`,
      parameters.values,
    );
    const items = rows.slice(0, size).map(toParkedMessage);
    return { items, next: rows.length > size ? items[items.length - 1]?.id : undefined };
  }

  /** One of them, with headers and body. */
  async inspect(id: number): Promise<ParkedMessageDetail | undefined> {
    const parameters = new SqlParameters(this.dialect);
    const { rows } = await this.query(
      `SELECT ${LIST_COLUMNS}, ${this.times()}, ${this.size()}, headers, body FROM ${this.table}
       WHERE id = ${parameters.add(id)}`,
      parameters.values,
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    const headers = textOrUndefined(row['headers']);
    return {
      ...toParkedMessage(row),
      headers: headers === undefined ? {} : (JSON.parse(headers) as Record<string, string>),
      body: Buffer.from(row['body'] as Uint8Array),
    };
  }

  /**
   * Makes dead and waiting ones due now, with their attempts counted from zero. Rows behind another one follow it by
   * themselves. Resolves with how many it was.
   */
  async replay(which: number | ParkedFilter): Promise<number> {
    const count = await this.change(which, ['dead', 'retry'], async (tx, lane, rows) => {
      const parameters = new SqlParameters(this.dialect);
      const sql = `UPDATE ${this.table} SET state = 'retry', due_at = ${SQL_WORDS[this.dialect].now}, attempts = 0
        WHERE id IN ${parameters.list(rows.map(({ id }) => id))}`;
      await within(tx).query(sql, parameters.values);
      const dead = rows.filter(({ state }) => state === 'dead').length;
      await this.count(tx, lane, dead, -dead);
    });
    if (count > 0) this.events.emit('outbox.replayed', { count });
    return count;
  }

  /** Deletes them for good. Rows that waited behind one go on. Resolves with how many it was. */
  async discard(which: number | ParkedFilter): Promise<number> {
    const count = await this.change(which, ['dead', 'retry', 'behind'], async (tx, lane, rows) => {
      const parameters = new SqlParameters(this.dialect);
      const sql = `DELETE FROM ${this.table} WHERE id IN ${parameters.list(rows.map(({ id }) => id))}`;
      await within(tx).query(sql, parameters.values);
      const dead = rows.filter(({ state }) => state === 'dead').length;
      await this.count(tx, lane, dead - rows.length, -dead);
    });
    if (count > 0) this.events.emit('outbox.discarded', { count });
    return count;
  }

  /** Applies a change lane by lane; the lane's row keeps the relay out meanwhile. */
  private async change(
    which: number | ParkedFilter,
    states: readonly ParkedState[],
    apply: (tx: EntityManager, lane: number, rows: readonly Target[]) => Promise<void>,
  ): Promise<number> {
    const filter = typeof which === 'number' ? { ids: [which] } : which;
    if (Object.values(filter).every((condition) => condition === undefined)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        "An empty filter would change every parked message. Give a condition, for example { state: 'dead' }.",
      );
    }
    let changed = 0;
    for (let after = 0; ;) {
      const targets = await this.targets(filter, states, after);
      for (const [lane, rows] of byLane(targets)) changed += await this.changeLane(lane, rows, states, apply);
      const last = targets[targets.length - 1];
      if (last === undefined || targets.length < CHUNK) return changed;
      after = last.id;
    }
  }

  private changeLane(
    lane: number,
    targets: readonly Target[],
    states: readonly ParkedState[],
    apply: (tx: EntityManager, lane: number, rows: readonly Target[]) => Promise<void>,
  ): Promise<number> {
    return runInTransaction(
      this.dataSource,
      async (tx) => {
        await this.lock(tx, lane);
        // Somebody may have been faster.
        const parameters = new SqlParameters(this.dialect);
        const ids = parameters.list(targets.map(({ id }) => id));
        const sql = `SELECT id, lane, state, ordering_key FROM ${this.table}
          WHERE id IN ${ids} AND state IN ${parameters.list(states)}`;
        const rows = (await within(tx).query(sql, parameters.values)).rows.map(toTarget);
        if (rows.length === 0) return 0;
        await apply(tx, lane, rows);
        for (const key of new Set(rows.map(({ orderingKey }) => orderingKey))) {
          if (key !== undefined) await this.putInOrder(tx, lane, key);
        }
        return rows.length;
      },
      { isolation: this.dialect === 'sqlite' ? undefined : 'READ COMMITTED' },
    );
  }

  /** Of a key, only the first parked row is due by itself; nothing is due behind a dead one that blocks. */
  private async putInOrder(tx: EntityManager, lane: number, key: string): Promise<void> {
    const first = async (states: readonly ParkedState[]): Promise<number | undefined> => {
      const parameters = new SqlParameters(this.dialect);
      const sql = `SELECT min(id) AS id FROM ${this.table} WHERE lane = ${parameters.add(lane)}
        AND ordering_key = ${parameters.add(key)} AND state IN ${parameters.list(states)}`;
      return numberOrUndefined((await within(tx).query(sql, parameters.values)).rows[0]?.['id']);
    };
    const dead = this.behindDead === 'block' ? await first(['dead']) : undefined;
    const head = await first(['retry', 'behind']);
    if (head === undefined) return;
    const due = dead === undefined || head < dead;
    const demote = new SqlParameters(this.dialect);
    await within(tx).query(
      `UPDATE ${this.table} SET state = 'behind', due_at = NULL WHERE lane = ${demote.add(lane)}
       AND ordering_key = ${demote.add(key)} AND state = 'retry' AND id ${due ? '>' : '>='} ${demote.add(head)}`,
      demote.values,
    );
    if (!due) return;
    const promote = new SqlParameters(this.dialect);
    await within(tx).query(
      `UPDATE ${this.table} SET state = 'retry', due_at = ${SQL_WORDS[this.dialect].now}
       WHERE id = ${promote.add(head)} AND state = 'behind'`,
      promote.values,
    );
  }

  private async targets(
    filter: ParkedFilter,
    states: readonly ParkedState[],
    after: number,
  ): Promise<readonly Target[]> {
    const parameters = new SqlParameters(this.dialect);
    const where = this.where(filter, parameters);
    const { rows } = await this.query(
      `SELECT id, lane, state, ordering_key FROM ${this.table}
       WHERE ${where} AND state IN ${parameters.list(states)} AND id > ${parameters.add(after)} ORDER BY id LIMIT ${CHUNK}`,
      parameters.values,
    );
    return rows.map(toTarget);
  }

  private where(filter: ParkedFilter, parameters: SqlParameters): string {
    const { fromEpochMs } = SQL_WORDS[this.dialect];
    const conditions = ['1 = 1'];
    if (filter.ids !== undefined) conditions.push(`id IN ${parameters.list(filter.ids)}`);
    if (filter.state !== undefined) conditions.push(`state = ${parameters.add(filter.state)}`);
    if (filter.topic !== undefined) conditions.push(`topic = ${parameters.add(filter.topic)}`);
    if (filter.orderingKey !== undefined)
      conditions.push(`ordering_key = ${parameters.add(filter.orderingKey)}`);
    if (filter.messageId !== undefined) {
      conditions.push(`message_id = ${parameters.add(messageIdValue(filter.messageId, this.dialect))}`);
    }
    if (filter.parkedBefore !== undefined) {
      conditions.push(`parked_at < ${fromEpochMs(parameters.add(filter.parkedBefore.getTime()))}`);
    }
    if (filter.parkedAfter !== undefined) {
      conditions.push(`parked_at > ${fromEpochMs(parameters.add(filter.parkedAfter.getTime()))}`);
    }
    return conditions.join(' AND ');
  }

  private times(): string {
    const { epochMs } = SQL_WORDS[this.dialect];
    return ['created_at', 'parked_at', 'due_at']
      .map((column) => `${epochMs(column)} AS ${column}`)
      .join(', ');
  }

  private size(): string {
    return `${this.dialect === 'sqlite' ? 'length' : 'octet_length'}(body) AS size`;
  }

  private async lock(tx: EntityManager, lane: number): Promise<void> {
    if (this.dialect === 'sqlite') return; // one transaction at a time
    const parameters = new SqlParameters(this.dialect);
    await within(tx).query(
      `SELECT 1 FROM ${this.laneTable} WHERE lane = ${parameters.add(lane)} FOR UPDATE`,
      parameters.values,
    );
  }

  private async count(tx: EntityManager, lane: number, retrying: number, dead: number): Promise<void> {
    const parameters = new SqlParameters(this.dialect);
    await within(tx).query(
      `UPDATE ${this.laneTable} SET retrying = retrying + ${parameters.add(retrying)}, dead = dead + ${parameters.add(dead)}
       WHERE lane = ${parameters.add(lane)}`,
      parameters.values,
    );
  }

  private query(sql: string, values: readonly unknown[]): Promise<SqlResult> {
    return pooled(this.dataSource, (connection) => connection.query(sql, values));
  }
}

interface Target {
  readonly id: number;
  readonly lane: number;
  readonly state: ParkedState;
  readonly orderingKey: string | undefined;
}

type Row = Readonly<Record<string, unknown>>;

function toTarget(row: Row): Target {
  return {
    id: Number(row['id']),
    lane: Number(row['lane']),
    state: row['state'] as ParkedState,
    orderingKey: textOrUndefined(row['ordering_key']),
  };
}

function toParkedMessage(row: Row): ParkedMessage {
  const dueAt = numberOrUndefined(row['due_at']);
  return {
    ...toTarget(row),
    messageId: fromKey128(row['message_id']),
    topic: row['topic'] as string,
    tag: textOrUndefined(row['tag']),
    keys: textOrUndefined(row['message_keys'])?.split(' ') ?? [],
    connection: textOrUndefined(row['connection']),
    attempts: Number(row['attempts']),
    error: textOrUndefined(row['error']),
    createdAt: new Date(Number(row['created_at'])),
    parkedAt: new Date(Number(row['parked_at'])),
    dueAt: dueAt === undefined ? undefined : new Date(dueAt),
    size: Number(row['size']),
  };
}

function byLane(targets: readonly Target[]): ReadonlyMap<number, readonly Target[]> {
  const groups = new Map<number, Target[]>();
  for (const target of targets) {
    const group = groups.get(target.lane);
    if (group === undefined) groups.set(target.lane, [target]);
    else group.push(target);
  }
  return groups;
}

function messageIdValue(messageId: string, dialect: SqlDialect): unknown {
  if (!isMessageId(messageId)) {
    throw new RocketMQError('INVALID_ARGUMENT', `Message id "${messageId}" does not have 32 hex digits.`);
  }
  const key = toKey128(messageId);
  return dialect === 'postgres' ? key : Buffer.from(key, 'hex');
}

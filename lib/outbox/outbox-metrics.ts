import type { DataSource } from 'typeorm';
import { sqlDialect, type SqlDialect } from '../database/sql-dialect.js';
import { pooled } from '../database/pooled.js';
import type { SqlResult } from '../database/sql-session.js';
import { SQL_WORDS } from '../database/sql-text.js';
import type { ResolvedOutboxOptions } from './outbox-options.js';
import type { OutboxRelay } from './outbox-relay.js';
import { numberOrUndefined, textOrUndefined } from './row-columns.js';

/** One lane, as its owner last reported it. */
export interface LaneMetrics {
  readonly lane: number;
  /** Undefined when nobody holds it. */
  readonly owner: string | undefined;
  readonly epoch: number;
  /** How long nobody has held it, milliseconds; 0 while somebody does. */
  readonly unownedMs: number;
  /** Rows its owner has seen and not removed yet. */
  readonly pending: number;
  /** There are more rows than that. */
  readonly more: boolean;
  readonly oldestAgeMs: number | undefined;
  /** Parked rows that go out again by themselves. */
  readonly retrying: number;
  /** Parked rows that wait for an operator. */
  readonly dead: number;
}

/** The outbox as all instances together last reported it. */
export interface OutboxSnapshot {
  readonly lanes: readonly LaneMetrics[];
  /** Ids of live instances. */
  readonly instances: readonly string[];
  readonly pending: number;
  /** `pending` is a lower bound. */
  readonly more: boolean;
  readonly oldestAgeMs: number | undefined;
  readonly retrying: number;
  readonly dead: number;
  /** Lanes nobody holds. */
  readonly unowned: number;
  /** All rows of the table as the database's statistics have it; undefined where it keeps none. */
  readonly approximateRows: number | undefined;
  readonly local: LocalOutboxMetrics;
}

/** Of one instance. */
export interface LocalOutboxMetrics {
  readonly instance: string;
  /** Lanes it holds. */
  readonly lanes: readonly number[];
  /** Rows in memory, and bytes of their bodies. */
  readonly rows: number;
  readonly bytes: number;
  /** Sends under way. */
  readonly inFlight: number;
}

/** Whether the outbox does its work, and why not. */
export interface OutboxHealth {
  readonly status: 'up' | 'down';
  /** What is wrong and what to do, when it is down. */
  readonly reason: string | undefined;
  readonly details: {
    readonly pending: number;
    readonly oldestAgeMs: number | undefined;
    readonly unowned: number;
    readonly retrying: number;
    readonly dead: number;
    readonly instances: number;
  };
}

/** Numbers about the outbox. They are read from the lanes, where owners leave them, never from the rows. */
export class OutboxMetrics {
  private readonly dialect: SqlDialect;

  constructor(
    private readonly dataSource: DataSource,
    private readonly relay: Pick<OutboxRelay, 'instance' | 'ownedLanes' | 'load'>,
    private readonly options: ResolvedOutboxOptions,
  ) {
    this.dialect = sqlDialect(dataSource);
  }

  /** What this instance does at the moment; asks nobody. */
  get local(): LocalOutboxMetrics {
    return { instance: this.relay.instance, lanes: this.relay.ownedLanes, ...this.relay.load };
  }

  /** Reads what the owners of all lanes reported: two small queries, whatever the number of rows. */
  async snapshot(): Promise<OutboxSnapshot> {
    const { tablePrefix } = this.options;
    const { now, epochMs } = SQL_WORDS[this.dialect];
    const { rows } = await this.query(
      `SELECT lane, owner, epoch, pending, pending_more, retrying, dead,
              ${epochMs(now)} - (${epochMs('expires_at')}) AS unowned_ms, ${epochMs(now)} - (${epochMs('oldest_at')}) AS oldest_ms
       FROM ${tablePrefix}outbox_lane ORDER BY lane`,
    );
    const instances = await this.query(
      `SELECT id FROM ${tablePrefix}outbox_instance WHERE expires_at > ${now} ORDER BY id`,
    );
    const lanes = rows.map(toLaneMetrics);
    const sum = (read: (lane: LaneMetrics) => number): number =>
      lanes.reduce((total, lane) => total + read(lane), 0);
    const ages = lanes.map(({ oldestAgeMs }) => oldestAgeMs).filter((age) => age !== undefined);
    return {
      lanes,
      instances: instances.rows.map((row) => row['id'] as string),
      pending: sum(({ pending }) => pending),
      more: lanes.some(({ more }) => more),
      oldestAgeMs: ages.length === 0 ? undefined : Math.max(...ages),
      retrying: sum(({ retrying }) => retrying),
      dead: sum(({ dead }) => dead),
      unowned: lanes.filter(({ unownedMs }) => unownedMs > 0).length,
      approximateRows: await this.approximateRows(),
      local: this.local,
    };
  }

  /** Down when rows wait too long, or a lane has had no owner for two leases. Dead rows are a detail, not an outage. */
  async health(): Promise<OutboxHealth> {
    const snapshot = await this.snapshot();
    const { pending, oldestAgeMs, retrying, dead, unowned } = snapshot;
    const { maxPendingAgeMs, leaseMs } = this.options;
    const abandoned = snapshot.lanes.filter(({ unownedMs }) => unownedMs > 2 * leaseMs).length;
    const reasons: string[] = [];
    if (oldestAgeMs !== undefined && oldestAgeMs > maxPendingAgeMs) {
      reasons.push(
        `The oldest pending row is ${Math.round(oldestAgeMs / 1_000)} s old (objective: ${Math.round(maxPendingAgeMs / 1_000)} s). Look at the broker and at the events outbox.backoff and outbox.error.`,
      );
    }
    if (abandoned > 0) {
      reasons.push(
        `${abandoned} lane(s) have had no owner for more than ${(2 * leaseMs) / 1_000} s. Start an instance with the relay, or look at the event outbox.error.`,
      );
    }
    return {
      status: reasons.length === 0 ? 'up' : 'down',
      reason: reasons.length === 0 ? undefined : reasons.join(' '),
      details: { pending, oldestAgeMs, unowned, retrying, dead, instances: snapshot.instances.length },
    };
  }

  private async approximateRows(): Promise<number | undefined> {
    const table = `${this.options.tablePrefix}outbox`;
    if (this.dialect === 'sqlite') return undefined;
    const { rows } = await this.query(
      this.dialect === 'postgres'
        ? `SELECT reltuples AS estimate FROM pg_class WHERE oid = to_regclass('${table}')`
        : `SELECT table_rows AS estimate FROM information_schema.tables
           WHERE table_schema = ${table.includes('.') ? `'${table.split('.')[0] ?? ''}'` : 'DATABASE()'}
             AND table_name = '${table.split('.').pop() ?? ''}'`,
    );
    const estimate = numberOrUndefined(rows[0]?.['estimate']);
    return estimate === undefined || estimate < 0 ? undefined : estimate;
  }

  private query(sql: string): Promise<SqlResult> {
    return pooled(this.dataSource, (connection) => connection.query(sql));
  }
}

function toLaneMetrics(row: Readonly<Record<string, unknown>>): LaneMetrics {
  const unownedMs = Math.max(0, Number(row['unowned_ms']));
  const oldestAgeMs = numberOrUndefined(row['oldest_ms']);
  return {
    lane: Number(row['lane']),
    owner: unownedMs > 0 ? undefined : textOrUndefined(row['owner']),
    epoch: Number(row['epoch']),
    unownedMs,
    pending: Number(row['pending']),
    more: Boolean(row['pending_more']),
    oldestAgeMs: oldestAgeMs === undefined ? undefined : Math.max(0, oldestAgeMs),
    retrying: Number(row['retrying']),
    dead: Number(row['dead']),
  };
}

import { RocketMQError } from '../message/rocketmq-error.js';
import { checkTablePrefix, DEFAULT_TABLE_PREFIX } from '../database/sql-dialect.js';

/** Settings of the outbox. Times are milliseconds. */
export interface OutboxOptions {
  /** Whether this instance sends. `false`: it only writes rows, and another instance sends them. @default true */
  readonly relay?: boolean;
  /** The same prefix as in the migrations; may name a schema, `messaging.rmq_`. @default 'rmq_' */
  readonly tablePrefix?: string;
  /**
   * Lanes the database must have. Leave it out to take what the migration wrote (64): the number lives in the
   * database, and an instance that expects another one is refused at boot.
   */
  readonly lanes?: number;
  /** How long a lane belongs to an instance that no longer renews it: the longest pause after a crash. @default 10000 */
  readonly leaseMs?: number;
  /** How often leases are renewed; at most a third of `leaseMs`. @default 3000 */
  readonly renewMs?: number;
  /** How often free lanes and new instances are looked for. @default 1000 */
  readonly surveyMs?: number;
  /** Shortest pause between two looks for rows other instances wrote. @default 20 */
  readonly pollMinMs?: number;
  /** Longest pause between two looks when there is nothing. @default 500 */
  readonly pollMaxMs?: number;
  /** How often rows are looked for whose transaction was slower than later ones. @default 1000 */
  readonly sweepMs?: number;
  /** Rows of a lane read at once. @default 500 */
  readonly fetchSize?: number;
  /** Rows held in memory, over all lanes. @default 10000 */
  readonly maxRows?: number;
  /** Bytes of bodies held in memory, over all lanes. @default 67108864 */
  readonly maxBytes?: number;
  /** Sends under way at the same time, batches and single messages. @default 64 */
  readonly maxInFlight?: number;
  /** Messages without ordering key and delay go in broker batches of at most this many; 1 switches it off. @default 128 */
  readonly batchSize?: number;
  /** Bytes of bodies in a broker batch. @default 1048576 */
  readonly batchBytes?: number;
  /** Batches under way per topic. Few in flight make full batches; a lone message never waits. @default 4 */
  readonly batchesInFlight?: number;
  /**
   * Messages that may be acknowledged by the broker and not yet removed from the table. Beyond that nothing more is
   * sent: together with what is in flight, these are the messages a killed instance may leave to be sent twice. @default 512
   */
  readonly maxUnsettled?: number;
  /** Deadline of a send; together with a second it must fit into `leaseMs - renewMs`. @default 3000 */
  readonly sendTimeoutMs?: number;
  /** First pause of a topic whose broker is away; doubles with every failure, with full jitter. @default 100 */
  readonly backoffMinMs?: number;
  /** Longest such pause. @default 30000 */
  readonly backoffMaxMs?: number;
  /** How often a row that the broker refuses is tried before it is left to an operator (dead). @default 16 */
  readonly maxAttempts?: number;
  /** Pause of a refused row before its second attempt; four times longer with each further one. @default 1000 */
  readonly retryMinMs?: number;
  /** Longest such pause. @default 600000 */
  readonly retryMaxMs?: number;
  /**
   * Rows behind a dead row of the same ordering key: `block` keeps them until the operator replays or discards
   * the dead one, so that order holds; `skip` sends them. @default 'block'
   */
  readonly behindDead?: 'block' | 'skip';
  /** How often parked rows are looked through for due ones. @default 1000 */
  readonly parkedScanMs?: number;
  /**
   * `natural`: messages of a key are sent in the order their rows were written, which is the order of commits when
   * transactions on the same aggregate lock it (as an UPDATE of its row does). `strict`: transactions that write to
   * the same key wait for each other, and messages carry their number in the header `rmq-sequence`. @default 'natural'
   */
  readonly ordering?: 'natural' | 'strict';
  /** Keep a record (without body) of what was sent, for this long; `false` keeps none. @default false */
  readonly history?: false | { readonly retentionMs: number };
  /** Health is down when the oldest pending row is older than this. @default 60000 */
  readonly maxPendingAgeMs?: number;
  /** Connections the relay must leave to the application. Refused at boot when the pool is smaller. @default 1 */
  readonly reservedConnections?: number;
}

export type ResolvedOutboxOptions = Required<Omit<OutboxOptions, 'lanes'>> & Pick<OutboxOptions, 'lanes'>;

export const OUTBOX_DEFAULTS: Omit<ResolvedOutboxOptions, 'lanes'> = {
  relay: true,
  tablePrefix: DEFAULT_TABLE_PREFIX,
  leaseMs: 10_000,
  renewMs: 3_000,
  surveyMs: 1_000,
  pollMinMs: 20,
  pollMaxMs: 500,
  sweepMs: 1_000,
  fetchSize: 500,
  maxRows: 10_000,
  maxBytes: 64 * 1024 * 1024,
  maxInFlight: 64,
  batchSize: 128,
  batchBytes: 1024 * 1024,
  batchesInFlight: 4,
  maxUnsettled: 512,
  sendTimeoutMs: 3_000,
  backoffMinMs: 100,
  backoffMaxMs: 30_000,
  maxAttempts: 16,
  retryMinMs: 1_000,
  retryMaxMs: 600_000,
  behindDead: 'block',
  ordering: 'natural',
  parkedScanMs: 1_000,
  history: false,
  maxPendingAgeMs: 60_000,
  reservedConnections: 1,
};

/** What a lease leaves unused at its end: time for a message that is on its way when sending has to stop. */
export const LEASE_MARGIN_MS = 1_000;

/**
 * Fills in defaults and checks what depends on each other.
 *
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function resolveOutboxOptions(given: OutboxOptions = {}): ResolvedOutboxOptions {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options = { ...OUTBOX_DEFAULTS, ...defined } as ResolvedOutboxOptions;
  checkTablePrefix(options.tablePrefix);
  const positive: (keyof ResolvedOutboxOptions)[] = [
    ...(['leaseMs', 'renewMs', 'surveyMs', 'pollMinMs', 'pollMaxMs', 'sweepMs', 'fetchSize'] as const),
    ...([
      'maxRows',
      'maxBytes',
      'maxInFlight',
      'batchSize',
      'batchBytes',
      'batchesInFlight',
      'maxUnsettled',
    ] as const),
    ...([
      'sendTimeoutMs',
      'backoffMinMs',
      'backoffMaxMs',
      'maxAttempts',
      'retryMinMs',
      'retryMaxMs',
    ] as const),
    ...(['parkedScanMs', 'maxPendingAgeMs'] as const),
  ];
  for (const name of positive) {
    const value = options[name];
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 1) {
      throw invalid(`outbox.${name} is ${JSON.stringify(value)}`, 'Give a number of at least 1.');
    }
  }
  if (options.renewMs * 3 > options.leaseMs) {
    throw invalid(
      `outbox.renewMs (${options.renewMs}) is more than a third of outbox.leaseMs (${options.leaseMs})`,
      'A single lost renewal must not cost the lanes: make the lease longer or renew more often.',
    );
  }
  if (options.leaseMs - options.renewMs <= options.sendTimeoutMs + LEASE_MARGIN_MS) {
    throw invalid(
      `outbox.sendTimeoutMs (${options.sendTimeoutMs}) does not fit into outbox.leaseMs - outbox.renewMs (${options.leaseMs - options.renewMs}) with ${LEASE_MARGIN_MS} ms to spare`,
      'A message must be answered before its lane can go to another instance: make the lease longer or the deadline shorter.',
    );
  }
  if (options.history !== false && !(options.history.retentionMs >= 1)) {
    throw invalid(`outbox.history.retentionMs is ${options.history.retentionMs}`, 'Give milliseconds.');
  }
  return options;
}

function invalid(what: string, remedy: string): RocketMQError {
  return new RocketMQError('INVALID_CONFIGURATION', `${what}. ${remedy}`);
}

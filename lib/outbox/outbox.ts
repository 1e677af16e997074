import type { DataSource, EntityManager } from 'typeorm';
import { assertTransaction } from '../database/assert-transaction.js';
import { journalOf } from '../database/transaction-journal.js';
import type { TransactionHost } from '../database/transaction-host.js';
import type { Destination } from '../message/destination.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { laneOf } from './lane-hash.js';
import {
  placed,
  toUnplacedRow,
  type OutboxMessageDefaults,
  type OutboxSendOptions,
  type UnplacedRow,
} from './outbox-message.js';
import { toWrittenRow, type CommittedRow, type NewOutboxRow, type WrittenOutboxRow } from './outbox-row.js';
import type { OutboxRelay } from './outbox-relay.js';
import type { OutboxStore } from './outbox-store.js';

/** What the caller gets for a message in the outbox. */
export interface OutboxReceipt {
  /** The id the message will have at the broker, however often it is sent. */
  readonly messageId: string;
}

/** One message of `sendAll`. */
export interface OutboxEntry {
  readonly destination: string | Destination;
  readonly payload: unknown;
  readonly options?: OutboxSendOptions;
}

export interface OutboxDeps {
  readonly dataSource: DataSource;
  readonly store: OutboxStore;
  readonly relay: Pick<OutboxRelay, 'chooseLane' | 'committed'>;
  readonly transactionHost: TransactionHost;
  readonly defaults: OutboxMessageDefaults;
  readonly ordering: 'natural' | 'strict';
}

/**
 * Writes messages into the caller's database transaction. They are sent when, and only when, it is committed:
 * at once by this instance, or later by whichever instance is alive then.
 */
export class Outbox {
  private lanes: number | undefined;

  constructor(private readonly deps: OutboxDeps) {}

  /**
   * Writes one row in the transaction of `tx`.
   *
   * @throws RocketMQError `NO_TRANSACTION` outside a transaction or after it ended, `INVALID_ARGUMENT`,
   * `INVALID_CONFIGURATION` (a connection that does not exist), `MESSAGE_TOO_LARGE`, `SERIALIZATION_FAILED` before
   * anything was written
   */
  send(
    tx: EntityManager,
    destination: string | Destination,
    payload: unknown,
    options?: OutboxSendOptions,
  ): Promise<OutboxReceipt>;
  /** Writes one row in the ambient transaction, see {@link TransactionHost}. */
  send(
    destination: string | Destination,
    payload: unknown,
    options?: OutboxSendOptions,
  ): Promise<OutboxReceipt>;
  async send(...args: unknown[]): Promise<OutboxReceipt> {
    const [tx, destination, payload, options] = isDestination(args[0]) ? [this.ambient(), ...args] : args;
    const [receipt] = await this.write(tx as EntityManager | undefined, 'outbox.send', [
      {
        destination: destination as string | Destination,
        payload,
        options: options as OutboxSendOptions | undefined,
      },
    ]);
    return receipt as OutboxReceipt;
  }

  /** Writes many rows with one statement; none when one of them is wrong. Receipts in the order given. */
  sendAll(tx: EntityManager, entries: readonly OutboxEntry[]): Promise<readonly OutboxReceipt[]>;
  sendAll(entries: readonly OutboxEntry[]): Promise<readonly OutboxReceipt[]>;
  async sendAll(
    ...args: [EntityManager, readonly OutboxEntry[]] | [readonly OutboxEntry[]]
  ): Promise<readonly OutboxReceipt[]> {
    return args.length === 2
      ? this.write(args[0], 'outbox.sendAll', args[1])
      : this.write(this.ambient(), 'outbox.sendAll', args[0]);
  }

  /** Asked at every call: whoever knows the transaction may have outlived it. */
  private ambient(): EntityManager | undefined {
    const manager = this.deps.transactionHost.current();
    return manager?.queryRunner ? manager : undefined;
  }

  private async write(
    tx: EntityManager | undefined,
    what: string,
    entries: readonly {
      destination: string | Destination;
      payload: unknown;
      options?: OutboxSendOptions | undefined;
    }[],
  ): Promise<readonly OutboxReceipt[]> {
    const { dataSource, store, relay, defaults, ordering } = this.deps;
    const queryRunner = assertTransaction(tx, dataSource, what);
    const unplaced = entries.map(({ destination, payload, options = {} }) =>
      toUnplacedRow(destination, payload, options, defaults),
    );
    if (unplaced.length === 0) return [];
    const { manager } = queryRunner;
    const totalLanes = this.lanes ?? (await this.readLanes(manager));
    const placedRows = unplaced.map((row) => placed(row, laneFor(row, relay, totalLanes)));
    const rows = ordering === 'natural' ? placedRows : await this.numbered(manager, placedRows);
    const written = await store.insert(manager, rows);
    const committed = rows.map((row, index): CommittedRow => {
      const added = written[index] as WrittenOutboxRow;
      return { row: toWrittenRow(row, added), exact: added.exact };
    });
    journalOf(queryRunner).afterCommit.push((trusted) => relay.committed(committed, trusted));
    return rows.map(({ messageId }) => ({ messageId }));
  }

  /** With the next numbers of their keys, in strict order. */
  private async numbered(tx: EntityManager, rows: readonly NewOutboxRow[]): Promise<readonly NewOutboxRow[]> {
    const counts = new Map<string, number>();
    for (const { orderingKey: key } of rows)
      if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
    if (counts.size === 0) return rows;
    const last = new Map(await this.deps.store.nextSequences(tx, counts));
    const next = new Map([...counts].map(([key, count]) => [key, (last.get(key) ?? count) - count + 1]));
    return rows.map((row) => {
      if (row.orderingKey === undefined) return row;
      const sequence = next.get(row.orderingKey) ?? 1;
      next.set(row.orderingKey, sequence + 1);
      return { ...row, sequence, headers: { ...row.headers, [SEQUENCE_HEADER]: String(sequence) } };
    });
  }

  /** Read once, on the caller's own connection: the pool may have no other left. */
  private async readLanes(tx: EntityManager): Promise<number> {
    const lanes = await this.deps.store.lanes(tx);
    if (lanes === 0) {
      throw new RocketMQError(
        'SCHEMA_MISMATCH',
        'The outbox has no lanes. Run the migrations of nestjs-rocketmq/migrations.',
      );
    }
    this.lanes = lanes;
    return lanes;
  }
}

/** Header with the place of a message among those of its ordering key, from 1; in strict order only. */
export const SEQUENCE_HEADER = 'rmq-sequence';

function laneFor(row: UnplacedRow, relay: Pick<OutboxRelay, 'chooseLane'>, lanes: number): number {
  return row.orderingKey === undefined ? relay.chooseLane(lanes) : laneOf(row.orderingKey, lanes);
}

function isDestination(value: unknown): value is string | Destination {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && 'topic' in value);
}

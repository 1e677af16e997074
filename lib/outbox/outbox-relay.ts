import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { atMost, pause, type Clock } from '../client/clock.js';
import type { Producer } from '../client/producer.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { LeaseJob, type JobLease } from '../database/lease-job.js';
import { Dispatcher } from './dispatcher.js';
import { LaneKeeper } from './lane-keeper.js';
import { LaneReader } from './lane-reader.js';
import { LaneSet } from './lane-set.js';
import type { Lane, PendingRow } from './lane.js';
import { LEASE_MARGIN_MS, type ResolvedOutboxOptions } from './outbox-options.js';
import type { CommittedRow, OutboxRow } from './outbox-row.js';
import type { OutboxStore } from './outbox-store.js';
import { Parking, type ParkedRow } from './parking.js';
import { reportRelay } from './relay-events.js';
import type { SendFailure } from './send-failure.js';
import { Settler } from './settler.js';

export interface OutboxRelayDeps {
  readonly store: OutboxStore;
  /** Keeps the sweep of the history to one instance. */
  readonly lease: JobLease;
  /** The producer of a connection; undefined is the default connection. */
  readonly producer: (connection: string | undefined) => Producer;
  readonly clock: Clock;
  readonly events: RocketMQEvents;
  readonly options: ResolvedOutboxOptions;
  /** Between 0 and 1, for jitter. @default Math.random */
  readonly random?: () => number;
  /** Id of this instance among the others. @default host name and a random part */
  readonly instance?: string;
}

/** How long acknowledged rows gather before the statement that removes them. */
const SETTLE_GATHER_MS = 2;
/** How often the history is swept, and how many rows with one statement. */
const HISTORY_SWEEP_MS = 600_000;
const HISTORY_BATCH = 5_000;
/** Keyless rows written to one lane before the next is taken: neighbours are removed together. */
const ROWS_PER_LANE = 64;

/**
 * Sends what transactions wrote to the outbox. Reads the lanes it holds, hands rows to the dispatcher, removes what
 * the broker acknowledged, puts aside what it refuses. Several instances share the lanes; one that dies loses its
 * lanes when their lease ends.
 *
 * Nothing that is committed is lost: a row leaves the table only after the broker acknowledged it, or into the table
 * of parked rows. What is lost at a crash is knowledge, so messages may be sent twice, with the same id.
 */
export class OutboxRelay {
  /** Id of this instance in the database. */
  readonly instance: string;
  private readonly lanes: LaneSet;
  private readonly dispatcher: Dispatcher;
  private readonly settler: Settler;
  private readonly parking: Parking;
  private readonly reader: LaneReader;
  private keeper: LaneKeeper | undefined;
  private mover: Promise<void> | undefined;
  private historian: LeaseJob | undefined;
  private draining: Promise<{ readonly abandoned: number }> | undefined;
  private totalLanes = 0;
  private writeLane: Lane | undefined;
  private written = 0;
  private readonly report: ReturnType<typeof reportRelay>;
  private readonly random: () => number;
  /** What a request set in motion must not go on in the request's async context. */
  private readonly scope = new AsyncResource('RocketMQOutboxRelay');

  constructor(private readonly deps: OutboxRelayDeps) {
    const { store, clock, options, events } = deps;
    this.random = deps.random ?? Math.random;
    this.instance = deps.instance ?? `${hostname().slice(0, 40)}-${randomUUID().slice(0, 13)}`;
    this.report = reportRelay(events);
    this.lanes = new LaneSet(options.maxRows, options.maxBytes);
    this.dispatcher = new Dispatcher(
      deps.producer,
      options,
      {
        acknowledged: (rows, sendMs) => this.acknowledged(rows, sendMs),
        refused: (pending, failure, error) => this.refused(pending, failure, error),
        backedOff: (rows, delayMs, error) => this.report.backoff(rows, delayMs, error),
        congested: () => this.settler.size >= options.maxUnsettled,
        dropped: (pending) => this.lanes.remove(pending),
      },
      clock,
      this.random,
    );
    this.settler = new Settler(
      (rows) => this.settle(rows),
      {
        batchSize: Math.ceil(options.maxUnsettled / 2),
        gatherMs: SETTLE_GATHER_MS,
        retryMs: options.pollMaxMs,
      },
      clock,
      () => this.dispatcher.relieved(),
      (error) => this.report.error('settle', error),
    );
    this.parking = new Parking(
      store,
      () => this.lanes.held().filter((lane) => lane.canSend(clock.monotonic())),
      {
        behindDead: options.behindDead,
        retryMs: options.pollMaxMs,
        scanMs: options.parkedScanMs,
        limit: options.fetchSize,
      },
      clock,
      {
        parked: (lane, rows) => this.parked(lane, rows),
        freed: (lane, rows, stillBlocked) => this.freed(lane, rows, stillBlocked),
        returned: (lane, rows, stillBlocked) => this.returned(lane, rows, stillBlocked),
        lost: (lane) => this.parkingLost(lane),
        failed: (error) => this.report.error('park', error),
      },
    );
    this.reader = new LaneReader(
      store,
      this.lanes,
      options,
      {
        found: (rows) => this.found(rows),
        failed: (error) => this.report.error('fetch', error),
      },
      clock,
    );
  }

  /** Begins to take lanes and to send. The tables have been checked before. */
  async start(): Promise<void> {
    if (this.keeper !== undefined || !this.deps.options.relay) return;
    const { store, clock, options } = this.deps;
    this.totalLanes = await store.lanes();
    if (this.draining !== undefined) return; // stopped before it had begun
    this.keeper = new LaneKeeper(
      this.instance,
      store,
      this.lanes,
      { ...options, reserveMs: options.sendTimeoutMs + LEASE_MARGIN_MS, totalLanes: this.totalLanes },
      {
        acquiring: (lanes) => this.acquiring(lanes),
        changed: (gained, lost) => {
          this.report.lanes(this.ownedLanes, gained, lost);
          if (gained.length > 0) this.reader.wake();
        },
        renewed: () => {
          this.dispatcher.resume();
          this.reader.wake();
        },
        failed: (phase, error) => this.report.error(phase, error),
      },
      clock,
      this.random,
    );
    this.keeper.start();
    this.reader.start();
    this.mover = this.parking.returnDueRows();
    this.historian = this.sweepHistory();
    this.historian?.start();
  }

  /** Lanes this instance holds. */
  get ownedLanes(): readonly number[] {
    return this.lanes.held().map(({ lane }) => lane);
  }

  /** Rows in memory, sends under way. */
  get load(): { readonly rows: number; readonly bytes: number; readonly inFlight: number } {
    return { rows: this.lanes.rows, bytes: this.lanes.bytes, inFlight: this.dispatcher.inFlight };
  }

  /** A lane for a row without ordering key: one of this instance's own, so that it can be sent from memory. */
  chooseLane(totalLanes: number): number {
    this.written += 1;
    if (this.writeLane?.state === 'held' && this.written % ROWS_PER_LANE !== 0) return this.writeLane.lane;
    const held = this.lanes.held();
    this.writeLane = held[Math.floor(this.random() * held.length)];
    return this.writeLane?.lane ?? Math.floor(this.random() * totalLanes);
  }

  /**
   * Rows of a transaction that was committed a moment ago. Those without ordering key go out from memory at once.
   * Those with one are read again, since other instances may have written to the same key before. So are all
   * when the transaction is not `trusted` to have kept what it wrote.
   */
  committed(rows: readonly CommittedRow[], trusted: boolean): void {
    if (this.draining !== undefined) return;
    const now = this.deps.clock.monotonic();
    const ready: PendingRow[] = [];
    let look = false;
    for (const { row, exact } of rows) {
      const lane = this.lanes.get(row.lane);
      if (lane === undefined || !lane.canSend(now)) continue; // its owner will find it
      if (lane.wasFound(row.id)) continue; // it may be sent and removed by now
      if (trusted && exact && row.orderingKey === undefined && this.lanes.hasRoom) {
        const pending = this.lanes.admit(lane, row, now);
        if (pending !== undefined) ready.push(pending);
      } else {
        lane.rewind(row.id);
        look = true;
      }
    }
    this.scope.runInAsyncScope(() => {
      if (ready.length > 0) this.dispatcher.offer(ready);
      if (look) this.reader.wake();
    });
  }

  /** There may be rows nobody told about, in one lane or in all. */
  wake(lane?: number): void {
    const lanes = lane === undefined ? this.lanes.held() : [this.lanes.get(lane)];
    for (const each of lanes) if (each !== undefined) each.wantsSweep = true;
    this.reader.wake();
  }

  /**
   * Stops: no new sends, what is under way gets its answer and is recorded, lanes are given back. Resolves with
   * the number of rows whose outcome was not known in time; they will be sent again. Idempotent.
   */
  drain(timeoutMs: number): Promise<{ readonly abandoned: number }> {
    this.draining ??= this.finish(timeoutMs);
    return this.draining;
  }

  private async finish(timeoutMs: number): Promise<{ readonly abandoned: number }> {
    const { clock, store } = this.deps;
    const deadline = clock.monotonic() + timeoutMs;
    this.keeper?.close();
    this.dispatcher.stop();
    const quiet = (async () => {
      await this.reader.stop();
      while (this.active() > 0 && clock.monotonic() < deadline) await pause(clock, 5);
    })();
    await atMost(clock, Math.max(0, deadline - clock.monotonic()), quiet);
    const abandoned = this.active();
    this.settler.stop();
    this.parking.stop();
    const goodbye = (async () => {
      await Promise.all([this.mover, this.historian?.stop()]);
      await this.keeper?.stop();
      await this.keeper?.leave();
      await store.close();
    })().catch((error: unknown) => this.report.error('release', error));
    // A database that does not answer must not keep the application from stopping.
    await atMost(clock, Math.max(1_000, deadline - clock.monotonic()), goodbye);
    return { abandoned };
  }

  private active(): number {
    return this.lanes.all().reduce((sum, lane) => sum + lane.active, 0);
  }

  private sweepHistory(): LeaseJob | undefined {
    const { store, lease, clock, options, random } = this.deps;
    const { history } = options;
    if (history === false) return undefined;
    return new LeaseJob({
      name: 'outbox-history-sweep',
      owner: this.instance,
      lease,
      clock,
      everyMs: Math.min(HISTORY_SWEEP_MS, history.retentionMs),
      work: async (signal) => {
        while (!signal.aborted) {
          if ((await store.sweepHistory(history.retentionMs, HISTORY_BATCH)) < HISTORY_BATCH) return;
        }
      },
      onError: (error) => this.report.error('sweep', error),
      random,
    });
  }

  private found(rows: readonly PendingRow[]): void {
    const ready: PendingRow[] = [];
    const behind = new Map<Lane, ParkedRow[]>();
    for (const pending of rows) {
      const { row, lane } = pending;
      if (row.orderingKey === undefined) lane.foundFirst(row.id);
      if (row.orderingKey === undefined || !lane.blockedKeys.has(row.orderingKey)) {
        ready.push(pending);
        continue;
      }
      const group = behind.get(lane) ?? [];
      behind.set(lane, group);
      group.push(toBehind(pending));
    }
    this.dispatcher.offer(ready);
    for (const [lane, group] of behind) this.parking.add(lane, group);
  }

  private acknowledged(rows: readonly PendingRow[], sendMs: number): void {
    for (const pending of rows) pending.lane.enter(pending, 'acknowledged');
    this.report.dispatched(rows, sendMs, this.deps.clock.monotonic());
    this.settler.add(rows);
  }

  private async settle(rows: readonly PendingRow[]): Promise<void> {
    const { store, options, clock } = this.deps;
    const startedAt = clock.monotonic();
    const settled = await store.settle(
      rows.map(({ row }) => ({ lane: row.lane, id: row.id })),
      options.history !== false,
    );
    for (const pending of rows) this.lanes.remove(pending);
    this.report.settled(rows.length, clock.monotonic() - startedAt, rows.length - settled);
    this.reader.roomMade(new Set(rows.map(({ lane }) => lane)));
  }

  private refused(pending: PendingRow, failure: SendFailure, cause: unknown): void {
    const { options } = this.deps;
    const { lane, row } = pending;
    const attempts = row.attempts + 1;
    const dead = failure === 'impossible' || attempts >= options.maxAttempts;
    const delayMs = dead ? undefined : this.retryDelay(attempts);
    const error = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    const orders: ParkedRow[] = [
      {
        pending,
        cause,
        order: {
          id: row.id,
          state: dead ? 'dead' : 'retry',
          delayMs,
          attempts,
          error: error.slice(0, 4_000),
        },
      },
    ];
    if (row.orderingKey !== undefined && !(dead && options.behindDead === 'skip')) {
      lane.blockedKeys.add(row.orderingKey);
      const behind = this.dispatcher.withdraw(pending).filter(({ lane: { state } }) => state === 'held');
      orders.push(...behind.map(toBehind));
    }
    this.parking.add(lane, orders);
  }

  private retryDelay(attempts: number): number {
    const { retryMinMs, retryMaxMs } = this.deps.options;
    const ceiling = Math.min(retryMaxMs, retryMinMs * 4 ** Math.min(attempts - 1, 15));
    return ceiling * (0.8 + 0.4 * this.random());
  }

  private parked(lane: Lane, rows: readonly ParkedRow[]): void {
    for (const { pending } of rows) this.lanes.remove(pending);
    this.report.parked(lane, rows, this.deps.clock.now());
    this.reader.roomMade([lane]);
  }

  private freed(lane: Lane, rows: readonly PendingRow[], stillBlocked: readonly string[]): void {
    for (const pending of rows) lane.enter(pending, 'waiting');
    this.unblocked(lane, rows, stillBlocked);
  }

  private returned(lane: Lane, rows: readonly OutboxRow[], stillBlocked: readonly string[]): void {
    const now = this.deps.clock.monotonic();
    const admitted = rows.map((row) => this.lanes.admit(lane, row, now)).filter((it) => it !== undefined);
    this.unblocked(lane, admitted, stillBlocked);
  }

  /** An earlier row of the same key may have been refused since the database was asked: these stay behind it. */
  private unblocked(lane: Lane, rows: readonly PendingRow[], stillBlocked: readonly string[]): void {
    const refused = firstParking(lane);
    const ready: PendingRow[] = [];
    const behind: ParkedRow[] = [];
    for (const pending of [...rows].sort((a, b) => a.row.id - b.row.id)) {
      const { id, orderingKey } = pending.row;
      if (orderingKey === undefined) {
        ready.push(pending);
        continue;
      }
      const first = refused.get(orderingKey);
      if (first === undefined && !stillBlocked.includes(orderingKey)) lane.blockedKeys.delete(orderingKey);
      if (first !== undefined && first < id) behind.push(toBehind(pending));
      else ready.push(pending);
    }
    this.dispatcher.offer(ready);
    if (behind.length > 0) this.parking.add(lane, behind);
  }

  private parkingLost(lane: Lane): void {
    if (lane.state !== 'lost') {
      this.lanes.lose(lane);
      this.report.lanes(this.ownedLanes, [], [lane.lane]);
    }
    for (const pending of lane.rows.values()) if (pending.phase === 'parking') this.lanes.remove(pending);
  }

  private async acquiring(lanes: readonly Lane[]): Promise<void> {
    const { store, options } = this.deps;
    const blocked = await store.blockedKeys(
      lanes.map(({ lane }) => lane),
      options.behindDead,
    );
    for (const { lane, orderingKey } of blocked) {
      lanes.find((candidate) => candidate.lane === lane)?.blockedKeys.add(orderingKey);
    }
  }
}

/** Of every ordering key, the first row that is being put aside. */
function firstParking(lane: Lane): ReadonlyMap<string, number> {
  const first = new Map<string, number>();
  for (const { row, phase } of lane.rows.values()) {
    if (phase !== 'parking' || row.orderingKey === undefined) continue;
    first.set(row.orderingKey, Math.min(row.id, first.get(row.orderingKey) ?? row.id));
  }
  return first;
}

function toBehind(pending: PendingRow): ParkedRow {
  return {
    pending,
    cause: undefined,
    order: { id: pending.row.id, state: 'behind', attempts: pending.row.attempts },
  };
}

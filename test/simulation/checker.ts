import type { StoredMessage } from '../../lib/client/memory/stored-message.js';
import { Laws, type HandlerRun, type Told } from '../laws/laws.js';
import { BUSINESS, EFFECT } from './application-statements.js';
import type { FakeDatabase, Row } from './fake-database.js';
import { INBOX, LOG } from './inbox-statements.js';
import type { Machine } from './machine.js';
import { DISCARDED } from './operator-statements.js';
import { LANE, OUTBOX, type LaneRow } from './outbox-statements.js';
import { PARKED } from './parking-statements.js';
import type { JobPlan, ListenerPlan, Scenario } from './scenario.js';
import type { World } from './world.js';

/**
 * Brings before the laws what was committed, what became visible at the broker and what was handled, from those who
 * did it: nothing of what the code under test says about itself goes in here, except what it tells its callers.
 */
export class Checker {
  readonly #laws: Laws;
  readonly #refusalsLeft: Map<string, number>;
  readonly #failuresLeft: Map<string, number>;
  readonly #jobs = new Map<JobPlan, Told | undefined>();
  readonly #transactional: ReadonlySet<string>;
  #database: FakeDatabase | undefined;
  duplicates = 0;

  constructor(
    private readonly world: World,
    private readonly scenario: Scenario,
  ) {
    this.#laws = new Laws(
      scenario.listeners.map(({ group, topic, mode, idempotent }) => ({
        group,
        topic,
        ordered: mode === 'ordered',
        outside: idempotent === 'lease',
      })),
      ({ text }) => world.violate(text),
    );
    this.#refusalsLeft = new Map(scenario.refusals);
    this.#transactional = new Set(
      scenario.jobs.flatMap(({ kind, messages }) =>
        kind === 'transaction' ? messages.map(({ label }) => label) : [],
      ),
    );
    this.#failuresLeft = new Map(
      scenario.listeners.flatMap(({ group }) =>
        [...scenario.failures].map(([label, count]): [string, number] => [`${group}/${label}`, count]),
      ),
    );
  }

  attach(database: FakeDatabase): void {
    this.#database = database;
    database.onCommit = (table, _key, row) => {
      if (row === undefined) return;
      if (table === BUSINESS) this.#onBusiness(row);
      else if (table === EFFECT) this.#onEffect(row);
      else if (table === DISCARDED) this.#onDiscard(row);
    };
  }

  begun(job: JobPlan): void {
    this.#jobs.set(job, undefined);
    this.world.history.add('job', `begins ${labelsOf(job)}`);
  }

  told(job: JobPlan, told: Told): void {
    this.#jobs.set(job, told);
    this.world.history.add('job', `${labelsOf(job)} is told: ${told}`);
    this.#laws.told(
      job.messages.map(({ label }) => label),
      told,
    );
  }

  /** A message became visible. */
  stored({ topic, body }: Pick<StoredMessage, 'topic' | 'body'>): void {
    if (topic.startsWith('%') || topic.startsWith('TRANS_')) {
      if (topic.startsWith('%DLQ%') || topic.startsWith('TRANS_')) {
        this.world.violate(`A message went to ${topic}: ${body.toString()}`);
      }
      return;
    }
    const { label, key } = JSON.parse(body.toString()) as { label: string; key?: string };
    const again = this.#laws.wasStored(label) ? ' again' : '';
    this.world.history.add('broker', `stores ${label}${again}`);
    const first = this.#laws.stored(label, topic, key);
    // A half message may be ended twice, by its sender and by a check: brokers promise no more.
    if (!first && !this.#transactional.has(label)) this.duplicates += 1;
  }

  /** A process begins to send these messages of the outbox. */
  sending(machine: Machine, messageIds: readonly string[]): void {
    const rows = this.#database?.table(OUTBOX) ?? new Map<string, Row>();
    for (const row of rows.values()) {
      if (!messageIds.includes(row['message_id'] as string)) continue;
      const lane = this.#database?.table(LANE).get(String(row['lane'])) as LaneRow;
      if (lane.owner === machine.name && lane.expires_at >= this.world.clock.monotonic()) continue;
      this.world.violate(
        `A lost lease is not used: ${machine.name} sends row ${String(row['id'])} of lane ${lane.lane}, held by ${lane.owner ?? 'nobody'} until ${lane.expires_at}`,
      );
    }
  }

  /** As the scenario wants it. */
  refuses(messageIds: readonly string[]): boolean {
    if (this.#refusalsLeft.size === 0) return false;
    for (const row of this.#database?.table(OUTBOX).values() ?? []) {
      if (!messageIds.includes(row['message_id'] as string)) continue;
      const { label } = JSON.parse((row['body'] as Buffer).toString()) as { label: string };
      const left = this.#refusalsLeft.get(label) ?? 0;
      if (left === 0) continue;
      this.#refusalsLeft.set(label, left - 1);
      this.world.history.add('broker', `refuses ${label}`);
      return true;
    }
    return false;
  }

  /** A handler begins. */
  handling(machine: Machine, { group, concurrency }: ListenerPlan, label: string): HandlerRun {
    this.world.history.add(machine.name, `${group} handles ${label}`);
    return this.#laws.handling(machine.name, group, concurrency, label);
  }

  /** An effect outside of the database, which no rollback takes back. */
  outsideEffect(machine: Machine, { group }: ListenerPlan, label: string): void {
    this.world.history.add(machine.name, `${group} has its effect outside: ${label}`);
    this.#laws.outsideEffect(group, label);
  }

  shouldFail({ group }: ListenerPlan, label: string): boolean {
    const id = `${group}/${label}`;
    const left = this.#failuresLeft.get(id) ?? 0;
    this.#failuresLeft.set(id, left - 1);
    return left > 0;
  }

  /** Everything committed is delivered and handled, and nothing is left over. */
  get settled(): boolean {
    if ([...this.#jobs.values()].includes(undefined)) return false;
    return this.#laws.complete && this.#tablesEmpty();
  }

  /** Its process died: nobody hears how it ends. */
  orphaned(job: JobPlan): void {
    if (this.#jobs.get(job) === undefined) this.#jobs.set(job, 'unknown');
  }

  /** At the end of the run. */
  finish(): void {
    this.#laws.finish();
    if (!this.#tablesEmpty()) {
      const left = [OUTBOX, PARKED].map((name) => `${this.#database?.table(name).size ?? 0} in ${name}`);
      this.world.violate(`Rows are left over: ${left.join(', ')}`);
    }
    this.#sweptInTime();
    const { maxUnsettled = 0, maxInFlight = 0, batchSize = 1 } = this.scenario.outbox;
    const allowed = this.world.faults * (maxUnsettled + maxInFlight * batchSize);
    const unknown = [...this.#jobs.values()].filter((told) => told === 'unknown').length;
    if (this.duplicates > allowed + unknown && this.scenario.events.length === 0) {
      this.world.violate(`Bounded: ${this.duplicates} messages were sent twice, ${allowed} may be`);
    }
  }

  /** What is remembered is forgotten when it is due, with two looks to spare. */
  #sweptInTime(): void {
    const { sweep } = this.scenario;
    if (sweep === undefined || this.world.faults > 0) return;
    const due = (this.#database?.now() ?? 0) - sweep.retentionMs - 2 * sweep.everyMs;
    for (const name of [INBOX, LOG]) {
      const rows = [...(this.#database?.table(name).values() ?? [])];
      const left = rows.filter((row) => (row['created_at'] as number) < due).length;
      if (left > 0) this.world.violate(`Bounded: ${left} rows of ${name} outlived their retention`);
    }
  }

  #tablesEmpty(): boolean {
    return [OUTBOX, PARKED].every((name) => this.#database?.table(name).size === 0);
  }

  #onBusiness(row: Row): void {
    const label = row['label'] as string;
    const key = row['key'] as string | undefined;
    this.world.history.add('database', `commits ${label}${key === undefined ? '' : ` of key ${key}`}`);
    this.#laws.committed(label, key);
  }

  #onDiscard(row: Row): void {
    const label = row['label'] as string;
    this.world.history.add('database', `commits that the operator discarded ${label}`);
    this.#laws.discarded(label);
  }

  #onEffect(row: Row): void {
    const group = row['group'] as string;
    const label = row['label'] as string;
    this.world.history.add('database', `commits the effect of ${label} for ${group}`);
    this.#laws.effect(group, label, row['key'] as string | undefined);
  }
}

function labelsOf({ messages }: JobPlan): string {
  return messages.map(({ label }) => label).join(' ');
}

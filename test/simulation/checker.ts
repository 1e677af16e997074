import type { StoredMessage } from '../../lib/client/memory/stored-message.js';
import { BUSINESS, EFFECT } from './application-statements.js';
import type { FakeDatabase, Row } from './fake-database.js';
import type { Machine } from './machine.js';
import { LANE, OUTBOX, type LaneRow } from './outbox-statements.js';
import { PARKED } from './parking-statements.js';
import type { JobPlan, ListenerPlan, Scenario } from './scenario.js';
import type { World } from './world.js';

/** What a caller was told about its transaction. */
export type Told = 'committed' | 'rolled-back' | 'unknown';

/**
 * Knows what was committed, what became visible at the broker and what was handled, from those who did it, and
 * compares: nothing of what the code under test says about itself goes in here, except what it tells its callers.
 */
export class Checker {
  /** Labels in the order of their commits, by ordering key. */
  readonly #committedOrder = new Map<string, string[]>();
  readonly #committed = new Set<string>();
  /** How often a label was stored at the broker. */
  readonly #wire = new Map<string, number>();
  /** Labels by key, in the order of their first appearance. */
  readonly #sentOrder = new Map<string, number>();
  /** Effects that are committed, by group and label. */
  readonly #effects = new Map<string, number>();
  readonly #effectOrder = new Map<string, number>();
  readonly #outside = new Map<string, number>();
  readonly #running = new Map<string, number>();
  readonly #refusalsLeft: Map<string, number>;
  readonly #failuresLeft: Map<string, number>;
  readonly #topics = new Map<string, string>();
  readonly #jobs = new Map<JobPlan, Told | undefined>();
  readonly #transactional: ReadonlySet<string>;
  #database: FakeDatabase | undefined;
  duplicates = 0;

  constructor(
    private readonly world: World,
    private readonly scenario: Scenario,
  ) {
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
    };
  }

  begun(job: JobPlan): void {
    this.#jobs.set(job, undefined);
    this.world.history.add('job', `begins ${labelsOf(job)}`);
  }

  told(job: JobPlan, told: Told): void {
    this.#jobs.set(job, told);
    this.world.history.add('job', `${labelsOf(job)} is told: ${told}`);
    const committed = job.messages.every(({ label }) => this.#committed.has(label));
    if (told === 'committed' && !committed) {
      this.world.violate(`The caller of ${labelsOf(job)} was told that it is committed, and it is not`);
    }
    if (told === 'rolled-back' && committed) {
      this.world.violate(`The caller of ${labelsOf(job)} was told that it failed, and it is committed`);
    }
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
    const before = this.#wire.get(label) ?? 0;
    this.#wire.set(label, before + 1);
    this.#topics.set(label, topic);
    this.world.history.add('broker', `stores ${label}${before > 0 ? ' again' : ''}`);
    // A half message may be ended twice, by its sender and by a check: brokers promise no more.
    if (before > 0 && !this.#transactional.has(label)) this.duplicates += 1;
    if (!this.#committed.has(label)) {
      this.world.violate(`Nothing rolled back is sent: ${label} is visible, and not committed`);
    }
    if (key !== undefined && before === 0) this.#inOrder('sent', this.#sentOrder, key, key, label);
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

  /** A handler begins; call the answer when it ends. */
  handling(machine: Machine, { group, concurrency }: ListenerPlan, label: string): () => void {
    const id = `${machine.name}/${group}`;
    const now = (this.#running.get(id) ?? 0) + 1;
    this.#running.set(id, now);
    this.world.history.add(machine.name, `${group} handles ${label}`);
    if (now > concurrency) {
      this.world.violate(`Bounded: ${now} handlers of ${group} run in ${machine.name}, ${concurrency} may`);
    }
    return () => this.#running.set(id, (this.#running.get(id) ?? 0) - 1);
  }

  /** An effect outside of the database, which no rollback takes back. */
  outsideEffect(machine: Machine, { group }: ListenerPlan, label: string): void {
    this.world.history.add(machine.name, `${group} has its effect outside: ${label}`);
    const id = `${group}/${label}`;
    this.#outside.set(id, (this.#outside.get(id) ?? 0) + 1);
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
    for (const label of this.#committed) if (!this.#wire.has(label)) return false;
    return this.#missingEffects().next().done === true && this.#tablesEmpty();
  }

  /** Its process died: nobody hears how it ends. */
  orphaned(job: JobPlan): void {
    if (this.#jobs.get(job) === undefined) this.#jobs.set(job, 'unknown');
  }

  /** At the end of the run. */
  finish(): void {
    for (const label of this.#committed) {
      if (!this.#wire.has(label)) this.world.violate(`Nothing committed is lost: ${label} never appeared`);
    }
    for (const missing of this.#missingEffects()) {
      this.world.violate(`Nothing committed is lost: ${missing} was never handled`);
    }
    if (!this.#tablesEmpty()) {
      const left = [OUTBOX, PARKED].map((name) => `${this.#database?.table(name).size ?? 0} in ${name}`);
      this.world.violate(`Rows are left over: ${left.join(', ')}`);
    }
    const { maxUnsettled = 0, maxInFlight = 0, batchSize = 1 } = this.scenario.outbox;
    const allowed = this.world.faults * (maxUnsettled + maxInFlight * batchSize);
    const unknown = [...this.#jobs.values()].filter((told) => told === 'unknown').length;
    if (this.duplicates > allowed + unknown && this.scenario.events.length === 0) {
      this.world.violate(`Bounded: ${this.duplicates} messages were sent twice, ${allowed} may be`);
    }
  }

  *#missingEffects(): Generator<string> {
    for (const { group, topic, idempotent } of this.scenario.listeners) {
      const effects = idempotent === 'lease' ? this.#outside : this.#effects;
      for (const label of this.#committed) {
        if (this.#topics.get(label) !== undefined && this.#topics.get(label) !== topic) continue;
        if (this.#topics.get(label) === topic && !effects.has(`${group}/${label}`))
          yield `${label} by ${group}`;
      }
    }
  }

  #tablesEmpty(): boolean {
    return [OUTBOX, PARKED].every((name) => this.#database?.table(name).size === 0);
  }

  #onBusiness(row: Row): void {
    const label = row['label'] as string;
    const key = row['key'] as string | undefined;
    this.world.history.add('database', `commits ${label}${key === undefined ? '' : ` of key ${key}`}`);
    if (this.#committed.has(label)) this.world.violate(`One effect: ${label} was committed twice`);
    this.#committed.add(label);
    if (key === undefined) return;
    const order = this.#committedOrder.get(key) ?? [];
    this.#committedOrder.set(key, [...order, label]);
  }

  #onEffect(row: Row): void {
    const group = row['group'] as string;
    const label = row['label'] as string;
    const id = `${group}/${label}`;
    const count = (this.#effects.get(id) ?? 0) + 1;
    this.#effects.set(id, count);
    this.world.history.add('database', `commits the effect of ${label} for ${group}`);
    if (count > 1) this.world.violate(`One effect: ${label} had ${count} effects for ${group}`);
    const listener = this.scenario.listeners.find((each) => each.group === group);
    const key = row['key'] as string | undefined;
    if (listener?.mode !== 'ordered' || key === undefined || count > 1) return;
    this.#inOrder(`handled by ${group}`, this.#effectOrder, `${group}/${key}`, key, label);
  }

  #inOrder(what: string, places: Map<string, number>, id: string, key: string, label: string): void {
    const place = places.get(id) ?? 0;
    places.set(id, place + 1);
    const expected = this.#committedOrder.get(key)?.[place];
    if (expected === label) return;
    this.world.violate(`Order per key: of ${key}, ${label} was ${what} before ${expected ?? 'its commit'}`);
  }
}

function labelsOf({ messages }: JobPlan): string {
  return messages.map(({ label }) => label).join(' ');
}

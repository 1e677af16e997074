/** What a caller was told about its transaction. */
export type Told = 'committed' | 'rolled-back' | 'unknown';

export const LAWS = [
  /** Nothing committed is lost. */
  'lost',
  /** Nothing rolled back is sent. */
  'phantom',
  'one-effect',
  'order',
  /** Callers are told the truth. */
  'told',
  'bounded',
  /** Nothing fails silently, stop means drained, a lost lease is not used, and so on. */
  'other',
] as const;
export type Law = (typeof LAWS)[number];

export interface Violation {
  readonly law: Law;
  /** In one sentence. */
  readonly text: string;
  /** Messages it is about. */
  readonly labels: readonly string[];
}

/** Who has to handle the messages of a topic. */
export interface ExpectedHandler {
  readonly topic: string;
  readonly group: string;
  /** Messages of a key in the order of their commits. */
  readonly ordered: boolean;
  /** Its effect is outside of the database, where it may happen more than once. */
  readonly outside?: boolean;
}

/** One call of a handler. */
export interface HandlerRun {
  /** Its time is over, and its place goes to another. */
  overdue(): void;
  end(): void;
}

/**
 * What is promised, as bookkeeping: told what was committed, stored at the broker, handled and told to callers, it
 * reports what cannot be. It knows nothing of where these events come from: the simulator tells them at the moment
 * they happen, the judge of real processes from their histories.
 */
export class Laws {
  /** Where a label stands in the commits of its ordering key. */
  readonly #places = new Map<string, number>();
  readonly #committedOfKey = new Map<string, number>();
  readonly #committed = new Set<string>();
  /** How often a label was stored at the broker. */
  readonly #wire = new Map<string, number>();
  readonly #topics = new Map<string, string>();
  readonly #discarded = new Set<string>();
  /** The last place seen and its label, by what has an order. */
  readonly #last = new Map<string, { readonly place: number; readonly label: string }>();
  /** Effects that are committed, by group and label. */
  readonly #effects = new Map<string, number>();
  readonly #outside = new Map<string, number>();
  readonly #running = new Map<string, { inTime: number; overdue: number }>();

  constructor(
    private readonly handlers: readonly ExpectedHandler[],
    private readonly violate: (violation: Violation) => void,
  ) {}

  get committedCount(): number {
    return this.#committed.size;
  }

  /** Of messages that were committed: how many reached the broker. */
  get deliveredCount(): number {
    let count = 0;
    for (const label of this.#committed) if (this.#wire.has(label)) count += 1;
    return count;
  }

  /** A transaction that writes this message was committed; calls follow the order of commits of a key. */
  committed(label: string, key?: string): void {
    if (this.#committed.has(label)) {
      this.#report('one-effect', `One effect: ${label} was committed twice`, label);
    }
    this.#committed.add(label);
    if (key === undefined) return;
    const place = this.#committedOfKey.get(key) ?? 0;
    this.#committedOfKey.set(key, place + 1);
    this.#places.set(label, place);
  }

  /** The caller of the transaction that wrote these messages was told how it ended. */
  told(labels: readonly string[], told: Told): void {
    if (labels.length === 0) return;
    const names = labels.join(' ');
    const committed = labels.filter((label) => this.#committed.has(label));
    if (committed.length > 0 && committed.length < labels.length) {
      this.#report('other', `All or nothing: of ${names}, only ${committed.join(' ')} committed`, ...labels);
    }
    if (told === 'committed' && committed.length < labels.length) {
      this.#report('told', `The caller of ${names} was told that it is committed, and it is not`, ...labels);
    }
    if (told === 'rolled-back' && committed.length > 0) {
      this.#report('told', `The caller of ${names} was told that it failed, and it is committed`, ...labels);
    }
  }

  /** Whether the message was visible at the broker before. */
  wasStored(label: string): boolean {
    return this.#wire.has(label);
  }

  /**
   * A message became visible at the broker.
   * @returns whether it is there for the first time
   */
  stored(label: string, topic: string, key?: string): boolean {
    const before = this.#wire.get(label) ?? 0;
    this.#wire.set(label, before + 1);
    this.#topics.set(label, topic);
    if (!this.#committed.has(label)) {
      this.#report('phantom', `Nothing rolled back is sent: ${label} is visible, and not committed`, label);
    }
    // A process that stood still while it sent may still send what an operator has thrown away since.
    const hasPlace = before === 0 && !this.#discarded.has(label);
    if (key !== undefined && hasPlace) this.#inOrder('sent', key, key, label);
    return before === 0;
  }

  /** A message went where nobody handles it any more. */
  buried(label: string, where: string): void {
    this.#report('lost', `Nothing committed is lost: ${label} went to ${where}`, label);
  }

  /** An operator threw it away: it need not appear any more. */
  discarded(label: string): void {
    this.#discarded.add(label);
  }

  /** A handler begins. One that outlives its time gives its place away, but there may be only as many such as places. */
  handling(process: string, group: string, concurrency: number, label: string): HandlerRun {
    const id = `${process}/${group}`;
    const count = this.#running.get(id) ?? { inTime: 0, overdue: 0 };
    this.#running.set(id, count);
    const report = (now: number, allowed: number, which: string): void => {
      if (now <= allowed) return;
      const what = `Bounded: ${now} ${which} of ${group} run in ${process}, ${allowed} may`;
      this.#report('bounded', what, label);
    };
    count.inTime++;
    report(count.inTime, concurrency, 'handlers');
    report(count.inTime + count.overdue, 2 * concurrency, 'handlers, with those whose time is over,');
    let state: 'inTime' | 'overdue' | undefined = 'inTime';
    return {
      overdue: () => {
        if (state !== 'inTime') return;
        state = 'overdue';
        count.inTime--;
        count.overdue++;
      },
      end: () => {
        if (state !== undefined) count[state]--;
        state = undefined;
      },
    };
  }

  /** The effect of a message in the database was committed. */
  effect(group: string, label: string, key?: string): void {
    const id = `${group}/${label}`;
    const count = (this.#effects.get(id) ?? 0) + 1;
    this.#effects.set(id, count);
    if (count > 1)
      this.#report('one-effect', `One effect: ${label} had ${count} effects for ${group}`, label);
    if (!this.#committed.has(label)) {
      this.#report('phantom', `Nothing rolled back is handled: ${group} handled ${label}`, label);
    }
    const ordered = this.handlers.some((handler) => handler.group === group && handler.ordered);
    if (!ordered || key === undefined || count > 1) return;
    this.#inOrder(`handled by ${group}`, `${group}/${key}`, key, label);
  }

  /** An effect outside of the database, which no rollback takes back. */
  outsideEffect(group: string, label: string): void {
    const id = `${group}/${label}`;
    this.#outside.set(id, (this.#outside.get(id) ?? 0) + 1);
  }

  /** Everything committed was stored and handled. */
  get complete(): boolean {
    for (const label of this.#committed) if (!this.#isAccountedFor(label)) return false;
    return this.#unhandled().next().done === true;
  }

  /** Nothing more will come. */
  finish(): void {
    for (const label of this.#committed) {
      if (this.#isAccountedFor(label)) continue;
      this.#report('lost', `Nothing committed is lost: ${label} never appeared`, label);
    }
    for (const [label, group] of this.#unhandled()) {
      this.#report('lost', `Nothing committed is lost: ${label} by ${group} was never handled`, label);
    }
  }

  #isAccountedFor(label: string): boolean {
    return this.#wire.has(label) || this.#discarded.has(label);
  }

  *#unhandled(): Generator<readonly [label: string, group: string]> {
    for (const { group, topic, outside } of this.handlers) {
      const effects = outside === true ? this.#outside : this.#effects;
      for (const label of this.#committed) {
        if (this.#topics.get(label) === topic && !effects.has(`${group}/${label}`)) yield [label, group];
      }
    }
  }

  /** Whether one is missing for good, shows at the end; here it counts who comes after whom. */
  #inOrder(what: string, id: string, key: string, label: string): void {
    const place = this.#places.get(label);
    if (place === undefined) {
      this.#report('order', `Order per key: of ${key}, ${label} was ${what} before its commit`, label);
      return;
    }
    const last = this.#last.get(id);
    if (last !== undefined && place < last.place) {
      this.#report(
        'order',
        `Order per key: of ${key}, ${label} was ${what} after ${last.label}`,
        label,
        last.label,
      );
      return;
    }
    this.#last.set(id, { place, label });
  }

  #report(law: Law, text: string, ...labels: string[]): void {
    this.violate({ law, text, labels });
  }
}

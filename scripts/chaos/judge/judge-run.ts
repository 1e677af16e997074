import { Laws, type HandlerRun, type Law, type Violation } from '../../../test/laws/laws.js';
import { DEAD_LETTERS, EXPECTED_HANDLERS } from '../application/names.js';
import type { Verdict } from '../contract.js';
import type { HistoryEntry } from '../history/history-entry.js';
import { collectExamples } from './examples.js';
import { judgeExit } from './judge-exit.js';

/** What the database holds in the end. */
export interface Outcome {
  /** Those of a key in the order of their commits. */
  readonly messages: readonly {
    readonly label: string;
    readonly topic: string;
    readonly key: string | null;
  }[];
  /** In the order they were written. */
  readonly effects: readonly {
    readonly group: string;
    readonly label: string;
    readonly key: string | null;
  }[];
  /** Messages that are still in the outbox. */
  readonly leftOver: readonly string[];
}

type Stored = Extract<HistoryEntry, { what: 'stored' }>;
type Told = Extract<HistoryEntry, { what: 'told' }>;

/** Clocks of the machine, read by two processes. Milliseconds. */
const TOLERANCE_MS = 50;

/** @param lines those of every history, as often as asked for; of one process in their order */
export async function judgeRun(outcome: Outcome, lines: () => AsyncIterable<string>): Promise<Verdict> {
  const violations: Violation[] = [];
  const laws = new Laws(EXPECTED_HANDLERS, (violation) => violations.push(violation));
  const trial = new Trial(laws, (violation) => violations.push(violation));
  for await (const line of lines()) trial.read(JSON.parse(line) as HistoryEntry);
  trial.conclude(outcome);
  const distinct = (law: Law): number =>
    new Set(violations.filter((each) => each.law === law).flatMap(({ labels }) => labels.slice(0, 1))).size;
  const count = (...of: readonly Law[]): number => violations.filter(({ law }) => of.includes(law)).length;
  return {
    committed: laws.committedCount,
    delivered: laws.deliveredCount,
    lost: distinct('lost'),
    phantom: distinct('phantom'),
    duplicatedOnTheWire: trial.duplicates,
    doubleEffects: count('one-effect'),
    orderViolations: count('order'),
    otherViolations: count('told', 'bounded', 'other'),
    examples: await collectExamples(violations, lines),
  };
}

/** Collects what the histories say, and brings it before the laws once everything is known. */
class Trial {
  duplicates = 0;
  readonly #stored: Stored[] = [];
  readonly #told: Told[] = [];
  /** When the COMMIT of a message was about to be sent. */
  readonly #commits = new Map<string, number>();
  readonly #handling = new Map<string, HandlerRun>();
  readonly #crashed = new Set<string>();

  constructor(
    private readonly laws: Laws,
    private readonly violate: (violation: Violation) => void,
  ) {}

  read(entry: HistoryEntry): void {
    const { who } = entry;
    switch (entry.what) {
      case 'stored':
        this.#stored.push(entry);
        return;
      case 'told':
        this.#told.push(entry);
        return;
      case 'commits':
        for (const label of entry.labels) this.#commits.set(label, entry.at);
        return;
      case 'handles': {
        const { group, label, concurrency } = entry;
        this.#handling.set(`${who} ${group} ${label}`, this.laws.handling(who, group, concurrency, label));
        return;
      }
      case 'handled':
        this.#handling.get(`${who} ${entry.group} ${entry.label}`)?.end();
        return;
      case 'crashes':
        this.#crashed.add(who);
        this.#other(`Nothing fails silently: ${who} crashed: ${entry.error}`);
        return;
      case 'exited': {
        const wrong = judgeExit(entry, this.#crashed);
        if (wrong !== undefined) this.#other(wrong);
        return;
      }
      default:
    }
  }

  conclude({ messages, effects, leftOver }: Outcome): void {
    for (const { label, key } of messages) {
      this.laws.committed(label, key ?? undefined);
      if (!this.#commits.has(label)) this.#other(`${label} is committed, and its work had not ended`, label);
    }
    // A queue is read in its order. Where a key went to two queues, the broker's clock tells.
    for (const entry of this.#stored.toSorted((one, other) => one.storedAt - other.storedAt)) {
      this.#seeOnWire(entry);
    }
    for (const { group, label, key } of effects) this.laws.effect(group, label, key ?? undefined);
    for (const { labels, told } of this.#told) this.laws.told(labels, told);
    this.laws.finish();
    for (const label of leftOver) this.#other(`${label} is left over in the outbox`, label);
  }

  #seeOnWire({ label, topic, key, storedAt }: Stored): void {
    if (topic === DEAD_LETTERS) {
      this.laws.buried(label, 'a dead-letter topic');
      return;
    }
    if (!this.laws.stored(label, topic, key)) this.duplicates += 1;
    const commits = this.#commits.get(label);
    if (commits === undefined || storedAt >= commits - TOLERANCE_MS) return;
    this.violate({
      law: 'phantom',
      text: `Nothing is sent before its COMMIT: ${label} was at the broker ${commits - storedAt} ms earlier`,
      labels: [label],
    });
  }

  #other(text: string, ...labels: string[]): void {
    this.violate({ law: 'other', text, labels });
  }
}

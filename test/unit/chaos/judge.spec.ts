import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../scripts/chaos/contract.js';
import type { HistoryAct, HistoryEntry } from '../../../scripts/chaos/history/history-entry.js';
import { judgeRun, type Outcome } from '../../../scripts/chaos/judge/judge-run.js';

interface Evidence {
  messages: Outcome['messages'][number][];
  effects: Outcome['effects'][number][];
  leftOver: string[];
  entries: HistoryEntry[];
}

const LABELS = ['k1:1/p.1', 'k1:2/p.2', 'p.3.1', 'p.4'] as const;

/** Two orders of a key, a note and a payment; committed, told, stored and handled as it should be. */
function goodRun(): Evidence {
  const entries: HistoryEntry[] = [];
  let at = 1_000;
  const add = (who: string, act: HistoryAct): void => void entries.push({ at: (at += 100), who, ...act });
  const topics = ['orders', 'orders', 'notes', 'payments'] as const;
  const groups = { orders: ['ledger', 'audit'], notes: ['notebook'], payments: ['cashier'] } as const;
  const messages = LABELS.map((label, index) => ({
    label,
    topic: topics[index] as string,
    key: index < 2 ? 'k1' : null,
  }));
  const effects: Evidence['effects'] = [];
  add('p', { what: 'ready' });
  for (const [index, { label, topic, key }] of messages.entries()) {
    const tx = `p.${index + 1}`;
    add('p', { what: 'begins', tx, via: 'runInTransaction' });
    add('p', { what: 'commits', tx, labels: [label] });
    add('p', { what: 'told', tx, told: 'committed', labels: [label] });
    const about = { label, topic, key: key ?? undefined, messageId: tx, queue: `${topic} 0` };
    add('wire', { what: 'stored', ...about, offset: index, storedAt: at });
    for (const group of groups[topic as keyof typeof groups]) {
      add('c', { what: 'handles', group, label, attempt: 1, concurrency: 1 });
      add('c', { what: 'handled', group, label });
      effects.push({ group, label, key });
    }
  }
  for (const who of ['p', 'c']) add(who, exit({}));
  return { messages, effects, leftOver: [], entries };
}

function exit(other: Partial<Extract<HistoryAct, { what: 'exited' }>>): HistoryAct {
  return { what: 'exited', code: 0, signal: null, wasReady: true, asked: true, late: false, ...other };
}

function judgeOf({ entries, ...outcome }: Evidence): Promise<Verdict> {
  return judgeRun(outcome, async function* () {
    for (const entry of entries) yield await Promise.resolve(JSON.stringify(entry));
  });
}

/** The good run, tampered with. */
function tampered(change: (evidence: Evidence) => void): Promise<Verdict> {
  const evidence = goodRun();
  change(evidence);
  return judgeOf(evidence);
}

function stored(evidence: Evidence): Extract<HistoryEntry, { what: 'stored' }>[] {
  return evidence.entries.filter((entry) => entry.what === 'stored');
}

function without(evidence: Evidence, what: HistoryEntry['what'], label: string): void {
  evidence.entries = evidence.entries.filter(
    (entry) => entry.what !== what || !JSON.stringify(entry).includes(JSON.stringify(label)),
  );
}

const CLEAN: Verdict = {
  committed: 4,
  delivered: 4,
  lost: 0,
  phantom: 0,
  duplicatedOnTheWire: 0,
  doubleEffects: 0,
  orderViolations: 0,
  otherViolations: 0,
  examples: [],
};

describe('the judge of chaos acquits', () => {
  it('a run in which everything went well', async () => {
    expect(await judgeOf(goodRun())).toEqual(CLEAN);
  });

  it('processes that were killed, or could not start while something was away', async () => {
    const verdict = await tampered(({ entries }) => {
      entries.push({ at: 1, who: 'killed', ...exit({ code: null, signal: 'SIGKILL', asked: false }) });
      entries.push({ at: 1, who: 'no database', ...exit({ code: 3, wasReady: false, asked: false }) });
    });
    expect(verdict).toEqual(CLEAN);
  });

  it('a caller who was killed before it heard anything', async () => {
    const verdict = await tampered((evidence) => without(evidence, 'told', LABELS[0]));
    expect(verdict).toEqual(CLEAN);
  });

  it('copies on the wire, and counts them', async () => {
    const verdict = await tampered((evidence) => {
      const [first] = stored(evidence);
      evidence.entries.push({ ...first!, offset: 100, storedAt: first!.storedAt + 10_000 });
    });
    expect(verdict).toEqual({ ...CLEAN, duplicatedOnTheWire: 1 });
  });
});

describe('the judge of chaos condemns', () => {
  it.each<[what: string, change: (evidence: Evidence) => void, verdict: Partial<Verdict>]>([
    [
      'a message that never reached the broker',
      (evidence) => without(evidence, 'stored', LABELS[2]),
      { lost: 1, delivered: 3 },
    ],
    [
      'a message that a group did not handle',
      (evidence) => (evidence.effects = evidence.effects.filter(({ group }) => group !== 'audit')),
      { lost: 2 },
    ],
    [
      'a dead letter',
      (evidence) => evidence.entries.push({ ...stored(evidence)[0]!, topic: 'dead letters' }),
      { lost: 1 },
    ],
    [
      'a message of a transaction that was rolled back',
      (evidence) => {
        const { label } = evidence.messages.pop()!;
        evidence.effects = evidence.effects.filter((effect) => effect.label !== label);
        without(evidence, 'told', label);
      },
      { committed: 3, delivered: 3, phantom: 1 },
    ],
    [
      'an effect of a message that nobody committed',
      (evidence) => evidence.effects.push({ group: 'audit', label: 'ghost', key: null }),
      { phantom: 1 },
    ],
    [
      'a message that was at the broker before its COMMIT',
      (evidence) => Object.assign(stored(evidence)[2]!, { storedAt: 1 }),
      { phantom: 1 },
    ],
    ['a double effect', ({ effects }) => effects.push(effects[0]!), { doubleEffects: 1 }],
    [
      'messages of a key that were sent in another order',
      (evidence) => {
        const [one, other] = stored(evidence);
        const { label } = one!;
        Object.assign(one!, { label: other!.label, storedAt: 8_000 });
        Object.assign(other!, { label, storedAt: 9_000 });
      },
      { orderViolations: 1 },
    ],
    [
      'messages of a key that were handled in another order',
      (evidence) => evidence.effects.reverse(),
      { orderViolations: 1 },
    ],
    [
      'a caller who heard "committed", and it is not',
      ({ entries }) =>
        entries.push({ at: 1, who: 'p', what: 'told', tx: 'x', told: 'committed', labels: ['never'] }),
      { otherViolations: 1 },
    ],
    [
      'a caller who heard of a failure, and it is committed',
      ({ entries }) => {
        for (const entry of entries) if (entry.what === 'told') Object.assign(entry, { told: 'rolled-back' });
      },
      { otherViolations: 4 },
    ],
    [
      'a transaction that is committed although its work failed',
      (evidence) => without(evidence, 'commits', LABELS[1]),
      { otherViolations: 1 },
    ],
    [
      'more handlers than may run',
      (evidence) => without(evidence, 'handled', LABELS[0]),
      // Of both groups: the next order is the second at the same time.
      { otherViolations: 2 },
    ],
    ['a row that stays in the outbox', ({ leftOver }) => leftOver.push(LABELS[0]), { otherViolations: 1 }],
    [
      'an error that nobody caught',
      ({ entries }) => {
        entries.push({ at: 1, who: 'c2', what: 'crashes', error: 'Error: oh' });
        entries.push({ at: 2, who: 'c2', ...exit({ code: 1, asked: false }) });
      },
      { otherViolations: 1 },
    ],
    [
      'a process that did not end when it was told to',
      ({ entries }) =>
        entries.push({ at: 1, who: 'c2', ...exit({ code: null, signal: 'SIGKILL', late: true }) }),
      { otherViolations: 1 },
    ],
    [
      'a process that ended by itself',
      ({ entries }) => {
        entries.push({ at: 1, who: 'c2', ...exit({ asked: false }) });
        entries.push({ at: 1, who: 'c3', ...exit({ code: 7 }) });
        entries.push({ at: 1, who: 'c4', ...exit({ code: null, signal: 'SIGSEGV' }) });
      },
      { otherViolations: 3 },
    ],
  ])('%s', async (_what, change, expected) => {
    const { examples, ...figures } = await tampered(change);
    const { examples: _none, ...clean } = CLEAN;
    expect(figures).toEqual({ ...clean, ...expected });
    expect(examples).not.toEqual([]);
  });

  it('and shows what the histories say about the message, in order of time', async () => {
    const { examples } = await tampered((evidence) => without(evidence, 'stored', LABELS[2]));
    const [head, ...lines] = examples[0]!.split('\n');
    expect(head).toBe(`[lost] Nothing committed is lost: ${LABELS[2]} never appeared`);
    expect(lines.map((line) => (JSON.parse(line) as HistoryEntry).what)).toEqual([
      'commits',
      'told',
      'handles',
      'handled',
    ]);
  });
});

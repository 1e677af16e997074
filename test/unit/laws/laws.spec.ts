import { describe, expect, it } from 'vitest';
import { Laws, type ExpectedHandler } from '../../laws/laws.js';

const HANDLERS: readonly ExpectedHandler[] = [
  { topic: 'orders', group: 'ledger', ordered: true },
  { topic: 'orders', group: 'audit', ordered: false },
  { topic: 'calls', group: 'caller', ordered: false, outside: true },
];

/** What the laws say about what happens in `history`. */
function judged(history: (laws: Laws) => void): readonly string[] {
  const found: string[] = [];
  const laws = new Laws(HANDLERS, ({ law, text }) => found.push(`${law}: ${text}`));
  history(laws);
  return found;
}

/** Two orders of key `k`, in order, as it should be. */
function goesWell(laws: Laws): void {
  for (const label of ['k:1', 'k:2']) {
    laws.committed(label, 'k');
    laws.told([label], 'committed');
    laws.stored(label, 'orders', 'k');
    for (const group of ['ledger', 'audit']) laws.effect(group, label, 'k');
  }
}

describe('nothing is said against', () => {
  it('a history in which everything is well', () => {
    const found = judged((laws) => {
      goesWell(laws);
      expect(laws.complete).toBe(true);
      laws.finish();
      expect(laws).toMatchObject({ committedCount: 2, deliveredCount: 2 });
    });
    expect(found).toEqual([]);
  });

  it('copies on the wire, which are told to whoever counts them', () => {
    const found = judged((laws) => {
      goesWell(laws);
      expect(laws.wasStored('k:1')).toBe(true);
      expect(laws.stored('k:1', 'orders', 'k')).toBe(false);
      laws.finish();
    });
    expect(found).toEqual([]);
  });

  it('keys that overtake each other, and listeners without order', () => {
    const found = judged((laws) => {
      for (const key of ['a', 'b']) laws.committed(`${key}:1`, key);
      laws.committed('a:2', 'a');
      for (const label of ['b:1', 'a:1', 'a:2']) laws.stored(label, 'orders', label.slice(0, 1));
      for (const label of ['a:1', 'b:1', 'a:2']) laws.effect('ledger', label, label.slice(0, 1));
      for (const label of ['a:2', 'b:1', 'a:1']) laws.effect('audit', label, label.slice(0, 1));
      laws.finish();
    });
    expect(found).toEqual([]);
  });

  it('a caller who does not know, whatever became of it', () => {
    const found = judged((laws) => {
      goesWell(laws);
      laws.told(['k:1'], 'unknown');
      laws.told(['never'], 'unknown');
      laws.told(['never'], 'rolled-back');
      laws.told([], 'rolled-back');
    });
    expect(found).toEqual([]);
  });

  it('an effect outside of the database that happens twice', () => {
    const found = judged((laws) => {
      laws.committed('call');
      laws.stored('call', 'calls');
      laws.outsideEffect('caller', 'call');
      laws.outsideEffect('caller', 'call');
      laws.finish();
    });
    expect(found).toEqual([]);
  });
});

describe('it is noticed that', () => {
  it.each<[what: string, history: (laws: Laws) => void, found: string]>([
    [
      'a committed message never reaches the broker',
      (laws) => {
        laws.committed('gone');
        expect(laws.complete).toBe(false);
        laws.finish();
      },
      'lost: Nothing committed is lost: gone never appeared',
    ],
    [
      'a group does not handle a message',
      (laws) => {
        laws.committed('k:1', 'k');
        laws.stored('k:1', 'orders', 'k');
        laws.effect('ledger', 'k:1', 'k');
        expect(laws.complete).toBe(false);
        laws.finish();
      },
      'lost: Nothing committed is lost: k:1 by audit was never handled',
    ],
    [
      'an effect outside of the database never happens',
      (laws) => {
        laws.committed('call');
        laws.stored('call', 'calls');
        laws.finish();
      },
      'lost: Nothing committed is lost: call by caller was never handled',
    ],
    [
      'a message is buried',
      (laws) => laws.buried('k:1', '%DLQ%ledger'),
      'lost: Nothing committed is lost: k:1 went to %DLQ%ledger',
    ],
    [
      'a message is visible that nobody committed',
      (laws) => laws.stored('ghost', 'orders'),
      'phantom: Nothing rolled back is sent: ghost is visible, and not committed',
    ],
    [
      'a message is handled that nobody committed',
      (laws) => laws.effect('audit', 'ghost'),
      'phantom: Nothing rolled back is handled: audit handled ghost',
    ],
    [
      'a transaction is committed twice',
      (laws) => {
        laws.committed('k:1', 'k');
        laws.committed('k:1', 'k');
      },
      'one-effect: One effect: k:1 was committed twice',
    ],
    [
      'a handler has its effect twice',
      (laws) => {
        goesWell(laws);
        laws.effect('audit', 'k:1', 'k');
      },
      'one-effect: One effect: k:1 had 2 effects for audit',
    ],
    [
      'messages of a key are sent in another order than committed',
      (laws) => {
        laws.committed('k:1', 'k');
        laws.committed('k:2', 'k');
        laws.stored('k:2', 'orders', 'k');
        laws.stored('k:1', 'orders', 'k');
      },
      'order: Order per key: of k, k:1 was sent after k:2',
    ],
    [
      'messages of a key are handled in another order than committed',
      (laws) => {
        laws.committed('k:1', 'k');
        laws.committed('k:2', 'k');
        laws.effect('ledger', 'k:2', 'k');
        laws.effect('ledger', 'k:1', 'k');
      },
      'order: Order per key: of k, k:1 was handled by ledger after k:2',
    ],
    [
      'a caller hears "committed" of a transaction that is not',
      (laws) => laws.told(['never'], 'committed'),
      'told: The caller of never was told that it is committed, and it is not',
    ],
    [
      'a caller hears of a failure that was none',
      (laws) => {
        laws.committed('k:1', 'k');
        laws.told(['k:1'], 'rolled-back');
      },
      'told: The caller of k:1 was told that it failed, and it is committed',
    ],
    [
      'only a part of a transaction is committed',
      (laws) => {
        laws.committed('a');
        laws.told(['a', 'b'], 'unknown');
      },
      'other: All or nothing: of a b, only a committed',
    ],
    [
      'more handlers run than may',
      (laws) => {
        laws.handling('process', 'audit', 1, 'a').end();
        laws.handling('process', 'audit', 1, 'b');
        laws.handling('another', 'audit', 1, 'c');
        laws.handling('process', 'audit', 1, 'd');
      },
      'bounded: Bounded: 2 handlers of audit run in process, 1 may',
    ],
    [
      'more handlers outlive their time than may',
      (laws) => {
        laws.handling('process', 'audit', 1, 'a').overdue();
        const late = laws.handling('process', 'audit', 1, 'b');
        late.overdue();
        late.end();
        laws.handling('process', 'audit', 1, 'c').overdue();
        laws.handling('process', 'audit', 1, 'd');
      },
      'bounded: Bounded: 3 handlers, with those whose time is over, of audit run in process, 2 may',
    ],
  ])('%s', (_what, history, found) => {
    expect(judged(history)).toEqual([found]);
  });
});

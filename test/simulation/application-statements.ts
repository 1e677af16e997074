import { DatabaseError } from './fake-database.js';
import type { Statement } from './statements.js';

/** Rows of the application's business: what its transactions are about. The truth about what was committed. */
export const BUSINESS = 'business';
/** What consumers did. No unique key: a second effect of a message is a second row. */
export const EFFECT = 'effect';
const AGGREGATE = 'aggregate';
/** Transactions that the application's own checker called rolled back. */
const VOID = 'void';

export const applicationStatements: readonly Statement[] = [
  {
    // An UPDATE of the aggregate's row, which makes writers of one key wait for each other.
    name: 'app.lock',
    text: /^app\.lock$/,
    run: async (tx, [key]) => {
      await tx.lock(AGGREGATE, key as string);
      tx.put(AGGREGATE, key as string, {});
      return {};
    },
  },
  {
    name: 'app.business',
    text: /^app\.business$/,
    run: async (tx, [label, key]) => {
      await tx.lock(BUSINESS, label as string);
      if (tx.get(VOID, label as string) !== undefined) {
        throw new DatabaseError('23505', 'duplicate key value violates unique constraint');
      }
      tx.put(BUSINESS, label as string, { label, key });
      return {};
    },
  },
  {
    // What a checker of the application asks, and makes sure of: a transaction that is late must not commit.
    name: 'app.decide',
    text: /^app\.decide$/,
    run: async (tx, [label]) => {
      await tx.lock(BUSINESS, label as string, { timeoutMs: 300 });
      if (tx.get(BUSINESS, label as string) !== undefined) return { records: [{ outcome: 'commit' }] };
      tx.put(VOID, label as string, {});
      return { records: [{ outcome: 'rollback' }] };
    },
  },
  {
    name: 'app.effect',
    text: /^app\.effect$/,
    run: (tx, [group, label, key]) => {
      tx.put(EFFECT, String(tx.nextOf('effect')), { group, label, key });
      return {};
    },
  },
  {
    // A statement that violates a constraint.
    name: 'app.fail',
    text: /^app\.fail$/,
    run: () => {
      throw Object.assign(new Error('null value violates not-null constraint'), { code: '23502' });
    },
  },
];

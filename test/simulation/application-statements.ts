import type { Statement } from './statements.js';

/** Rows of the application's business: what its transactions are about. The truth about what was committed. */
export const BUSINESS = 'business';
/** What consumers did. No unique key: a second effect of a message is a second row. */
export const EFFECT = 'effect';
const AGGREGATE = 'aggregate';

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
    run: (tx, [label, key]) => {
      tx.put(BUSINESS, label as string, { label, key });
      return {};
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

import type { Statement } from './statements.js';

export const sharedStatements: readonly Statement[] = [
  {
    name: 'session.read-committed',
    text: /^SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED$/,
    run: () => ({}),
  },
  { name: 'session.reset', text: /^RESET default_transaction_isolation$/, run: () => ({}) },
];

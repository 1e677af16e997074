import type { Statement } from './statements.js';

const LEASE = 'rmq_lease';

export const sharedStatements: readonly Statement[] = [
  {
    name: 'session.read-committed',
    text: /^SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED$/,
    run: () => ({}),
  },
  {
    name: 'lease.acquire',
    text: /^INSERT INTO rmq_lease AS l \(name, owner, expires_at\) .* WHERE l\.expires_at < clock_timestamp\(\) OR l\.owner = EXCLUDED\.owner$/,
    run: async (tx, [name, owner, ms]) => {
      await tx.lock(LEASE, name as string);
      const row = tx.get(LEASE, name as string);
      if (row !== undefined && (row['expires_at'] as number) >= tx.now() && row['owner'] !== owner) return {};
      tx.put(LEASE, name as string, { owner, expires_at: tx.now() + (ms as number) });
      return { affected: 1 };
    },
  },
  { name: 'session.reset', text: /^RESET default_transaction_isolation$/, run: () => ({}) },
];

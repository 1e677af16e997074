import { DatabaseError, type Answer, type Row, type Tx } from './fake-database.js';
import type { Statement } from './statements.js';

const GROUP = 'rmq_inbox_group';
export const INBOX = 'rmq_inbox';
export const LOG = 'rmq_transaction_log';

const keyOf = (group: unknown, key: unknown): string => `${String(group)}/${String(key)}`;

function milliseconds(text: unknown): number {
  return Number(String(text).replace('ms', ''));
}

/** The row of a lease, while it is held in this epoch. */
async function leased(tx: Tx, group: unknown, key: unknown, epoch: unknown): Promise<Row | undefined> {
  await tx.lock(INBOX, keyOf(group, key));
  const row = tx.get(INBOX, keyOf(group, key));
  return row?.['epoch'] === epoch && row?.['lease_until'] !== null ? row : undefined;
}

/** Removes the oldest rows that nobody holds. */
async function sweep(
  tx: Tx,
  table: string,
  retentionMs: number,
  limit: number,
  condition: (row: Row) => boolean,
): Promise<Answer> {
  let affected = 0;
  const old = tx
    .rows(table)
    .filter((row) => (row['created_at'] as number) < tx.now() - retentionMs && condition(row))
    .sort((a, b) => (a['created_at'] as number) - (b['created_at'] as number));
  for (const row of old) {
    if (affected === limit) break;
    const id = row['id'] as string;
    if (!(await tx.lock(table, id, { skip: true })) || tx.get(table, id) === undefined) continue;
    tx.remove(table, id);
    affected += 1;
  }
  return { affected };
}

export const inboxStatements: readonly Statement[] = [
  {
    name: 'inbox.find-group',
    text: /^SELECT id FROM rmq_inbox_group WHERE name = \$1$/,
    run: (tx, [name]) => {
      const row = tx.get(GROUP, name as string);
      return { records: row === undefined ? [] : [row] };
    },
  },
  {
    name: 'inbox.add-group',
    text: /^INSERT INTO rmq_inbox_group \(name\) VALUES \(\$1\) ON CONFLICT \(name\) DO NOTHING$/,
    run: async (tx, [name]) => {
      await tx.lock(GROUP, name as string);
      if (tx.get(GROUP, name as string) === undefined) {
        tx.put(GROUP, name as string, { id: tx.nextOf('inbox-group') });
      }
      return {};
    },
  },
  {
    name: 'inbox.record',
    text: /^WITH setting AS MATERIALIZED \( SELECT current_setting\('lock_timeout'\) AS before, set_config\('lock_timeout', \$3, true\) AS now \) INSERT INTO rmq_inbox \(group_id, message_key\) .* ORDER BY k ON CONFLICT DO NOTHING RETURNING message_key/,
    run: async (tx, [group, keys, wait]) => {
      const records: Row[] = [];
      for (const key of [...(keys as string[])].sort()) {
        const id = keyOf(group, key);
        await tx.lock(INBOX, id, { timeoutMs: milliseconds(wait) });
        if (tx.get(INBOX, id) !== undefined) continue;
        tx.put(INBOX, id, { id, lease_until: null, epoch: 0, created_at: tx.now() });
        records.push({ message_key: key });
      }
      return { records };
    },
  },
  {
    name: 'inbox.done',
    text: /^SELECT message_key FROM rmq_inbox WHERE group_id = \$1 AND message_key = ANY \(\$2::uuid\[\]\) AND lease_until IS NULL$/,
    run: (tx, [group, keys]) => ({
      records: (keys as string[])
        .filter((key) => tx.get(INBOX, keyOf(group, key))?.['lease_until'] === null)
        .map((key) => ({ message_key: key })),
    }),
  },
  {
    name: 'inbox.forget',
    text: /^DELETE FROM rmq_inbox WHERE group_id = \$1 AND message_key = ANY \(\$2::uuid\[\]\)$/,
    run: async (tx, [group, keys]) => {
      for (const key of keys as string[]) {
        await tx.lock(INBOX, keyOf(group, key));
        tx.remove(INBOX, keyOf(group, key));
      }
      return {};
    },
  },
  {
    name: 'inbox.count',
    text: /^SELECT count\(\*\) AS n FROM rmq_inbox WHERE group_id = \$1 AND message_key = ANY \(\$2::uuid\[\]\)$/,
    run: (tx, [group, keys]) => ({
      records: [
        { n: (keys as string[]).filter((key) => tx.get(INBOX, keyOf(group, key)) !== undefined).length },
      ],
    }),
  },
  {
    name: 'inbox.claim',
    text: /^INSERT INTO rmq_inbox AS i \(group_id, message_key, lease_until, epoch\) .* WHERE i\.lease_until < clock_timestamp\(\) RETURNING epoch$/,
    run: async (tx, [group, key, leaseMs]) => {
      const id = keyOf(group, key);
      await tx.lock(INBOX, id);
      const row = tx.get(INBOX, id);
      const until = row?.['lease_until'] ?? null;
      if (row !== undefined && (until === null || (until as number) >= tx.now())) return {};
      const epoch = ((row?.['epoch'] as number | undefined) ?? 0) + 1;
      tx.put(INBOX, id, { id, lease_until: tx.now() + (leaseMs as number), epoch, created_at: tx.now() });
      return { records: [{ epoch }] };
    },
  },
  {
    name: 'inbox.remaining',
    text: /^SELECT extract\(epoch FROM lease_until - clock_timestamp\(\)\) \* 1000 AS remaining FROM rmq_inbox WHERE group_id = \$1 AND message_key = \$2$/,
    run: (tx, [group, key]) => {
      const row = tx.get(INBOX, keyOf(group, key));
      if (row === undefined) return {};
      const until = row['lease_until'] as number | null;
      return { records: [{ remaining: until === null ? null : until - tx.now() }] };
    },
  },
  {
    name: 'inbox.extend',
    text: /^UPDATE rmq_inbox SET lease_until = clock_timestamp\(\) \+ \$4 .* AND epoch = \$3 AND lease_until IS NOT NULL$/,
    run: async (tx, [group, key, epoch, leaseMs]) => {
      const row = await leased(tx, group, key, epoch);
      if (row === undefined) return { affected: 0 };
      tx.put(INBOX, keyOf(group, key), { ...row, lease_until: tx.now() + (leaseMs as number) });
      return { affected: 1 };
    },
  },
  {
    name: 'inbox.complete',
    text: /^UPDATE rmq_inbox SET lease_until = NULL WHERE .* AND epoch = \$3 AND lease_until IS NOT NULL$/,
    run: async (tx, [group, key, epoch]) => {
      const row = await leased(tx, group, key, epoch);
      if (row === undefined) return { affected: 0 };
      tx.put(INBOX, keyOf(group, key), { ...row, lease_until: null });
      return { affected: 1 };
    },
  },
  {
    name: 'inbox.release',
    text: /^DELETE FROM rmq_inbox WHERE group_id = \$1 AND message_key = \$2 AND epoch = \$3 AND lease_until IS NOT NULL$/,
    run: async (tx, [group, key, epoch]) => {
      if ((await leased(tx, group, key, epoch)) !== undefined) tx.remove(INBOX, keyOf(group, key));
      return {};
    },
  },
  {
    name: 'inbox.sweep',
    text: /^DELETE FROM rmq_inbox WHERE \(group_id, message_key\) IN \( SELECT group_id, message_key FROM rmq_inbox WHERE created_at < .* AND \(lease_until IS NULL OR lease_until < clock_timestamp\(\)\) ORDER BY created_at LIMIT \$2 FOR UPDATE SKIP LOCKED\)$/,
    run: (tx, [retentionMs, limit]) =>
      sweep(tx, INBOX, retentionMs as number, limit as number, ({ lease_until: until }) =>
        until === null ? true : (until as number) < tx.now(),
      ),
  },
  {
    name: 'log.begin',
    text: /^INSERT INTO rmq_transaction_log \(id, outcome\) VALUES \(\$1, \$2\)$/,
    run: async (tx, [id, outcome]) => {
      await tx.lock(LOG, id as string);
      if (tx.get(LOG, id as string) !== undefined) {
        throw new DatabaseError('23505', 'duplicate key value violates unique constraint');
      }
      tx.put(LOG, id as string, { id, outcome, created_at: tx.now() });
      return { affected: 1 };
    },
  },
  {
    name: 'log.sweep',
    text: /^DELETE FROM rmq_transaction_log WHERE id IN \( SELECT id FROM rmq_transaction_log WHERE created_at < .* ORDER BY created_at LIMIT \$2 FOR UPDATE SKIP LOCKED\)$/,
    run: (tx, [retentionMs, limit]) => sweep(tx, LOG, retentionMs as number, limit as number, () => true),
  },
  {
    name: 'log.has',
    text: /^SELECT 1 FROM rmq_transaction_log WHERE id = \$1$/,
    run: (tx, [id]) => ({ records: tx.get(LOG, id as string) === undefined ? [] : [{}] }),
  },
  {
    name: 'log.look',
    text: /^SELECT outcome FROM rmq_transaction_log WHERE id = \$1$/,
    run: (tx, [id]) => {
      const row = tx.get(LOG, id as string);
      return { records: row === undefined ? [] : [row] };
    },
  },
  {
    name: 'log.decide',
    text: /^WITH setting AS MATERIALIZED \(SELECT set_config\('lock_timeout', \$2, true\)\) INSERT INTO rmq_transaction_log \(id, outcome\) SELECT \$1::uuid, 'R' FROM setting ON CONFLICT DO NOTHING RETURNING id$/,
    run: async (tx, [id, wait]) => {
      await tx.lock(LOG, id as string, { timeoutMs: milliseconds(wait) });
      if (tx.get(LOG, id as string) !== undefined) return {};
      tx.put(LOG, id as string, { id, outcome: 'R', created_at: tx.now() });
      return { records: [{ id }] };
    },
  },
];

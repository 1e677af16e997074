import type { EntityManager } from 'typeorm';
import type { GroupName, TopicName } from './names.js';

/** What every message carries. */
export interface Labelled {
  readonly label: string;
  readonly key?: string;
  readonly n?: number;
}

/**
 * The next number of the key. Its row stays locked until the transaction ends: numbers, and with them the outbox rows
 * that are written afterwards, follow the order of commits.
 */
export async function nextOf(tx: EntityManager, key: string): Promise<number> {
  const rows: { n: string }[] = await tx.query(
    `INSERT INTO chaos_key AS k (key, n) VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET n = k.n + 1 RETURNING n`,
    [key],
  );
  return Number(rows[0]?.n);
}

/** The business row of a message. */
export async function writeMessage(
  tx: EntityManager,
  topic: TopicName,
  { label, key, n }: Labelled,
): Promise<void> {
  await tx.query('INSERT INTO chaos_message (label, topic, key, n) VALUES ($1, $2, $3, $4)', [
    label,
    topic,
    key,
    n,
  ]);
}

export async function writeEffect(
  tx: EntityManager,
  group: GroupName,
  { label, key, n }: Labelled,
): Promise<void> {
  await tx.query('INSERT INTO chaos_effect (grp, label, key, n) VALUES ($1, $2, $3, $4)', [
    group,
    label,
    key,
    n,
  ]);
}

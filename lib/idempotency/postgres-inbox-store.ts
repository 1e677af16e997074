import type { DataSource, EntityManager } from 'typeorm';
import { pooled, within } from '../database/pooled.js';
import type { SqlResult } from '../database/sql-session.js';
import type { InboxStore, LeaseClaim } from './inbox-store.js';

/** PostgreSQL 12 and later. */
export class PostgresInboxStore implements InboxStore {
  private readonly inbox: string;
  private readonly groups: string;

  constructor(
    private readonly dataSource: DataSource,
    prefix: string,
  ) {
    this.inbox = `${prefix}inbox`;
    this.groups = `${prefix}inbox_group`;
  }

  async groupId(group: string): Promise<number> {
    const select = `SELECT id FROM ${this.groups} WHERE name = $1`;
    const { rows } = await this.pooled(select, [group]);
    if (rows[0] !== undefined) return Number(rows[0]['id']);
    await this.pooled(`INSERT INTO ${this.groups} (name) VALUES ($1) ON CONFLICT (name) DO NOTHING`, [group]);
    const created = await this.pooled(select, [group]);
    return Number(created.rows[0]?.['id']);
  }

  async record(
    tx: EntityManager,
    groupId: number,
    keys: readonly string[],
    waitMs: number,
  ): Promise<ReadonlySet<string>> {
    // The lock timeout holds for this statement only, without further round trips. Sorted keys: two batches with
    // common messages wait for each other in one direction.
    const { rows } = await within(tx).query(
      `WITH setting AS MATERIALIZED (
         SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $3, true) AS now
       )
       INSERT INTO ${this.inbox} (group_id, message_key)
       SELECT $1::integer, k FROM setting, unnest($2::uuid[]) AS k ORDER BY k
       ON CONFLICT DO NOTHING
       RETURNING message_key, set_config('lock_timeout', (SELECT before FROM setting), true)`,
      [groupId, keys, `${Math.max(1, Math.round(waitMs))}ms`],
    );
    return new Set(rows.map((row) => plain(row['message_key'])));
  }

  async leased(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await within(tx).query(
      `SELECT message_key FROM ${this.inbox}
       WHERE group_id = $1 AND message_key = ANY ($2::uuid[]) AND lease_until IS NULL`,
      [groupId, keys],
    );
    const done = new Set(rows.map((row) => plain(row['message_key'])));
    return new Set(keys.filter((key) => !done.has(key)));
  }

  async forget(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<void> {
    await within(tx).query(
      `DELETE FROM ${this.inbox} WHERE group_id = $1 AND message_key = ANY ($2::uuid[])`,
      [groupId, keys],
    );
  }

  async count(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<number> {
    const { rows } = await within(tx).query(
      `SELECT count(*) AS n FROM ${this.inbox} WHERE group_id = $1 AND message_key = ANY ($2::uuid[])`,
      [groupId, keys],
    );
    return Number(rows[0]?.['n']);
  }

  async claim(groupId: number, key: string, leaseMs: number): Promise<LeaseClaim> {
    const { rows } = await this.pooled(
      `INSERT INTO ${this.inbox} AS i (group_id, message_key, lease_until, epoch)
       VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond', 1)
       ON CONFLICT (group_id, message_key) DO UPDATE
         SET lease_until = clock_timestamp() + $3 * interval '1 millisecond', epoch = i.epoch + 1
         WHERE i.lease_until < clock_timestamp()
       RETURNING epoch`,
      [groupId, key, leaseMs],
    );
    if (rows[0] !== undefined) return { state: 'claimed', epoch: Number(rows[0]['epoch']) };
    const known = await this.pooled(
      `SELECT extract(epoch FROM lease_until - clock_timestamp()) * 1000 AS remaining FROM ${this.inbox}
       WHERE group_id = $1 AND message_key = $2`,
      [groupId, key],
    );
    const [row] = known.rows;
    // Released in between, without an effect: as if somebody had it a moment ago.
    if (row === undefined) return { state: 'busy', remainingMs: 0 };
    if (row['remaining'] === null) return { state: 'done' };
    return { state: 'busy', remainingMs: Math.max(0, Number(row['remaining'])) };
  }

  async extend(groupId: number, key: string, epoch: number, leaseMs: number): Promise<boolean> {
    const { affected } = await this.pooled(
      `UPDATE ${this.inbox} SET lease_until = clock_timestamp() + $4 * interval '1 millisecond'
       WHERE group_id = $1 AND message_key = $2 AND epoch = $3 AND lease_until IS NOT NULL`,
      [groupId, key, epoch, leaseMs],
    );
    return affected === 1;
  }

  async complete(groupId: number, key: string, epoch: number): Promise<boolean> {
    const { affected } = await this.pooled(
      `UPDATE ${this.inbox} SET lease_until = NULL
       WHERE group_id = $1 AND message_key = $2 AND epoch = $3 AND lease_until IS NOT NULL`,
      [groupId, key, epoch],
    );
    return affected === 1;
  }

  async release(groupId: number, key: string, epoch: number): Promise<void> {
    await this.pooled(
      `DELETE FROM ${this.inbox} WHERE group_id = $1 AND message_key = $2 AND epoch = $3 AND lease_until IS NOT NULL`,
      [groupId, key, epoch],
    );
  }

  async sweep(retentionMs: number, limit: number): Promise<number> {
    const { affected } = await this.pooled(
      `DELETE FROM ${this.inbox} WHERE (group_id, message_key) IN (
         SELECT group_id, message_key FROM ${this.inbox}
         WHERE created_at < clock_timestamp() - $1 * interval '1 millisecond'
           AND (lease_until IS NULL OR lease_until < clock_timestamp())
         ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
      [retentionMs, limit],
    );
    return affected;
  }

  async approximateRows(): Promise<number | undefined> {
    const { rows } = await this.pooled('SELECT reltuples FROM pg_class WHERE oid = to_regclass($1)', [
      this.inbox,
    ]);
    const estimate = Number(rows[0]?.['reltuples'] ?? -1);
    return estimate < 0 ? undefined : estimate;
  }

  private pooled(sql: string, parameters: readonly unknown[]): Promise<SqlResult> {
    return pooled(this.dataSource, (connection) => connection.query(sql, parameters));
  }
}

/** UUID text as 32 hex digits. */
function plain(uuid: unknown): string {
  return (uuid as string).replaceAll('-', '');
}

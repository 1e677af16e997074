import type { DataSource, EntityManager } from 'typeorm';
import { within } from '../database/pooled.js';
import { sqliteGate, type SqliteGate } from '../database/sqlite-gate.js';
import type { SqlResult } from '../database/sql-session.js';
import type { InboxStore, LeaseClaim } from './inbox-store.js';

const NOW = `CAST(unixepoch('subsec') * 1000 AS integer)`;
const KEYS = '(SELECT unhex(value) FROM json_each(?))';

/** SQLite 3.41 or later, one process. Transactions take turns, so a concurrent duplicate waits for its turn. */
export class SqliteInboxStore implements InboxStore {
  private readonly gate: SqliteGate;
  private readonly inbox: string;
  private readonly groups: string;

  constructor(dataSource: DataSource, prefix: string) {
    this.gate = sqliteGate(dataSource);
    this.inbox = `${prefix}inbox`;
    this.groups = `${prefix}inbox_group`;
  }

  groupId(group: string): Promise<number> {
    return this.gate.runNative((tx) => {
      tx.run(`INSERT INTO ${this.groups} (name) VALUES (?) ON CONFLICT (name) DO NOTHING`, group);
      return Number(tx.all(`SELECT id FROM ${this.groups} WHERE name = ?`, group)[0]?.['id']);
    });
  }

  async record(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await within(tx).query(
      `INSERT INTO ${this.inbox} (group_id, message_key, created_at)
       SELECT ?, unhex(value), ${NOW} FROM json_each(?) WHERE true
       ON CONFLICT DO NOTHING RETURNING lower(hex(message_key)) AS message_key`,
      [groupId, JSON.stringify(keys)],
    );
    return keysOf(rows);
  }

  async leased(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await within(tx).query(
      `SELECT lower(hex(message_key)) AS message_key FROM ${this.inbox}
       WHERE group_id = ? AND message_key IN ${KEYS} AND lease_until IS NULL`,
      [groupId, JSON.stringify(keys)],
    );
    const done = keysOf(rows);
    return new Set(keys.filter((key) => !done.has(key)));
  }

  async forget(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<void> {
    await within(tx).query(`DELETE FROM ${this.inbox} WHERE group_id = ? AND message_key IN ${KEYS}`, [
      groupId,
      JSON.stringify(keys),
    ]);
  }

  async count(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<number> {
    const { rows } = await within(tx).query(
      `SELECT count(*) AS n FROM ${this.inbox} WHERE group_id = ? AND message_key IN ${KEYS}`,
      [groupId, JSON.stringify(keys)],
    );
    return Number(rows[0]?.['n']);
  }

  claim(groupId: number, key: string, leaseMs: number): Promise<LeaseClaim> {
    return this.gate.runNative((tx): LeaseClaim => {
      const [claimed] = tx.all(
        `INSERT INTO ${this.inbox} (group_id, message_key, lease_until, epoch, created_at)
         VALUES (?, unhex(?), ${NOW} + ?, 1, ${NOW})
         ON CONFLICT (group_id, message_key) DO UPDATE SET lease_until = excluded.lease_until, epoch = epoch + 1
           WHERE lease_until < ${NOW}
         RETURNING epoch`,
        groupId,
        key,
        leaseMs,
      );
      if (claimed !== undefined) return { state: 'claimed', epoch: Number(claimed['epoch']) };
      const [held] = tx.all(
        `SELECT lease_until - ${NOW} AS remaining FROM ${this.inbox}
         WHERE group_id = ? AND message_key = unhex(?) AND lease_until IS NOT NULL`,
        groupId,
        key,
      );
      if (held === undefined) return { state: 'done' };
      return { state: 'busy', remainingMs: Math.max(0, Number(held['remaining'])) };
    });
  }

  async extend(groupId: number, key: string, epoch: number, leaseMs: number): Promise<boolean> {
    return (
      (await this.held(`UPDATE ${this.inbox} SET lease_until = ${NOW} + ?`, groupId, key, epoch, [
        leaseMs,
      ])) === 1
    );
  }

  async complete(groupId: number, key: string, epoch: number): Promise<boolean> {
    return (await this.held(`UPDATE ${this.inbox} SET lease_until = NULL`, groupId, key, epoch)) === 1;
  }

  async release(groupId: number, key: string, epoch: number): Promise<void> {
    await this.held(`DELETE FROM ${this.inbox}`, groupId, key, epoch);
  }

  sweep(retentionMs: number, limit: number): Promise<number> {
    return this.gate.runNative((tx) =>
      tx.run(
        `DELETE FROM ${this.inbox} WHERE (group_id, message_key) IN (
           SELECT group_id, message_key FROM ${this.inbox}
           WHERE created_at < ${NOW} - ? AND (lease_until IS NULL OR lease_until < ${NOW})
           ORDER BY created_at LIMIT ?)`,
        retentionMs,
        limit,
      ),
    );
  }

  approximateRows(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** A change to a row that is still under this lease. */
  private held(
    change: string,
    groupId: number,
    key: string,
    epoch: number,
    parameters: readonly unknown[] = [],
  ): Promise<number> {
    return this.gate.runNative((tx) =>
      tx.run(
        `${change} WHERE group_id = ? AND message_key = unhex(?) AND epoch = ? AND lease_until IS NOT NULL`,
        ...parameters,
        groupId,
        key,
        epoch,
      ),
    );
  }
}

function keysOf(rows: SqlResult['rows']): ReadonlySet<string> {
  return new Set(rows.map((row) => row['message_key'] as string));
}

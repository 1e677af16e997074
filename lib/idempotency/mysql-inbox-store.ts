import { randomBytes } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { pooled, within } from '../database/pooled.js';
import type { SqlResult } from '../database/sql-session.js';
import type { InboxStore, LeaseClaim } from './inbox-store.js';

const NOW = 'UTC_TIMESTAMP(6)';
const IN_MS = `${NOW} + INTERVAL (? * 1000) MICROSECOND`;

/**
 * MySQL 8 and MariaDB 10.6 or later. How long an insert waits for a concurrent duplicate can be set per statement on
 * MariaDB; on MySQL it is the server's `innodb_lock_wait_timeout`.
 */
export class MysqlInboxStore implements InboxStore {
  private readonly inbox: string;
  private readonly groups: string;
  private mariadb: Promise<boolean> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    prefix: string,
  ) {
    this.inbox = `${prefix}inbox`;
    this.groups = `${prefix}inbox_group`;
  }

  groupId(group: string): Promise<number> {
    return pooled(this.dataSource, async (connection) => {
      const select = `SELECT id FROM ${this.groups} WHERE name = ?`;
      const { rows } = await connection.query(select, [group]);
      if (rows[0] !== undefined) return Number(rows[0]['id']);
      await connection.query(`INSERT IGNORE INTO ${this.groups} (name) VALUES (?)`, [group]);
      const created = await connection.query(select, [group]);
      return Number(created.rows[0]?.['id']);
    });
  }

  async record(
    tx: EntityManager,
    groupId: number,
    keys: readonly string[],
    waitMs: number,
  ): Promise<ReadonlySet<string>> {
    const sorted = [...keys].sort();
    // Tells the rows of this statement from older ones: the server only says how many it wrote.
    const token = randomBytes(6).readUIntBE(0, 6);
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
    const wait = (await this.isMariadb(tx)) ? `SET STATEMENT innodb_lock_wait_timeout = ${seconds} FOR ` : '';
    const { affected } = await within(tx).query(
      `${wait}INSERT IGNORE INTO ${this.inbox} (group_id, message_key, epoch, created_at)
       VALUES ${sorted.map(() => `(?, ?, ?, ${NOW})`).join(', ')}`,
      sorted.flatMap((key) => [groupId, bytes(key), token]),
    );
    if (affected === sorted.length) return new Set(sorted);
    if (affected === 0) return new Set();
    const { rows } = await within(tx).query(
      `SELECT message_key FROM ${this.inbox} WHERE group_id = ? AND message_key IN (?) AND epoch = ?`,
      [groupId, sorted.map(bytes), token],
    );
    return keysOf(rows);
  }

  async leased(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await within(tx).query(
      `SELECT message_key FROM ${this.inbox} WHERE group_id = ? AND message_key IN (?) AND lease_until IS NULL`,
      [groupId, keys.map(bytes)],
    );
    const done = keysOf(rows);
    return new Set(keys.filter((key) => !done.has(key)));
  }

  async forget(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<void> {
    await within(tx).query(`DELETE FROM ${this.inbox} WHERE group_id = ? AND message_key IN (?)`, [
      groupId,
      keys.map(bytes),
    ]);
  }

  async count(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<number> {
    const { rows } = await within(tx).query(
      `SELECT count(*) AS n FROM ${this.inbox} WHERE group_id = ? AND message_key IN (?)`,
      [groupId, keys.map(bytes)],
    );
    return Number(rows[0]?.['n']);
  }

  claim(groupId: number, key: string, leaseMs: number): Promise<LeaseClaim> {
    return pooled(this.dataSource, async (connection) => {
      const inserted = await connection.query(
        `INSERT IGNORE INTO ${this.inbox} (group_id, message_key, lease_until, epoch, created_at)
         VALUES (?, ?, ${IN_MS}, 1, ${NOW})`,
        [groupId, bytes(key), leaseMs],
      );
      if (inserted.affected === 1) return { state: 'claimed', epoch: 1 };
      const { rows } = await connection.query(
        `SELECT epoch, lease_until IS NULL AS done, TIMESTAMPDIFF(MICROSECOND, ${NOW}, lease_until) / 1000 AS remaining
         FROM ${this.inbox} WHERE group_id = ? AND message_key = ?`,
        [groupId, bytes(key)],
      );
      const [row] = rows;
      // Released in between: as if somebody had it a moment ago.
      if (row === undefined) return { state: 'busy', remainingMs: 0 };
      if (Number(row['done']) === 1) return { state: 'done' };
      const remaining = Number(row['remaining']);
      if (remaining > 0) return { state: 'busy', remainingMs: remaining };
      const epoch = Number(row['epoch']);
      const taken = await connection.query(
        `UPDATE ${this.inbox} SET lease_until = ${IN_MS}, epoch = epoch + 1
         WHERE group_id = ? AND message_key = ? AND epoch = ? AND lease_until < ${NOW}`,
        [leaseMs, groupId, bytes(key), epoch],
      );
      return taken.affected === 1
        ? { state: 'claimed', epoch: epoch + 1 }
        : { state: 'busy', remainingMs: leaseMs };
    });
  }

  async extend(groupId: number, key: string, epoch: number, leaseMs: number): Promise<boolean> {
    const { affected } = await this.held(
      `UPDATE ${this.inbox} SET lease_until = ${IN_MS}`,
      groupId,
      key,
      epoch,
      [leaseMs],
    );
    return affected === 1;
  }

  async complete(groupId: number, key: string, epoch: number): Promise<boolean> {
    const { affected } = await this.held(`UPDATE ${this.inbox} SET lease_until = NULL`, groupId, key, epoch);
    return affected === 1;
  }

  async release(groupId: number, key: string, epoch: number): Promise<void> {
    await this.held(`DELETE FROM ${this.inbox}`, groupId, key, epoch);
  }

  async sweep(retentionMs: number, limit: number): Promise<number> {
    const { affected } = await pooled(this.dataSource, (connection) =>
      connection.query(
        `DELETE FROM ${this.inbox} WHERE created_at < ${NOW} - INTERVAL (? * 1000) MICROSECOND
           AND (lease_until IS NULL OR lease_until < ${NOW})
         ORDER BY created_at LIMIT ?`,
        [retentionMs, limit],
      ),
    );
    return affected;
  }

  async approximateRows(): Promise<number | undefined> {
    const [table, schema] = this.inbox.split('.').reverse();
    const { rows } = await pooled(this.dataSource, (connection) =>
      connection.query(
        'SELECT table_rows AS n FROM information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?',
        [schema ?? null, table],
      ),
    );
    return rows[0] === undefined ? undefined : Number(rows[0]['n']);
  }

  /** A change to a row that is still under this lease. */
  private held(
    change: string,
    groupId: number,
    key: string,
    epoch: number,
    parameters: readonly unknown[] = [],
  ): Promise<SqlResult> {
    return pooled(this.dataSource, (connection) =>
      connection.query(
        `${change} WHERE group_id = ? AND message_key = ? AND epoch = ? AND lease_until IS NOT NULL`,
        [...parameters, groupId, bytes(key), epoch],
      ),
    );
  }

  private isMariadb(tx: EntityManager): Promise<boolean> {
    this.mariadb ??= within(tx)
      .query('SELECT VERSION() AS version')
      .then(({ rows }) => /mariadb/i.test(rows[0]?.['version'] as string));
    this.mariadb.catch(() => (this.mariadb = undefined));
    return this.mariadb;
  }
}

function bytes(key: string): Buffer {
  return Buffer.from(key, 'hex');
}

function keysOf(rows: SqlResult['rows']): ReadonlySet<string> {
  return new Set(rows.map((row) => (row['message_key'] as Buffer).toString('hex')));
}

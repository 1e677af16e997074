import type { DataSource } from 'typeorm';

/** What is used of a client of `pg`. */
interface PostgresClient {
  on?(event: 'error', listener: () => void): unknown;
  end?(): Promise<unknown>;
  /** False while an answer is outstanding. */
  readonly readyForQuery?: boolean;
  /** As the server said last: idle, in a transaction, in a failed one. */
  getTransactionStatus?(): 'I' | 'T' | 'E' | null;
}

/** What is used of a pool of `pg`. */
interface PostgresPool {
  on?(event: 'connect', listener: (client: PostgresClient) => void): unknown;
  on?(event: 'release', listener: (error: unknown, client: PostgresClient) => void): unknown;
}

/**
 * Keeps two traps of TypeORM with `pg` from users of this library:
 *
 * - TypeORM listens to the errors of a new connection one microtask after the pool has handed it over. A server that
 *   ends the session at that moment (its farewell arrives with the end of the greeting) would end the process: nobody
 *   listens. So somebody does; what becomes of the connection is found out with the next statement.
 * - When the driver gives up waiting (`query_timeout`), it gives up waiting for ROLLBACK too, and the connection goes
 *   back to the pool within its transaction. Whatever runs on it next, by itself, joins that transaction: nobody sees
 *   it, its locks stay, and the end of the connection undoes it. Such a connection is closed instead.
 *
 * `mysql2` needs neither: a statement it gave up waiting for stays in the connection's queue, so ROLLBACK is done
 * before whatever runs next.
 */
export function guardConnections(dataSource: DataSource): void {
  if (dataSource.options.type !== 'postgres') return;
  const { master, slaves = [] } = dataSource.driver as {
    master?: PostgresPool;
    slaves?: readonly PostgresPool[];
  };
  for (const pool of [master, ...slaves]) {
    pool?.on?.('connect', (client) => void client.on?.('error', () => undefined));
    // The pool asks a client after this event whether it is ending, and keeps it otherwise.
    pool?.on?.('release', (_error, client) => {
      if (isBusy(client)) client.end?.().catch(() => undefined);
    });
  }
}

/** In a transaction, or with an answer outstanding that may open one. */
function isBusy(client: PostgresClient): boolean {
  return client.readyForQuery === false || (client.getTransactionStatus?.() ?? 'I') !== 'I';
}

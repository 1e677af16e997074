import type { DataSource } from 'typeorm';

type Listening = (event: string, listener: (subject: Listening) => void) => unknown;
interface Emitter {
  on?: Listening;
}

/**
 * TypeORM listens to the errors of a new PostgreSQL connection one microtask after the pool has handed it over. A
 * server that ends the session at that moment (its farewell arrives with the end of the greeting) would end the process:
 * nobody listens. So somebody does; what becomes of the connection is found out with the next statement.
 */
export function guardConnections(dataSource: DataSource): void {
  if (dataSource.options.type !== 'postgres') return;
  const { master, slaves = [] } = dataSource.driver as { master?: Emitter; slaves?: readonly Emitter[] };
  for (const pool of [master, ...slaves]) {
    pool?.on?.('connect', (client) => void (client as Emitter).on?.('error', () => undefined));
  }
}

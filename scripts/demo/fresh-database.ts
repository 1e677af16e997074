import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

export interface FreshDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** An empty database of its own on the server the URL names. */
export async function createFreshDatabase(serverUrl: string): Promise<FreshDatabase> {
  const name = `demo_${randomBytes(5).toString('hex')}`;
  await onServer(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => onServer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    await client.query(statement);
  } catch (cause) {
    throw new Error(
      `"${statement}" failed: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        'Check that DATABASE_URL names a running PostgreSQL and a user that may create databases, or unset it.',
      { cause },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

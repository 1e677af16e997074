import { Client } from 'pg';

/**
 * Counts the messages the outbox still has, in its tables. The application's own numbers are as fresh as the last
 * report of its relay, seconds; books are checked against the rows.
 */
export async function countOutboxRows(databaseUrl: string): Promise<number> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ count: string }>(
      'SELECT (SELECT count(*) FROM rmq_outbox) + (SELECT count(*) FROM rmq_outbox_parked) AS count',
    );
    return Number(rows[0]?.count);
  } finally {
    await client.end();
  }
}

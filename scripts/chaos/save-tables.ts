import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';

const TABLES = ['rmq_outbox', 'rmq_outbox_parked', 'rmq_outbox_lane', 'rmq_outbox_instance'];

/** For whoever looks for the reason why something was not handled: the database does not outlive the run. */
export async function saveTables(databaseUrl: string, folder: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const table of TABLES) {
      const { rows } = await client.query<{ row: unknown }>(
        `SELECT to_jsonb(t) AS row FROM ${table} t LIMIT 1000`,
      );
      const lines = rows.map(({ row }) => `${JSON.stringify(row)}\n`);
      await writeFile(join(folder, `${table}.jsonl`), lines.join(''));
    }
  } finally {
    await client.end();
  }
}

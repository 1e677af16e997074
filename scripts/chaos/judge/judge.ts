import { Client } from 'pg';
import type { Place, Verdict } from '../contract.js';
import { readLines } from '../history/read-histories.js';
import { judgeRun, type Outcome } from './judge-run.js';

/** Compares what is in the database and at the broker with what processes wrote down about themselves. */
export async function judge({ databaseUrl, folder }: Place): Promise<Verdict> {
  const outcome = await readOutcome(databaseUrl);
  return judgeRun(outcome, () => readLines(folder));
}

async function readOutcome(databaseUrl: string): Promise<Outcome> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const messages = await client.query<Outcome['messages'][number]>(
      'SELECT label, topic, key FROM chaos_message ORDER BY key, n, id',
    );
    const effects = await client.query<Outcome['effects'][number]>(
      'SELECT grp AS "group", label, key FROM chaos_effect ORDER BY id',
    );
    const leftOver = await client.query<{ label: string }>(
      `SELECT convert_from(body, 'UTF8')::json ->> 'label' AS label FROM rmq_outbox
       UNION ALL SELECT convert_from(body, 'UTF8')::json ->> 'label' FROM rmq_outbox_parked`,
    );
    return {
      messages: messages.rows,
      effects: effects.rows,
      leftOver: leftOver.rows.map(({ label }) => label),
    };
  } finally {
    await client.end();
  }
}

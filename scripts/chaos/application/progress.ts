import { Client } from 'pg';
import type { Progress, ProgressReader } from '../contract.js';
import { TOPIC_PLANS } from './names.js';

/** Rows younger than this may still appear below others, since their transactions may still be open. */
const SETTLED_AFTER = '5 minutes';

/** By topic and group: every message of the topic has to be handled by the group. */
const EXPECTED = TOPIC_PLANS.flatMap(([topic, { groups }]) =>
  groups.map(({ name }) => `('${topic}', '${name}')`),
).join(', ');

const UNHANDLED = `NOT EXISTS (SELECT 1 FROM chaos_effect f WHERE f.label = m.label AND f.grp = e.grp)`;

/** Answers undefined while the database cannot be asked, and connects again at the next question. */
export function openProgress(databaseUrl: string): ProgressReader {
  return new Reader(databaseUrl);
}

interface Tally {
  readonly committed: number;
  readonly handled: number;
  /** Everything up to these ids is counted, and handled. */
  readonly message: string;
  readonly effect: string;
}

class Reader implements ProgressReader {
  #client: Promise<Client> | undefined;
  #settled: Tally = { committed: 0, handled: 0, message: '0', effect: '0' };

  constructor(private readonly url: string) {}

  async read(): Promise<Progress | undefined> {
    try {
      return await this.#read(await (this.#client ??= this.#connect()));
    } catch {
      await this.#forget();
      return undefined;
    }
  }

  close(): Promise<void> {
    return this.#forget();
  }

  async #read(client: Client): Promise<Progress> {
    const { message, effect, committed, handled } = this.#settled;
    const { rows } = await client.query<{ committed: number; handled: number; oldest: number }>(
      `SELECT (SELECT count(*)::int FROM chaos_message WHERE id > $1) AS committed,
              (SELECT count(*)::int FROM chaos_effect WHERE id > $2) AS handled,
              coalesce((SELECT extract(epoch FROM clock_timestamp() - min(m.created_at)) * 1000
                          FROM chaos_message m JOIN (VALUES ${EXPECTED}) e (topic, grp) ON e.topic = m.topic
                         WHERE m.id > $1 AND ${UNHANDLED}), 0)::float8 AS oldest`,
      [message, effect],
    );
    const [row] = rows;
    const progress = {
      committed: committed + (row?.committed ?? 0),
      handled: handled + (row?.handled ?? 0),
      oldestUnhandledMs: Math.max(0, row?.oldest ?? 0),
    };
    if ((row?.committed ?? 0) > 2_000) await this.#settle(client);
    return progress;
  }

  /** So that a question stays cheap however long the run is. */
  async #settle(client: Client): Promise<void> {
    const { message, effect, committed, handled } = this.#settled;
    const { rows } = await client.query<Tally>(
      `WITH old AS (
         SELECT
           least(
             (SELECT min(m.id) - 1 FROM chaos_message m JOIN (VALUES ${EXPECTED}) e (topic, grp) ON e.topic = m.topic
               WHERE m.id > $1 AND ${UNHANDLED}),
             (SELECT min(id) - 1 FROM chaos_message WHERE id > $1 AND created_at >= now() - interval '${SETTLED_AFTER}')
           ) AS message,
           (SELECT min(id) - 1 FROM chaos_effect
             WHERE id > $2 AND created_at >= now() - interval '${SETTLED_AFTER}') AS effect)
       SELECT coalesce(old.message, $1::bigint)::text AS message, coalesce(old.effect, $2::bigint)::text AS effect,
         (SELECT count(*)::int FROM chaos_message WHERE id > $1 AND id <= old.message) AS committed,
         (SELECT count(*)::int FROM chaos_effect WHERE id > $2 AND id <= old.effect) AS handled
       FROM old`,
      [message, effect],
    );
    const [row] = rows;
    if (row === undefined) return;
    this.#settled = {
      message: row.message,
      effect: row.effect,
      committed: committed + row.committed,
      handled: handled + row.handled,
    };
  }

  async #connect(): Promise<Client> {
    const client = new Client({
      connectionString: this.url,
      connectionTimeoutMillis: 2_000,
      query_timeout: 10_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async #forget(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.then((connected) => connected.end()).catch(() => undefined);
  }
}

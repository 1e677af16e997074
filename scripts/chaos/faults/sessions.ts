import { Client } from 'pg';
import { between, type FaultKind, type Scene } from './fault.js';

/** What our own sessions are called. */
const OURS = 'chaos-fault';

const CONNECT_AGAIN_MS = 500;

/** A session that goes past the proxies. The server may be away for a moment: another fault may be active. */
async function openSession(scene: Scene): Promise<Client> {
  for (;;) {
    scene.signal.throwIfAborted();
    const client = new Client({
      connectionString: scene.surroundings.direct.databaseUrl,
      connectionTimeoutMillis: 5000,
      application_name: OURS,
    });
    // Another fault may end the server under it.
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch {
      await client.end().catch(() => {});
      await scene.wait(CONNECT_AGAIN_MS);
    }
  }
}

const sessionsKilled: FaultKind = {
  name: 'database sessions killed (pg_terminate_backend)',
  touches: ['database'],
  async strike(scene) {
    const part = scene.random.chance(0.5) ? 1 : 0.5;
    scene.announce({ terminate: 'database sessions', share: part });
    const client = await openSession(scene);
    try {
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE backend_type = 'client backend' AND application_name <> $1 AND random() < $2`,
        [OURS, part],
      );
    } finally {
      await client.end().catch(() => {});
    }
  },
};

/** Holds back whatever waits for old transactions: floors of lanes, vacuum, snapshots. */
const idleTransaction: FaultKind = {
  name: 'a transaction idle for minutes',
  touches: ['idle transaction'],
  recoveryFrom: 'begin',
  background: true,
  async strike(scene) {
    const ms = scene.short ? between(scene, 20, 30) : between(scene, 120, 300);
    scene.announce({ idleTransaction: 'begins', ms });
    let client: Client | undefined;
    try {
      client = await openSession(scene);
      await client.query('CREATE TABLE IF NOT EXISTS chaos_idle (at timestamptz NOT NULL)');
      await client.query('BEGIN');
      // From here on it has an id of its own.
      await client.query('INSERT INTO chaos_idle VALUES (now())');
      await scene.wait(ms);
      scene.announce({ idleTransaction: 'ends' });
      await client.query('ROLLBACK');
    } catch (error) {
      scene.announce({ idleTransaction: 'was ended by something else', how: String(error) });
    } finally {
      await client?.end().catch(() => {});
    }
  },
};

export const SESSION_FAULTS: readonly FaultKind[] = [sessionsKilled, idleTransaction];

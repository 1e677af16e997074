import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Pool, type PoolClient } from 'pg';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { guardConnections } from '../../../lib/database/guard-connections.js';

function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body, 'latin1')]);
}

const WELCOME = Buffer.concat([message('R', '\0\0\0\0'), message('Z', 'I')]);
const FAREWELL = message('E', 'SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');

describe('a PostgreSQL connection that is ended while it is greeted', () => {
  it('does not end the process', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.concat([WELCOME, FAREWELL])));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const pool = new Pool({ host: '127.0.0.1', port, user: 'nobody', password: '', database: 'none' });
    pool.on('error', () => undefined);
    guardConnections({ options: { type: 'postgres' }, driver: { master: pool } } as unknown as DataSource);
    // As TypeORM takes a connection: its listener comes one microtask late.
    const client = await new Promise<PoolClient>((resolve, reject) => {
      pool.connect((error, client) => (client === undefined ? reject(error as Error) : resolve(client)));
    });
    client.on('error', () => undefined);
    await expect(client.query('SELECT 1')).rejects.toThrow();
    client.release(true);
    await pool.end();
    server.close();
  });
});

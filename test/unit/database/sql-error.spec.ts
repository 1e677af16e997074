import { describe, expect, it } from 'vitest';
import { isRefusal } from '../../../lib/database/sql-error.js';

describe('what a failed COMMIT tells', () => {
  it.each([
    ['a unique key checked at the end', { code: '23505', severity: 'ERROR', message: 'duplicate key value' }],
    ['a serialization failure', { code: '40001', severity: 'ERROR', message: 'could not serialize access' }],
    ['a trigger of MySQL', { errno: 1644, sqlState: '45000', message: 'not so' }],
    ['a busy SQLite', { code: 'SQLITE_BUSY', message: 'database is locked' }],
  ])('not committed: %s', (_name, driverError) => {
    expect(isRefusal(Object.assign(new Error('query failed'), { driverError }))).toBe(true);
  });

  it.each([
    ['a server that goes down', { code: '57P01', severity: 'FATAL', message: 'terminating connection' }],
    ['a cut connection', { code: 'ECONNRESET', message: 'read ECONNRESET' }],
    ['a driver that gave up waiting', { message: 'Query read timeout' }],
    ['a broken stream', { code: 'ERR_STREAM_DESTROYED', message: 'write after end' }],
    ['an error of TLS', { code: 'ERR_SSL_BAD_RECORD_MAC', message: 'bad record mac' }],
    ['an answer nobody understands', { message: 'received invalid response: 48' }],
  ])('nothing: %s', (_name, driverError) => {
    expect(isRefusal(Object.assign(new Error('query failed'), { driverError }))).toBe(false);
  });
});

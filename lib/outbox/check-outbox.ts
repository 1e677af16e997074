import type { DataSource } from 'typeorm';
import { checkSchemaVersion } from '../database/schema-version.js';
import { databaseFailure } from '../database/sql-error.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { ResolvedOutboxOptions } from './outbox-options.js';
import type { OutboxStore } from './outbox-store.js';

/** Version of the outbox tables this release was written for. */
const OUTBOX_SCHEMA = 1;

/**
 * What can be known before the first row: tables, their version, the number of lanes, room in the pool.
 *
 * @throws RocketMQError `SCHEMA_MISMATCH`, `INVALID_CONFIGURATION`, `DATABASE_FAILED`
 */
export async function checkOutbox(
  dataSource: DataSource,
  store: Pick<OutboxStore, 'lanes'>,
  options: ResolvedOutboxOptions,
): Promise<void> {
  checkPool(dataSource, options);
  await checkSchemaVersion(dataSource, options.tablePrefix, { feature: 'outbox', version: OUTBOX_SCHEMA });
  const lanes = await store.lanes().catch((error: unknown) => {
    throw databaseFailure(error, 'the lanes of the outbox were counted');
  });
  if (options.lanes !== undefined && options.lanes !== lanes) {
    throw new RocketMQError(
      'SCHEMA_MISMATCH',
      `outbox.lanes is ${options.lanes}, but the database has ${lanes} lanes. The number decides where rows of an ordering key are, so instances must agree: remove the setting, or set ${lanes}.`,
    );
  }
}

/** The relay keeps one connection for itself; the application needs others. */
function checkPool(dataSource: DataSource, { relay, reservedConnections }: ResolvedOutboxOptions): void {
  const size = poolSize(dataSource);
  if (!relay || size === undefined || size > reservedConnections) return;
  throw new RocketMQError(
    'INVALID_CONFIGURATION',
    `The DataSource's pool has ${size} connection(s). The outbox relay keeps one, and ${reservedConnections} must be left to the application: make the pool larger (poolSize), or set outbox.relay to false here.`,
  );
}

function poolSize(dataSource: DataSource): number | undefined {
  const options = dataSource.options as {
    readonly poolSize?: number;
    readonly extra?: { readonly max?: number; readonly connectionLimit?: number };
  };
  return options.poolSize ?? options.extra?.max ?? options.extra?.connectionLimit;
}

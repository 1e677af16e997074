import { base } from './001-base.js';
import { outbox } from './002-outbox.js';
import { inbox } from './003-inbox.js';
import { transactionLog } from './004-transaction-log.js';
import {
  toMigrationClass,
  withDefaults,
  type MigrationClass,
  type MigrationDefinition,
  type MigrationSettings,
} from './define-migration.js';

export type { MigrationClass, MigrationDialect, MigrationSettings } from './define-migration.js';

const DEFINITIONS: Readonly<
  Record<'base' | 'outbox' | 'idempotency' | 'transactions', MigrationDefinition[]>
> = {
  base: [base],
  outbox: [outbox],
  idempotency: [inbox],
  transactions: [transactionLog],
};

/** What has tables of its own. */
export type MigrationFeature = 'outbox' | 'idempotency' | 'transactions';

/**
 * Migration classes for the features named, to be listed under `migrations` of the DataSource. Additive only:
 * an application of the previous release keeps working next to the new one.
 *
 * @throws TypeError for a table prefix or lane count that is not possible
 */
export function createRocketMQMigrations(
  settings: MigrationSettings & { readonly features?: readonly MigrationFeature[] } = {},
): MigrationClass[] {
  const { features = ['outbox', 'idempotency', 'transactions'] } = settings;
  const complete = withDefaults(settings);
  return [...DEFINITIONS.base, ...features.flatMap((feature) => DEFINITIONS[feature])]
    .toSorted((a, b) => a.name.slice(-13).localeCompare(b.name.slice(-13)))
    .map((definition) => toMigrationClass(definition, complete));
}

/** Every table of this library, with default names and 64 lanes. */
export const rocketmqMigrations: MigrationClass[] = createRocketMQMigrations();

/** What the outbox alone needs. */
export const outboxMigrations: MigrationClass[] = createRocketMQMigrations({ features: ['outbox'] });

/** What `@Idempotent()` alone needs. */
export const idempotencyMigrations: MigrationClass[] = createRocketMQMigrations({
  features: ['idempotency'],
});

/** What transactional messages alone need. */
export const transactionMigrations: MigrationClass[] = createRocketMQMigrations({
  features: ['transactions'],
});

/** Every migration in order, for tools that write plain SQL. @internal */
export const migrationDefinitions: readonly MigrationDefinition[] = Object.values(DEFINITIONS).flat();

import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a later release may do to the tables: columns that may be empty or have a default, an index, a table, and a
 * higher version that keeps its word to earlier releases (`compatible_from`).
 */
export class NextRelease1900000000000 implements MigrationInterface {
  readonly name = 'NextRelease1900000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [
      'ALTER TABLE rmq_outbox ADD COLUMN region varchar(20)',
      'ALTER TABLE rmq_outbox_parked ADD COLUMN region varchar(20)',
      'ALTER TABLE rmq_outbox_sent ADD COLUMN region varchar(20)',
      'ALTER TABLE rmq_outbox_lane ADD COLUMN speed integer DEFAULT 7 NOT NULL',
      'ALTER TABLE rmq_inbox ADD COLUMN region varchar(20)',
      'ALTER TABLE rmq_transaction_log ADD COLUMN region varchar(20)',
      'CREATE INDEX rmq_outbox_parked_topic ON rmq_outbox_parked (topic)',
      'CREATE TABLE rmq_outbox_audit (id integer NOT NULL PRIMARY KEY)',
      "UPDATE rmq_schema SET version = 2 WHERE feature IN ('outbox', 'inbox', 'transaction-log')",
    ]) {
      await queryRunner.query(statement);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('not needed'));
  }
}

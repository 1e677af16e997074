import type { MigrationInterface, QueryRunner } from 'typeorm';

export class DeadLetters1760000000004 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE dead_letters (
        consumer_group text NOT NULL,
        message_id text NOT NULL,
        topic text NOT NULL,
        tag text,
        keys jsonb NOT NULL,
        ordering_key text,
        headers jsonb NOT NULL,
        body bytea NOT NULL,
        arrived_at timestamptz NOT NULL,
        PRIMARY KEY (consumer_group, message_id)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE dead_letters');
  }
}

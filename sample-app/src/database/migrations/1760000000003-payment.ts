import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Payment1760000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE payments (
        order_id uuid PRIMARY KEY,
        amount integer NOT NULL,
        status text NOT NULL
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE payments');
  }
}

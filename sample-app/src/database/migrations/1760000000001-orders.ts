import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Orders1760000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE orders (
        id uuid PRIMARY KEY,
        product text NOT NULL,
        quantity integer NOT NULL CHECK (quantity > 0),
        amount integer NOT NULL,
        status text NOT NULL,
        created_at timestamptz NOT NULL
      )`);
    await runner.query(`
      CREATE TABLE order_history (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id uuid NOT NULL REFERENCES orders (id),
        status text NOT NULL,
        note text NOT NULL,
        at timestamptz NOT NULL
      )`);
    await runner.query('CREATE INDEX order_history_order ON order_history (order_id, id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE order_history');
    await runner.query('DROP TABLE orders');
  }
}

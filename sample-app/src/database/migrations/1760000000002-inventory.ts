import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Inventory1760000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // The last line is the law of this table. A message that took effect twice would sooner or later break it.
    await runner.query(`
      CREATE TABLE stock (
        product text PRIMARY KEY,
        initial integer NOT NULL,
        available integer NOT NULL CHECK (available >= 0),
        reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
        sold integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
        CHECK (available + reserved + sold = initial)
      )`);
    await runner.query(`
      CREATE TABLE reservations (
        order_id uuid PRIMARY KEY,
        product text NOT NULL REFERENCES stock (product),
        quantity integer NOT NULL CHECK (quantity > 0),
        status text NOT NULL
      )`);
    await runner.query(`
      INSERT INTO stock (product, initial, available)
      VALUES ('keyboard', 100, 100), ('monitor', 20, 20), ('headset', 50, 50)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE reservations');
    await runner.query('DROP TABLE stock');
  }
}

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { withDefaults, type MigrationDialect } from '../../../migrations/define-migration.js';
import {
  createRocketMQMigrations,
  migrationDefinitions,
  rocketmqMigrations,
} from '../../../migrations/index.js';

const DIALECTS: readonly MigrationDialect[] = ['postgres', 'mysql', 'sqlite'];

describe('plain SQL beside the migrations', () => {
  for (const dialect of DIALECTS) {
    it.each(migrationDefinitions.map(({ file }) => file))(
      `says what the class does: ${dialect}/%s`,
      (file) => {
        const definition = migrationDefinitions.find((each) => each.file === file);
        const statements = definition?.up(dialect, withDefaults()) ?? [];
        const expected = `${statements.join(';\n\n')};\n`;
        const path = fileURLToPath(new URL(`../../../migrations/sql/${dialect}/${file}`, import.meta.url));
        // WRITE_SQL=1 writes the files of a new migration; released ones never change.
        if (process.env['WRITE_SQL'] === '1') {
          mkdirSync(dirname(path), { recursive: true });
          writeFileSync(path, expected);
        }
        expect(readFileSync(path, 'utf8')).toBe(expected);
      },
    );
  }
});

describe('the migration classes', () => {
  it('have names TypeORM can sort, the shared tables first', () => {
    const names = rocketmqMigrations.map((Migration) => new Migration().name ?? '');
    expect(names).toEqual(names.toSorted((a, b) => a.slice(-13).localeCompare(b.slice(-13))));
    for (const name of names) expect(name).toMatch(/^RocketMQ[A-Za-z]+\d{13}$/);
    expect(names[0]).toMatch(/^RocketMQBase/);
  });

  it('can be had for one feature', () => {
    const names = createRocketMQMigrations({ features: ['idempotency'] }).map(
      (Migration) => new Migration().name,
    );
    expect(names).toEqual(['RocketMQBase1764000000001', 'RocketMQInbox1764000000003']);
  });

  it('refuse a prefix or a number of lanes that is not possible', () => {
    expect(() => createRocketMQMigrations({ tablePrefix: 'a b' })).toThrow(/not a plain name/);
    expect(() => createRocketMQMigrations({ lanes: 0 })).toThrow(/Choose 1 to 1024/);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findMariadb } from '../../../scripts/stack/mariadb.js';

const PARTS = ['mariadbd', 'mariadb-install-db', 'my_print_defaults'];

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'mariadb-parts-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const install = (parts: readonly string[]): void => {
  for (const part of parts) writeFileSync(join(folder, part), '#!/bin/sh\n', { mode: 0o755 });
};

describe('MariaDB is there', () => {
  it('when all its parts are', () => {
    install(PARTS);
    expect(findMariadb({ PATH: folder })).toEqual({
      server: join(folder, 'mariadbd'),
      install: join(folder, 'mariadb-install-db'),
    });
  });

  // The server itself is looked for outside the PATH too.
  it.each(PARTS.slice(1))('but not without %s', (missing) => {
    install(PARTS.filter((part) => part !== missing));
    expect(findMariadb({ PATH: folder })).toBeUndefined();
  });
});

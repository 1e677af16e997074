import { appendFileSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashFolder, readLock, verifyFolder, type LockFile } from '../../../scripts/stack/lock-file.js';
import { RELEASES } from '../../../scripts/stack/releases.js';

let folder: string;
let lock: LockFile;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  writeFileSync(join(folder, 'broker.jar'), 'the broker');
  writeFileSync(join(folder, 'client.jar'), 'the client');
  lock = { release: '5.5.0', artifacts: [], files: await hashFolder(folder) };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a folder of jars', () => {
  it('that is what the lock says passes', async () => {
    await expect(verifyFolder(folder, lock)).resolves.toBeUndefined();
  });

  it('is known by the sha256 of its files', () => {
    // printf 'the broker' | sha256sum
    expect(lock.files['broker.jar']).toBe('a2c667ac11921f76e2ccbc1f3f44478c46c4009c055ec56a52a921fcd6d0c20c');
  });

  it('with a changed file is refused by the name of the file', async () => {
    appendFileSync(join(folder, 'broker.jar'), '!');
    await expect(verifyFolder(folder, lock)).rejects.toThrow(
      /broker\.jar: its sha256 is not the one in the lock/,
    );
    await expect(verifyFolder(folder, lock)).rejects.not.toThrow(/client\.jar/);
  });

  it('with a missing file is refused by the name of the file', async () => {
    unlinkSync(join(folder, 'client.jar'));
    await expect(verifyFolder(folder, lock)).rejects.toThrow(/client\.jar: missing/);
  });

  it('with a file too many is refused: everything in it would be on the classpath', async () => {
    writeFileSync(join(folder, 'intruder.jar'), '');
    await expect(verifyFolder(folder, lock)).rejects.toThrow(/intruder\.jar: not in the lock/);
  });
});

describe('every release of the catalogue', () => {
  it.each(RELEASES)('$version has a lock with its own broker in it', async (release) => {
    const { files, artifacts } = await readLock(release);
    expect(artifacts).toEqual(release.artifacts);
    expect(files).toHaveProperty([`rocketmq-broker-${release.version}.jar`]);
    for (const sum of Object.values(files)) expect(sum).toMatch(/^[\da-f]{64}$/);
  });
});

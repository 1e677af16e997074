import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findOnPath, parseJavaMajor, requireJava } from '../../../scripts/stack/tools.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tools-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function fakeJava(versionLine: string): void {
  writeFileSync(join(folder, 'java'), `#!/bin/sh\necho '${versionLine}' >&2\n`);
  chmodSync(join(folder, 'java'), 0o755);
}

describe('looking for Java', () => {
  it('says what to install, or to name a cluster, when there is none', async () => {
    await expect(requireJava({ PATH: folder })).rejects.toThrow(
      /there is none on the PATH\. Install Java 17 .*openjdk-17-jre-headless.*ROCKETMQ_NAME_SERVER/s,
    );
  });

  it('says so when it is too old', async () => {
    fakeJava('java version "1.7.0_80"');
    await expect(requireJava({ PATH: folder })).rejects.toThrow(
      /needs Java 8 or newer.*1\.7\.0_80.*Install Java 17/s,
    );
  });

  it('says so when JAVA_HOME names a place without Java, even if there is one on the PATH', async () => {
    fakeJava('openjdk version "17.0.15"');
    await expect(requireJava({ PATH: folder, JAVA_HOME: '/nowhere' })).rejects.toThrow(
      /\/nowhere\/bin\/java/,
    );
  });

  it('takes the one on the PATH', async () => {
    fakeJava('openjdk version "17.0.15" 2025-04-15');
    expect(await requireJava({ PATH: `/nowhere:${folder}` })).toBe(join(folder, 'java'));
  });

  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['java version "1.8.0_392"', 8],
    ['openjdk version "21-ea" 2023-09-19', 21],
    ['what?', undefined],
  ])('understands %s', (line, major) => {
    expect(parseJavaMajor(line)).toBe(major);
  });
});

describe('looking for a command', () => {
  it('passes over files that cannot be executed', () => {
    writeFileSync(join(folder, 'mvn'), '');
    expect(findOnPath('mvn', { PATH: folder })).toBeUndefined();
  });
});

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { markThrowAway, sweepAbandoned } from '../../../scripts/stack/throw-away-folder.js';

let parent: string;
beforeEach(() => (parent = mkdtempSync(join(tmpdir(), 'throw-away-'))));
afterEach(() => rmSync(parent, { recursive: true, force: true }));

it('removes folders whose owner has ended, and nothing else', async () => {
  const owners = {
    ended: '{"pid":1,"startedAt":"long ago"}',
    'just being written': '',
    'half written': '{"pid":',
    'of something else': '{"name":"x"}',
    'also of something else': 'null',
  };
  for (const [name, owner] of Object.entries(owners)) {
    mkdirSync(join(parent, name));
    writeFileSync(join(parent, name, 'owner.json'), owner);
  }
  for (const name of ['without owner', 'mine']) mkdirSync(join(parent, name));
  await markThrowAway(join(parent, 'mine'));

  await sweepAbandoned(parent);

  const there = [...Object.keys(owners), 'without owner', 'mine'].filter((name) =>
    existsSync(join(parent, name)),
  );
  expect(there.toSorted()).toEqual(
    [...Object.keys(owners), 'without owner', 'mine'].filter((name) => name !== 'ended').toSorted(),
  );
});

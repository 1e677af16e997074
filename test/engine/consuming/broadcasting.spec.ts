import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ACK, RETRY } from '../../../lib/client/push-consumer.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { text, useScenario, type ConsumingOptions } from './scenario.js';

describe('broadcasting', () => {
  const scenario = useScenario();
  let folder = '';

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rocketmq-offsets-'));
  });
  afterEach(async () => {
    await scenario().close();
    await rm(folder, { recursive: true, force: true });
  });

  const broadcasting = (instanceName: string, more: ConsumingOptions = {}): ConsumingOptions => ({
    model: 'broadcasting',
    offsetStoreFolder: folder,
    client: { instanceName },
    ...more,
  });

  it('gives every member every message', async () => {
    await scenario().createTopic();
    const members = [
      await scenario().consume(broadcasting(uniqueName('one'))),
      await scenario().consume(broadcasting(uniqueName('two'))),
    ];
    const all = (await scenario().sendMany(40)).sort();
    for (const { bodies, consumer } of members) {
      await waitFor(() => bodies().length === 40);
      expect(bodies().sort()).toEqual(all);
      expect(consumer.assignment()).toHaveLength(4);
    }
  });

  it('continues where this member stopped', async () => {
    const name = uniqueName('member');
    await scenario().createTopic();
    const first = await scenario().consume(broadcasting(name));
    await scenario().sendMany(10, 'one-');
    await waitFor(() => first.bodies().length === 10);
    await first.client.close();
    const missed = await scenario().sendMany(10, 'two-');
    const again = await scenario().consume(broadcasting(name));
    await waitFor(() => again.bodies().length === 10);
    expect(again.bodies().sort()).toEqual(missed.sort());
  });

  it('continues also when the client was given no name of its own', async () => {
    await scenario().createTopic(1);
    const warnings: string[] = [];
    const options: ConsumingOptions = {
      model: 'broadcasting',
      offsetStoreFolder: folder,
      client: {
        instanceName: undefined as never,
        log: (level, message) => void (level === 'warn' && warnings.push(message)),
      },
    };
    const first = await scenario().consume(options);
    // A second process of this host would use the same file.
    expect(warnings).toEqual([expect.stringMatching(/DEFAULT.*instanceName/)]);
    await scenario().sendMany(3, 'one-');
    await waitFor(() => first.bodies().length === 3);
    await first.client.close();
    await scenario().sendMany(3, 'two-');
    const again = await scenario().consume(options);
    await waitFor(() => again.bodies().length === 3);
    expect(again.bodies().every((body) => body.startsWith('two-'))).toBe(true);
    expect(await offsetsFile()).toContain('/DEFAULT/');
  });

  it('stores offsets while it runs, and replaces the file as a whole', async () => {
    await scenario().createTopic(1);
    const { bodies } = await scenario().consume(broadcasting(uniqueName('member')));
    await scenario().sendMany(8);
    await waitFor(() => bodies().length === 8);
    const file = await waitFor(() => offsetsFile());
    await waitFor(async () => Object.values(await offsetsIn(file)).includes(8));
    expect((await readdir(join(file, '..'))).sort()).toEqual(['offsets.json', 'offsets.json.bak']);
  });

  it.each([
    ['is cut off', (content: string) => content.slice(0, content.length / 2)],
    ['is empty', () => ''],
    ['holds something else', () => '{"offsets":{"queue":"twelve"}}'],
  ])('takes the copy of before when the file %s', async (_what, damage) => {
    const name = uniqueName('member');
    await scenario().createTopic(1);
    const first = await scenario().consume(broadcasting(name));
    await scenario().sendMany(3, 'one-');
    await waitFor(() => first.bodies().length === 3);
    await first.client.close();
    const file = await waitFor(() => offsetsFile());
    const backup = `${file}.bak`;
    await writeFile(backup, await readFile(file));
    await writeFile(file, damage(await readFile(file, 'utf8')));
    await scenario().sendMany(3, 'two-');
    const again = await scenario().consume(broadcasting(name));
    await waitFor(() => again.bodies().length === 3);
    expect(again.bodies().every((body) => body.startsWith('two-'))).toBe(true);
    expect(again.eventsOf('error').map(({ context }) => context)).toEqual(['reading local offsets']);
  });

  it('begins at startFrom when nothing can be read, and says so', async () => {
    const name = uniqueName('member');
    await scenario().createTopic(1);
    const first = await scenario().consume(broadcasting(name));
    await first.client.close();
    const file = await waitFor(() => offsetsFile());
    await writeFile(file, 'nonsense');
    await rm(`${file}.bak`, { force: true });
    await scenario().sendMany(5);
    const again = await scenario().consume(broadcasting(name, { startFrom: 'first' }));
    await waitFor(() => again.bodies().length === 5);
    expect(again.eventsOf('error')).toHaveLength(1);
  });

  it('does not deliver again what a handler refused, and says so', async () => {
    await scenario().createTopic(1);
    const { bodies, eventsOf } = await scenario().consume(
      broadcasting(uniqueName('member'), {
        handle: ({ messages }) => (text(messages[0]!) === '1' ? RETRY : ACK),
      }),
    );
    await scenario().sendMany(3);
    await waitFor(() => bodies().length === 3);
    await waitFor(() => eventsOf('error').length === 1);
    expect(eventsOf('error')[0]).toMatchObject({ context: 'broadcasting', error: { code: 'UNSUPPORTED' } });
    await waitFor(async () => Object.values(await offsetsIn(await offsetsFile())).includes(3));
  });

  it('keeps the order of each queue, without locks', async () => {
    await scenario().createTopic(2);
    const options = { mode: 'orderly' } as const;
    const members = [
      await scenario().consume(broadcasting(uniqueName('one'), options)),
      await scenario().consume(broadcasting(uniqueName('two'), options)),
    ];
    const bodies = Array.from({ length: 20 }, (_, index) => `k${index}`);
    await scenario().sendOrdered('k', ...bodies);
    for (const member of members) {
      await waitFor(() => member.bodies().length === 20);
      expect(member.bodies()).toEqual(bodies);
    }
  });

  async function offsetsFile(): Promise<string> {
    const files = await readdir(folder, { recursive: true });
    const found = files.find((name) => name.endsWith('offsets.json'));
    if (found === undefined) throw new Error(`no file in ${folder}`);
    return join(folder, found);
  }

  async function offsetsIn(file: string): Promise<Record<string, number>> {
    return (JSON.parse(await readFile(file, 'utf8')) as { offsets: Record<string, number> }).offsets;
  }
});

import { describe, expect, it, onTestFinished } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACK, RETRY } from '../../lib/client/push-consumer.js';
import { uniqueName } from '../support/names.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, numbered, text, useStage } from './stage.js';

/** Where engines with local offsets keep them; removed when the consumers of the test are closed. */
async function offsetFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'offsets-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function describeBroadcasting(engine: EngineUnderTest): void {
  describe('broadcasting', () => {
    const stage = useStage(engine);

    it('hands every message to every member', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const group = uniqueName('group');
      const offsetStoreFolder = await offsetFolder();
      const receptions = [];
      for (let member = 0; member < 3; member++) {
        const client = await stage().newClient({ instanceName: uniqueName('instance') });
        receptions.push(
          await stage().consume(topic, {
            model: 'broadcasting',
            group,
            client,
            offsetStoreFolder,
          }),
        );
      }
      await Promise.all(numbered(10).map((body) => producer.send(message(topic, body))));
      for (const reception of receptions) {
        await reception.received(10);
        expect(reception.bodies().sort()).toEqual(numbered(10));
      }
    });

    it('does not retry: a failed message is reported and passed over', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const offsetStoreFolder = await offsetFolder();
      const reception = await stage().consume(topic, {
        model: 'broadcasting',
        offsetStoreFolder,
        handle: (received) => (text(received) === 'bad' ? RETRY : ACK),
      });
      await producer.send(message(topic, 'bad'));
      await producer.send(message(topic, 'good'));
      await reception.received(2);
      await waitFor(() => reception.events.some(({ type }) => type === 'error'));
      expect(reception.bodies()).toEqual(['bad', 'good']);
    });

    it('goes on where the member of that name stopped', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const group = uniqueName('group');
      const offsetStoreFolder = await offsetFolder();
      const instanceName = uniqueName('instance');
      const options = { model: 'broadcasting', group, offsetStoreFolder } as const;
      const firstClient = await stage().newClient({ instanceName });
      const first = await stage().consume(topic, { ...options, client: firstClient });
      await producer.send(message(topic, 'one'));
      await first.received(1);
      await waitFor(() => first.consumer.inFlight === 0);
      await firstClient.close();
      await producer.send(message(topic, 'two'));
      const client = await stage().newClient({ instanceName });
      const second = await stage().consume(topic, { ...options, client });
      await second.received(1);
      expect(second.bodies()).toEqual(['two']);
    });
  });
}

import { describe, expect, it } from 'vitest';
import { uniqueName } from '../support/names.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, useStage } from './stage.js';

export function describeConnections(engine: EngineUnderTest): void {
  describe('clients', () => {
    const stage = useStage(engine);

    it('tell whether the broker is within reach', async () => {
      const client = engine.createClient();
      const states: string[] = [];
      client.onStateChange((state) => states.push(state));
      await client.start();
      expect(await client.checkConnection()).toBe('up');
      expect(client.state).toBe('up');
      await client.close();
      await client.close();
      expect(client.state).toBe('closed');
      expect(states).toEqual(['up', 'closed']);
    });

    it('do not take their own end for an outage', async () => {
      for (let round = 0; round < 5; round++) {
        const client = engine.createClient();
        const states: string[] = [];
        await client.start();
        client.onStateChange((state) => states.push(state));
        // Closing cuts what is under way.
        const asking = client.checkConnection();
        await client.close();
        await asking;
        expect(states).toEqual(['closed']);
      }
    });

    it('have an id of their own, from the instance name if there is one', async () => {
      const name = uniqueName('instance');
      const [first, second, named] = [
        engine.createClient(),
        engine.createClient(),
        engine.createClient({ instanceName: name }),
      ];
      expect(first.clientId).not.toBe(second.clientId);
      expect(named.clientId).toMatch(new RegExp(`@${name}$`));
      await Promise.all([first, second, named].map((client) => client.close()));
    });

    it('close everything that was created from them', async () => {
      const topic = await stage().topic();
      const client = await stage().newClient();
      const producer = await stage().producer({ client });
      const { consumer } = await stage().consume(topic, { client });
      await client.close();
      expect(consumer.assignment()).toEqual([]);
      await expect(producer.send(message(topic, 'late'))).rejects.toMatchObject({ code: 'CLOSED' });
    });

    it('keep namespaces apart, and show names without them', async () => {
      const topic = uniqueName('topic');
      const [blue, green] = [
        await stage().newClient({ namespace: uniqueName('blue') }),
        await stage().newClient({ namespace: uniqueName('green') }),
      ];
      for (const client of [blue, green]) await client.admin.createTopic(topic, { queues: 1 });
      const group = uniqueName('group');
      const inBlue = await stage().consume(topic, { client: blue, group });
      const inGreen = await stage().consume(topic, { client: green, group });
      const blueProducer = await stage().producer({ client: blue });
      const greenProducer = await stage().producer({ client: green });
      const receipt = await blueProducer.send(message(topic, 'blue'));
      await greenProducer.send(message(topic, 'green'));
      await inBlue.received(1);
      await inGreen.received(1);
      expect([inBlue.bodies(), inGreen.bodies()]).toEqual([['blue'], ['green']]);
      expect(receipt.topic).toBe(topic);
      expect(inBlue.messages[0]!.topic).toBe(topic);
      const queues = inBlue.consumer.assignment().filter((queue) => queue.startsWith(`${topic}@`));
      expect(queues).toHaveLength(1);
    });
  });
}

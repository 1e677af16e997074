import { describe, expect, it } from 'vitest';
import { sql92, tags } from '../../../lib/client/subscription.js';
import { waitFor } from '../../support/wait-for.js';
import { useScenario } from './scenario.js';

describe('filters', () => {
  const scenario = useScenario();

  it('selects by properties with SQL92', async () => {
    await scenario().createTopic();
    const { topic } = scenario();
    const { bodies } = await scenario().consume({
      subscriptions: [{ topic, filter: sql92("region = 'eu' AND amount BETWEEN 10 AND 20") }],
    });
    await scenario().send(
      { headers: { region: 'us', amount: '15' }, body: Buffer.from('other region') },
      { headers: { region: 'eu', amount: '21' }, body: Buffer.from('too much') },
      { headers: { region: 'eu', amount: '20' }, body: Buffer.from('fits') },
      { body: Buffer.from('no properties') },
    );
    await waitFor(() => bodies().length === 1);
    expect(bodies()).toEqual(['fits']);
  });

  it('refuses to start with an expression the broker cannot compile, and says why', async () => {
    await scenario().createTopic();
    const { topic } = scenario();
    const starting = scenario().consume({
      subscriptions: [{ topic, filter: sql92('amount >>> 1') }],
      start: 'only',
    });
    await expect(starting).rejects.toThrow(/Checking the filter "amount >>> 1"/);
  });

  it('replaces a tag filter by SQL92 while it runs', async () => {
    await scenario().createTopic(1);
    const { topic } = scenario();
    const { consumer, bodies } = await scenario().consume({ subscriptions: [{ topic, filter: tags('a') }] });
    await scenario().send({ tag: 'a', headers: { n: '1' }, body: Buffer.from('a1') });
    await waitFor(() => bodies().length === 1);
    await consumer.subscribe({ topic, filter: sql92('n = 2') });
    await scenario().send(
      { tag: 'a', headers: { n: '1' }, body: Buffer.from('a1 again') },
      { tag: 'b', headers: { n: '2' }, body: Buffer.from('b2') },
    );
    await waitFor(() => bodies().length === 2);
    expect(bodies()).toEqual(['a1', 'b2']);
    await expect(consumer.subscribe({ topic, filter: sql92('n >>> 2') })).rejects.toThrow(
      /Checking the filter/,
    );
    await scenario().send({ headers: { n: '2' }, body: Buffer.from('still n = 2') });
    await waitFor(() => bodies().length === 3);
  });

  it('takes several tags, and every message with "*"', async () => {
    await scenario().createTopic();
    const { topic } = scenario();
    const some = await scenario().consume({
      group: `${scenario().group}-some`,
      subscriptions: [{ topic, filter: { type: 'tag', expression: 'a || b' } }],
    });
    const all = await scenario().consume({
      group: `${scenario().group}-all`,
      subscriptions: [{ topic, filter: { type: 'tag', expression: '*' } }],
    });
    await scenario().send(
      { tag: 'a', body: Buffer.from('1') },
      { tag: 'b', body: Buffer.from('2') },
      { tag: 'c', body: Buffer.from('3') },
      { body: Buffer.from('4') },
    );
    await waitFor(() => all.bodies().length === 4 && some.bodies().length === 2);
    expect(some.bodies().sort()).toEqual(['1', '2']);
  });

  it('keeps topics, groups and retries of a namespace to itself', async () => {
    const namespace = scenario().group.replace('group', 'ns');
    const inside = await scenario().client({ namespace });
    await inside.admin.createTopic(scenario().topic, { queues: 1 });
    await scenario().createTopic(1);
    const producer = inside.createProducer({ group: 'p' });
    await producer.start();
    const within = await scenario().consume({
      client: { namespace },
      handle: ({ messages }) => (messages[0]!.attempt === 1 ? { action: 'retry' } : { action: 'ack' }),
    });
    const outside = await scenario().consume();
    await producer.send({ topic: scenario().topic, body: Buffer.from('inside') });
    await scenario().send('outside');
    await waitFor(() => within.deliveries.length === 2 && outside.deliveries.length === 1);
    expect(within.bodies()).toEqual(['inside', 'inside']);
    expect(within.deliveries.map(({ messages }) => messages[0]!.topic)).toEqual([
      scenario().topic,
      scenario().topic,
    ]);
    expect(outside.bodies()).toEqual(['outside']);
    expect(within.consumer.assignment()).toContain(`${scenario().topic}@broker-a:0`);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACK } from '../../../lib/client/push-consumer.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import { numberField, parseQueueMap } from '../../../lib/client/remoting/protocol/queue-map.js';
import { startStack, type Stack } from '../../../scripts/stack/stack.js';
import { isBroker5 } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { gate, useScenario } from './scenario.js';

/** Two masters, the first with a slave, of its own: this test takes them down. */
describe('consuming from several brokers', () => {
  let stack: Stack;
  const scenario = useScenario(() => stack.nameServer);

  beforeAll(async () => {
    stack = await startStack({
      name: uniqueName('consuming'),
      cluster: true,
      replication: 'sync',
      brokerHeapMb: 512,
    });
  }, 180_000);
  afterAll(async () => {
    await stack?.stop();
  }, 120_000);

  /** Whether the slave has every message of the topic that its master has. */
  async function replicated(): Promise<boolean> {
    const { topic } = scenario();
    const { body } = await scenario().request(RequestCode.GET_TOPIC_STATS_INFO, { topic }, { brokerId: 1 });
    const ofSlave = parseQueueMap(body, 'offsetTable');
    const ofMaster = await (await scenario().observer()).admin.offsets(topic);
    return (
      ofSlave.length === 2 &&
      ofSlave.every(
        ({ queue, value }) =>
          ofMaster.get(`${queue.brokerName}:${queue.queueId}`)?.max === numberField(value, 'maxOffset'),
      )
    );
  }

  it('shares the queues of every master, and reads on from the slave when its master dies', async () => {
    await scenario().createTopic(2);
    const hold = gate();
    const { consumer, bodies } = await scenario().consume({
      client: { routePollIntervalMs: 500 },
      rebalanceIntervalMs: 1_000,
      concurrency: 1,
      maxCachedMessages: 8,
      pullBatchSize: 8,
      handle: async () => {
        await hold.opened;
        return ACK;
      },
    });
    const brokers = consumer.assignment().filter((queue) => queue.startsWith(scenario().topic));
    expect(brokers.map((queue) => queue.split('@')[1])).toEqual([
      'broker-a:0',
      'broker-a:1',
      'broker-b:0',
      'broker-b:1',
    ]);
    // Many more than are in memory here: most of them lie on brokers only.
    const sent = await scenario().sendMany(800);
    await waitFor(() => bodies().length === 1);
    // A slave copies topics only every few seconds; one of 4.9 also takes its time to follow its master, and the
    // receipts say SLAVE_NOT_AVAILABLE until then.
    await waitFor(replicated, { timeoutMs: 60_000, intervalMs: 500 });

    await stack.broker('broker-a').kill();
    hold.open();
    await waitFor(() => new Set(bodies()).size === sent.length, {
      timeoutMs: 60_000,
      describe: () => `${new Set(bodies()).size} of ${sent.length}`,
    });
    const more = await scenario().sendMany(40, 'more-');
    await waitFor(() => more.every((body) => bodies().includes(body)));

    await stack.broker('broker-a').start();
    await waitFor(async () => (await scenario().lag()) === 0, { timeoutMs: 60_000 });
  }, 180_000);

  // A broker writes offsets down every 5 s: one that is killed soon after a group began does not know the group when
  // it is back. docs/adr/0007
  it.each(isBroker5() ? (['stops', 'is killed'] as const) : (['is killed'] as const))(
    'skips nothing and keeps the order of each queue when a master %s and comes back',
    async (end) => {
      await scenario().createTopic(2);
      const slowToNotice = { client: { routePollIntervalMs: 3_000 }, rebalanceIntervalMs: 60_000 };
      const orderly = await scenario().consume({ mode: 'orderly', ...slowToNotice });
      const concurrent = await scenario().consume({ group: uniqueName('concurrent'), ...slowToNotice });
      const queue = { topic: scenario().topic, brokerName: 'broker-b', queueId: 0 };
      const ofBrokerB = () =>
        [orderly, concurrent]
          .flatMap(({ consumer }) => consumer.assignment())
          .filter((name) => name.includes('@broker-b:'));
      const ordered = Array.from({ length: 20 }, (_, index) => `${index}`);
      for (const body of ordered.slice(0, 10)) await scenario().sendTo(queue, body);
      await waitFor(() => [orderly, concurrent].every(({ bodies }) => bodies().length === 10));

      await (end === 'stops' ? stack.broker('broker-b').stop() : stack.broker('broker-b').kill());
      await waitFor(() => ofBrokerB().length === 0);
      await stack.broker('broker-b').start();
      // Most of these are stored before the consumers know that their queues are back.
      for (const body of ordered.slice(10)) {
        await waitFor(
          () =>
            scenario()
              .sendTo(queue, body)
              .then(() => true),
          { timeoutMs: 60_000 },
        );
      }

      for (const { bodies } of [orderly, concurrent]) {
        await waitFor(() => new Set(bodies()).size === 20, {
          timeoutMs: 60_000,
          describe: () => bodies().join(),
        });
      }
      // Offsets of the last moments may be lost with the broker: repetitions, but never a gap or a step back in between.
      expect([...new Set(orderly.bodies())]).toEqual(ordered);
    },
    180_000,
  );
});

import { type INestApplication, Injectable } from '@nestjs/common';
import {
  createRocketMQClient,
  Payload,
  RocketMQConnections,
  RocketMQReplyListener,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { afterEach, describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { nestApp } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

describe('a request over a topic', () => {
  const apps: INestApplication[] = [];
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  it('is answered by whichever instance gets it, from a reply listener', async () => {
    const topic = uniqueName('prices');
    const group = uniqueName('group');
    for (let instance = 0; instance < 2; instance++) {
      @Injectable()
      class Prices {
        @RocketMQReplyListener({ topic, group, startFrom: 'first' })
        price(@Payload() { sku }: { sku: string }): unknown {
          return { sku, cents: sku.length * 100 };
        }
      }
      apps.push(await nestApp({ providers: [Prices] }));
    }
    const asking = await nestApp({});
    apps.push(asking);
    const template = asking.get(RocketMQTemplate);
    const skus = Array.from({ length: 20 }, (_, index) => `sku-${index}`);
    const prices = await Promise.all(
      skus.map((sku) => template.request<{ cents: number }>(topic, { sku }, { timeout: '60s' })),
    );
    expect(prices).toEqual(skus.map((sku) => ({ sku, cents: sku.length * 100 })));
  });

  it('that nobody answers fails, and its message is stored all the same', async () => {
    const client = createRocketMQClient({ nameServer: nameServer() });
    await client.start();
    const topic = uniqueName('unanswered');
    await client.admin.createTopic(topic, { queues: 1 });
    const asking = await nestApp({});
    apps.push(asking);
    await asking.get(RocketMQConnections).get().producer.start();
    await expect(asking.get(RocketMQTemplate).request(topic, 1, { timeout: '5s' })).rejects.toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
    });
    // A moment after the broker acknowledged it.
    await waitFor(async () => [...(await client.admin.offsets(topic)).values()][0]?.max === 1);
    await client.close();
  });
});

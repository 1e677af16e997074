import type { INestApplication } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { RocketMQConnections, RocketMQListener } from 'nestjs-rocketmq';
import { afterEach, describe, expect, it } from 'vitest';
import { isBroker5 } from '../../support/broker.js';
import { nestApp } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';

describe('topics at boot', () => {
  let app: INestApplication | undefined;
  afterEach(() => app?.close());

  const ledger = uniqueName('ledger');
  const reminders = uniqueName('reminders');

  @Injectable()
  class Ledger {
    @RocketMQListener({ topic: ledger, group: uniqueName('books'), mode: 'ordered' })
    on(): void {}
  }

  it('that are missing are told', async () => {
    await expect(
      nestApp({
        providers: [Ledger],
        options: { topics: 'check', declaredTopics: { [reminders]: { type: 'DELAY' } } },
      }),
    ).rejects.toThrow(
      new RegExp(
        `Topic "${ledger}" of listener "Ledger.on" does not exist[^]*Topic "${reminders}" of declaredTopics does not exist`,
      ),
    );
  });

  it('are created with the type that fits, and recognised by the next application', async () => {
    const declaredTopics = { [reminders]: { type: 'DELAY', queues: 2 } } as const;
    app = await nestApp({ providers: [Ledger], options: { topics: 'create', declaredTopics } });
    const { admin } = app.get(RocketMQConnections).get().client;
    // Brokers of RocketMQ 4 know no types.
    const type = (name: string) => (isBroker5() ? name : undefined);
    expect(await admin.describeTopic(ledger)).toMatchObject({ type: type('FIFO') });
    expect(await admin.describeTopic(reminders)).toEqual({
      topic: reminders,
      queues: 2 * (await admin.brokers()).length,
      type: type('DELAY'),
    });
    await app.close();
    app = await nestApp({ providers: [Ledger], options: { topics: 'check', declaredTopics } });
  });

  it.runIf(isBroker5())('of another type than declared are told, and stay what they are', async () => {
    await expect(
      nestApp({ options: { topics: 'create', declaredTopics: { [reminders]: { type: 'FIFO' } } } }),
    ).rejects.toThrow(
      `Topic "${reminders}" of declaredTopics is of type DELAY, and declaredTopics wants FIFO.`,
    );
  });
});

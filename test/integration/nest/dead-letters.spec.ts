import { type INestApplication, Injectable } from '@nestjs/common';
import {
  Ctx,
  DeadLetters,
  Payload,
  RejectMessage,
  RocketMQContext,
  RocketMQListener,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nestApp } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

describe('dead letters of a group', () => {
  const topic = uniqueName('letters');
  const group = uniqueName('group');
  const COUNT = 7;
  const handled: unknown[] = [];
  let broken = true;
  let app: INestApplication;
  let letters: DeadLetters;

  @Injectable()
  class Orders {
    @RocketMQListener({ topic, group, startFrom: 'first' })
    on(@Payload() n: number, @Ctx() { message }: RocketMQContext): void {
      if (broken) throw new RejectMessage(`no ${n}`);
      handled.push([n, message.messageId, message.tag, message.keys, message.headers]);
    }
  }

  beforeAll(async () => {
    app = await nestApp({ providers: [Orders] });
    letters = app.get(DeadLetters);
    expect(await letters.list(group)).toEqual({ items: [], next: undefined });
    const template = app.get(RocketMQTemplate);
    for (let n = 0; n < COUNT; n++) {
      await template.send(`${topic}:t`, n, { keys: `k${n}`, headers: { n: String(n) } });
      await waitFor(async () => (await letters.list(group)).items.length === n + 1);
    }
  });

  afterAll(() => app.close());

  it('are listed newest first, in pages, with the reason', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    const sizes: number[] = [];
    do {
      const page = await letters.list(group, { limit: 3, ...(cursor !== undefined && { cursor }) });
      sizes.push(page.items.length);
      seen.push(...page.items.map(({ reason }) => String(reason)));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(sizes).toEqual([3, 3, 1]);
    expect(seen).toEqual(['no 6', 'no 5', 'no 4', 'no 3', 'no 2', 'no 1', 'no 0']);
    await expect(letters.list(group, { cursor: 'nonsense' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('are found by message id and redriven as what they were', async () => {
    const [newest] = (await letters.list(group, { limit: 1 })).items;
    const messageId = newest?.message.messageId ?? '';
    const letter = await letters.find(group, messageId);
    expect(letter).toMatchObject({ group, reason: 'no 6', message: { topic, messageId, tag: 't' } });
    expect(await letters.find(group, 'F'.repeat(32))).toBeUndefined();
    broken = false;
    await letters.redrive(letter as NonNullable<typeof letter>);
    await waitFor(() => handled.length === 1);
    const [[n, id, tag, keys, headers]] = handled as [unknown[]];
    expect([n, id, tag, keys]).toEqual([6, messageId, 't', ['k6']]);
    expect(headers).toEqual({ n: '6' });
  });
});

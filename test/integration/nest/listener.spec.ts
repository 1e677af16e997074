import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  Ctx,
  Payload,
  RocketMQContext,
  RocketMQListener,
  RocketMQModule,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

describe('smoke', () => {
  it('sends and receives', async () => {
    const topic = uniqueName('smoke');
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('group'), startFrom: 'first' })
      on(@Payload() order: unknown, @Ctx() ctx: RocketMQContext): void {
        seen.push([order, ctx.message.tag, ctx.attempt]);
      }
    }
    const module = await Test.createTestingModule({
      imports: [RocketMQModule.forRoot({ nameServer: nameServer(), topics: 'create' })],
      providers: [Orders],
    }).compile();
    const app = module.createNestApplication();
    await app.init();
    await app.get(RocketMQTemplate).send(`${topic}:created`, { id: 1 });
    await waitFor(() => seen.length === 1);
    expect(seen).toEqual([[{ id: 1 }, 'created', 1]]);
    await app.close();
  });
});

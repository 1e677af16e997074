import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  Payload,
  RawMessage,
  type ReceivedMessage,
  RejectMessage,
  RocketMQBatchListener,
  RocketMQError,
  RocketMQListener,
  RocketMQModule,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { RocketMQTracingModule } from 'nestjs-rocketmq/tracing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  idOf,
  linksOf,
  parentOf,
  RecordedSpans,
  traceOf,
  withBaggage,
} from '../../support/recorded-spans.js';
import { waitFor } from '../../support/wait-for.js';

interface Order {
  readonly id: number;
  readonly fail?: 'retry' | 'reject';
}

const attempts = new Map<number, number>();
const seenBaggage: (string | undefined)[] = [];
const answers: ReceivedMessage[] = [];
const batches: (readonly Order[])[] = [];

@Injectable()
class Shop {
  constructor(private readonly template: RocketMQTemplate) {}

  @RocketMQListener({ topic: 'orders', group: 'shop', startFrom: 'first', retry: 1, id: 'shop' })
  async onOrder(@Payload() order: Order): Promise<void> {
    seenBaggage.push(propagation.getActiveBaggage()?.getEntry('customer')?.value);
    const attempt = (attempts.get(order.id) ?? 0) + 1;
    attempts.set(order.id, attempt);
    if (order.fail === 'retry' && attempt === 1) throw new TypeError('no stock yet');
    if (order.fail === 'reject') throw new RejectMessage('unknown product');
    await this.template.send('answers', { id: order.id });
  }

  @RocketMQListener({ topic: 'answers', group: 'answers', startFrom: 'first' })
  onAnswer(@RawMessage() message: ReceivedMessage): void {
    answers.push(message);
  }

  @RocketMQBatchListener({ topic: 'clicks', group: 'clicks', startFrom: 'first', batchSize: 10 })
  onClicks(@Payload() clicks: readonly Order[]): Error[] | undefined {
    batches.push(clicks);
    return clicks.some(({ fail }) => fail) ? clicks.map(() => new RejectMessage('bad click')) : undefined;
  }
}

let spans: RecordedSpans;
let app: TestingModule;

beforeAll(async () => {
  spans = new RecordedSpans();
  app = await Test.createTestingModule({
    imports: [
      RocketMQModule.forRoot({ engine: 'memory', topics: 'create', logging: false }),
      RocketMQTracingModule.forRoot(),
    ],
    providers: [Shop],
  }).compile();
  await app.init();
});

afterAll(async () => {
  await app.close();
  await spans.stop();
});

afterEach(() => spans.clear());

const send = (order: Order, topic = 'orders') => app.get(RocketMQTemplate).send(topic, order);

describe('a message', () => {
  it('is in one trace from the request that sent it to its last consumer, each span child of its cause', async () => {
    await spans.request('POST /orders', () => send({ id: 1 }));
    await waitFor(() => spans.named('process answers').length === 1);
    const [request, sent, handled, answered, last] = [
      'POST /orders',
      'send orders',
      'process orders',
      'send answers',
      'process answers',
    ].map((name) => spans.only(name)) as [never, never, never, never, never];
    expect(parentOf(sent)).toBe(idOf(request));
    expect(parentOf(handled)).toBe(idOf(sent));
    expect(parentOf(answered)).toBe(idOf(handled));
    expect(parentOf(last)).toBe(idOf(answered));
    expect(new Set(spans.all().map(traceOf)).size).toBe(1);
    expect(linksOf(handled)).toEqual([idOf(sent)]);
  });

  it('is described by the conventions for messaging, under their present and their former names', async () => {
    const receipt = await app.get(RocketMQTemplate).sendOrdered('orders:created', { id: 2 }, 'key-2', {
      keys: ['a', 'b'],
    });
    await waitFor(() => spans.named('process answers').length === 1);
    const sent = spans.only('send orders');
    expect(sent.kind).toBe(SpanKind.PRODUCER);
    expect(sent.attributes).toMatchObject({
      'messaging.system.name': 'rocketmq',
      'messaging.system': 'rocketmq',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'orders',
      'messaging.destination.partition.id': String(receipt.queueId),
      'messaging.message.id': receipt.messageId,
      'messaging.message.body.size': 8,
      'rocketmq.message.tag': 'created',
      'messaging.rocketmq.message.tag': 'created',
      'rocketmq.message.keys': ['a', 'b'],
      'rocketmq.message.group': 'key-2',
      'rocketmq.message.type': 'fifo',
    });
    const handled = spans.only('process orders');
    expect(handled.kind).toBe(SpanKind.CONSUMER);
    expect(handled.status.code).toBe(SpanStatusCode.UNSET);
    expect(handled.attributes).toMatchObject({
      'messaging.system.name': 'rocketmq',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'orders',
      'messaging.consumer.group.name': 'shop',
      'messaging.message.id': receipt.messageId,
      'rocketmq.consumption_model': 'clustering',
      'messaging.rocketmq.consumption_model': 'clustering',
      'rocketmq.message.group': 'key-2',
      'nestjs_rocketmq.listener': 'shop',
      'nestjs_rocketmq.attempt': 1,
    });
  });

  it('takes the baggage of its sender along', async () => {
    await context.with(withBaggage('customer', 'c-7'), () => send({ id: 3 }));
    await waitFor(() => spans.named('process answers').length === 1);
    expect(seenBaggage.at(-1)).toBe('c-7');
  });

  it('that is sent by hand with the context of another trace stays in that trace', async () => {
    await spans.request('first', () => send({ id: 4 }));
    await waitFor(() => spans.named('process answers').length === 1);
    const { traceId, spanId } = spans.only('send orders').spanContext();
    spans.clear();
    const traceparent = `00-${traceId}-${spanId}-01`;
    await spans.request('redrive', () =>
      app.get(RocketMQTemplate).send('orders', { id: 4 }, { headers: { traceparent } }),
    );
    await waitFor(() => spans.named('process answers').length === 1);
    const again = spans.only('send orders');
    expect([traceOf(again), again.kind]).toEqual([traceId, SpanKind.CLIENT]);
    expect(linksOf(again)).toEqual([spanId, idOf(spans.only('redrive'))]);
    expect(parentOf(spans.only('process orders'))).toBe(spanId);
  });
});

describe('failures', () => {
  it('of a handler are on its span, and every attempt is a span of the same trace', async () => {
    await send({ id: 5, fail: 'retry' });
    await waitFor(() => spans.named('process orders').length === 2);
    const [failed, succeeded] = spans.named('process orders');
    expect(failed?.status).toMatchObject({ code: SpanStatusCode.ERROR, message: 'no stock yet' });
    expect(failed?.attributes).toMatchObject({
      'error.type': 'TypeError',
      'nestjs_rocketmq.outcome': 'retried',
      'nestjs_rocketmq.attempt': 1,
    });
    expect(failed?.events[0]).toMatchObject({
      name: 'exception',
      attributes: { 'exception.type': 'TypeError', 'exception.message': 'no stock yet' },
    });
    expect(succeeded?.status.code).toBe(SpanStatusCode.UNSET);
    expect(succeeded?.attributes['nestjs_rocketmq.attempt']).toBe(2);
    expect(new Set(spans.all().map(traceOf)).size).toBe(1);
  });

  it('say whether the message became a dead letter', async () => {
    await send({ id: 6, fail: 'reject' });
    await waitFor(() => spans.named('process orders').length === 1);
    expect(spans.only('process orders').attributes).toMatchObject({
      'error.type': 'RejectMessage',
      'nestjs_rocketmq.outcome': 'rejected',
    });
  });

  it('of a send carry the code of the error, and the caller gets the error itself', async () => {
    const refused = app.get(RocketMQTemplate).send('orders', {}, { headers: { KEYS: 'reserved' } });
    await expect(refused).rejects.toBeInstanceOf(RocketMQError);
    const { status, attributes } = spans.only('send orders');
    expect(status.code).toBe(SpanStatusCode.ERROR);
    expect(attributes['error.type']).toBe('INVALID_ARGUMENT');
  });
});

describe('batches', () => {
  it('are sent in one span, and handled in a trace of their own that links to every message', async () => {
    batches.length = 0;
    await spans.request('POST /clicks', () =>
      app.get(RocketMQTemplate).sendBatch('clicks', [{ id: 1 }, { id: 2 }, { id: 3 }]),
    );
    await waitFor(
      () => batches.flat().length === 3 && spans.named('process clicks').length === batches.length,
    );
    const sent = spans.only('send clicks');
    expect(sent.attributes['messaging.batch.message_count']).toBe(3);
    for (const [index, handled] of spans.named('process clicks').entries()) {
      expect(parentOf(handled)).toBeUndefined();
      expect(handled.attributes['messaging.batch.message_count']).toBe(batches[index]?.length);
      expect(linksOf(handled)).toEqual(batches[index]?.map(() => idOf(sent)));
    }
  });

  it('name the messages that failed', async () => {
    const { messageId } = await send({ id: 9, fail: 'reject' }, 'clicks');
    await waitFor(() => spans.named('process clicks').length === 1);
    const [event] = spans.only('process clicks').events;
    expect(event?.attributes).toMatchObject({
      'exception.message': 'bad click',
      'messaging.message.id': messageId,
    });
  });
});

it('leaves messages as they are when no SDK is there', async () => {
  await spans.stop();
  answers.length = 0;
  await send({ id: 10 });
  await waitFor(() => answers.length === 1);
  expect(answers[0]?.headers).toEqual({});
  expect(trace.getActiveSpan()).toBeUndefined();
});

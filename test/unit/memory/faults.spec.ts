import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type {
  BrokerCheck,
  BrokerDelivery,
  BrokerRequest,
  BrokerFaults,
} from '../../../lib/client/memory/broker-faults.js';
import { MemoryBroker } from '../../../lib/client/memory/memory-broker.js';
import type { Producer, ProducerOptions } from '../../../lib/client/producer.js';
import { ACK, RETRY, type PushConsumerOptions } from '../../../lib/client/push-consumer.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import type { ReceivedMessage } from '../../../lib/message/message.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { uniqueName } from '../../support/names.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

describe('faults scripted from outside', () => {
  let clock: FakeClock;
  let faults: Mutable<BrokerFaults>;
  let broker: MemoryBroker;
  let client: RocketMQClient;
  let producer: Producer;

  beforeEach(async () => {
    clock = new FakeClock();
    faults = {};
    broker = new MemoryBroker({ clock, faults });
    client = createRocketMQClient({ engine: 'memory', memory: { broker }, clock });
    await client.start();
    await client.admin.createTopic('orders', { queues: 2 });
    producer = await newProducer();
  });

  afterEach(async () => {
    faults.onRequest = undefined;
    faults.unavailable = undefined;
    const closing = client.close();
    await clock.advance(60_000);
    await closing;
    broker.close();
  });

  const newProducer = async (options: Partial<ProducerOptions> = {}): Promise<Producer> => {
    const created = client.createProducer({ group: uniqueName('shop'), ...options });
    await created.start();
    return created;
  };

  const message = (body: string, orderingKey?: string): Parameters<Producer['send']>[0] => ({
    topic: 'orders',
    body: Buffer.from(body),
    orderingKey,
  });

  const consume = async (
    options: Partial<PushConsumerOptions> = {},
  ): Promise<{ messages: ReceivedMessage[]; errors: string[] }> => {
    const messages: ReceivedMessage[] = [];
    const errors: string[] = [];
    const consumer = client.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      handler: (batch) => {
        messages.push(...batch);
        return Promise.resolve(ACK);
      },
      ...options,
    });
    consumer.onEvent((event) => {
      if (event.type === 'error') errors.push(event.context);
    });
    await consumer.start();
    await clock.settle();
    return { messages, errors };
  };

  /** The next requests of the kind go wrong; later ones go well. */
  const times = (
    count: number,
    kind: BrokerRequest['kind'],
    fault: NonNullable<ReturnType<NonNullable<BrokerFaults['onRequest']>>>,
  ): void => {
    let left = count;
    faults.onRequest = (request) => {
      if (left === 0 || request.kind !== kind) return undefined;
      left -= 1;
      return fault;
    };
  };
  const once = times.bind(undefined, 1);

  const stored = (): string[] => broker.messagesOf('orders').map(({ body }) => body.toString());
  const bodies = (messages: readonly ReceivedMessage[]): string[] =>
    messages.map(({ body }) => body.toString());

  it('refuses a request: the producer tries again and succeeds', async () => {
    once('send', { outcome: 'refused' });
    const sending = producer.send(message('x'));
    await clock.advance(1_000);
    expect(await sending).toMatchObject({ status: 'SEND_OK' });
    expect(stored()).toEqual(['x']);
  });

  it('loses an acknowledgement: the message is stored, the caller learns nothing until its deadline', async () => {
    once('send', { outcome: 'answer-lost' });
    const sending = producer.send(message('x'));
    const failed = expect(sending).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
    await clock.advance(2_999);
    expect(stored()).toEqual(['x']);
    await clock.advance(1);
    await failed;
  });

  it('cuts the connection behind a stored message: the resend keeps its identity', async () => {
    once('send', { outcome: 'cut' });
    const sending = producer.send(message('x'));
    await clock.advance(1_000);
    const { messageId } = await sending;
    const ids = broker.messagesOf('orders').map(({ properties }) => properties['UNIQ_KEY']);
    expect(ids).toEqual([messageId, messageId]);
  });

  it('loses a request: nothing is stored', async () => {
    once('send', { outcome: 'request-lost' });
    const failed = expect(producer.send(message('x'))).rejects.toMatchObject({ code: 'TIMEOUT' });
    await clock.advance(3_000);
    await failed;
    expect(stored()).toEqual([]);
  });

  it('is busy: an ordered send is not tried twice', async () => {
    once('send', { outcome: 'busy' });
    await expect(producer.send(message('x', 'key'))).rejects.toMatchObject({
      code: 'BROKER_BUSY',
      retryable: true,
    });
    expect(stored()).toEqual([]);
  });

  it('acts late: a message may be stored after the caller gave up', async () => {
    once('send', { delayMs: 5_000 });
    const failed = expect(producer.send(message('late'))).rejects.toMatchObject({ code: 'TIMEOUT' });
    await clock.advance(3_000);
    await failed;
    expect(stored()).toEqual([]);
    await clock.advance(2_000);
    expect(stored()).toEqual(['late']);
  });

  it('answers late: the caller waits', async () => {
    once('send', { answerDelayMs: 1_000 });
    let done = false;
    const sending = producer.send(message('x')).then(() => (done = true));
    await clock.advance(999);
    expect([stored(), done]).toEqual([['x'], false]);
    await clock.advance(1);
    await sending;
  });

  it('lets the caller give up a slow send', async () => {
    once('send', { answerDelayMs: 1_000 });
    const controller = new AbortController();
    const failed = expect(producer.send(message('x'), { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    controller.abort();
    await failed;
    await clock.advance(1_000);
  });

  it('is away for a while: sends fail, consumers come back by themselves, nothing is lost', async () => {
    const reception = await consume();
    await producer.send(message('before'));
    await clock.settle();
    let away = true;
    faults.unavailable = () => away;
    const failed = expect(producer.send(message('refused'))).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      retryable: true,
    });
    await clock.advance(5_000);
    await failed;
    expect(await client.checkConnection()).toBe('down');
    away = false;
    expect(await client.checkConnection()).toBe('up');
    await producer.send(message('after'));
    await clock.advance(5_000);
    expect(bodies(reception.messages)).toEqual(['before', 'after']);
  });

  it('delivers a message several times, also at the same time', async () => {
    const seen: BrokerDelivery[] = [];
    faults.onDeliver = (delivery) => {
      seen.push(delivery);
      return { copies: 3 };
    };
    let running = 0;
    let most = 0;
    const deliveries: string[] = [];
    await consume({
      handler: async ([received]) => {
        deliveries.push(received!.messageId);
        most = Math.max(most, ++running);
        await Promise.resolve();
        running--;
        return ACK;
      },
    });
    const { messageId } = await producer.send(message('x'));
    await clock.settle();
    expect(deliveries).toEqual([messageId, messageId, messageId]);
    expect(most).toBe(3);
    expect(seen).toMatchObject([{ group: 'warehouse', topic: 'orders', messageId, attempt: 1 }]);
  });

  it('does not move on before every copy is finished', async () => {
    faults.onDeliver = () => ({ copies: 2 });
    const finish: (() => void)[] = [];
    await consume({ handler: () => new Promise((resolve) => finish.push(() => resolve(ACK))) });
    await producer.send(message('x'));
    await clock.settle();
    finish[0]!();
    await clock.advance(6_000);
    expect((await client.admin.lag('warehouse', 'orders')).total).toBe(1);
    finish[1]!();
    await clock.advance(6_000);
    expect((await client.admin.lag('warehouse', 'orders')).total).toBe(0);
  });

  it('reorders messages of different queues, never of one', async () => {
    faults.onRequest = ({ kind, queueId }) =>
      kind === 'pull' && queueId === 0 ? { answerDelayMs: 2_000 } : undefined;
    const reception = await consume({ mode: 'orderly' });
    for (const [queueId, body] of [
      [0, 'slow1'],
      [0, 'slow2'],
      [1, 'quick1'],
      [1, 'quick2'],
    ] as const) {
      await producer.send(message(body), { queue: { topic: 'orders', brokerName: 'memory', queueId } });
    }
    await clock.advance(10_000);
    expect(bodies(reception.messages)).toEqual(['quick1', 'quick2', 'slow1', 'slow2']);
  });

  it('loses a send-back and the way around it: the message is handled again on the spot, counted as another attempt', async () => {
    times(2, 'send-back', { outcome: 'refused' });
    const attempts: number[] = [];
    const reception = await consume({
      handler: ([received]) => {
        attempts.push(received!.attempt);
        return Promise.resolve(received!.attempt < 3 ? RETRY : ACK);
      },
    });
    await producer.send(message('x'));
    await clock.advance(120_000);
    // The broker counts its own deliveries.
    expect(attempts).toEqual([1, 2, 2, 3]);
    expect(reception.errors).toEqual(['giving messages back']);
  });

  it('loses offsets with the process that had not reported them: the messages come again', async () => {
    faults.onRequest = ({ kind }) => (kind === 'update-offset' ? { outcome: 'request-lost' } : undefined);
    const doomed = createRocketMQClient({
      engine: 'memory',
      memory: { broker },
      clock,
      instanceName: 'doomed',
    });
    await doomed.start();
    const first: string[] = [];
    const consumer = doomed.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      startFrom: 'first',
      handler: ([received]) => {
        first.push(received!.body.toString());
        return Promise.resolve(ACK);
      },
    });
    await consumer.start();
    // The first offsets could not be stored; the queues are taken over all the same a little later.
    await producer.send(message('x'));
    faults.onRequest = undefined;
    await clock.advance(10_000);
    expect(first).toEqual(['x']);
    // The pull that brings the next message is there already; the one behind it would report its offset.
    faults.onRequest = ({ kind }) =>
      kind === 'update-offset' || kind === 'pull' ? { outcome: 'request-lost' } : undefined;
    await producer.send(message('y'));
    await clock.settle();
    expect(first).toEqual(['x', 'y']);
    broker.disconnect(doomed.clientId);
    faults.onRequest = undefined;
    const reception = await consume();
    await clock.advance(10_000);
    expect(bodies(reception.messages)).toEqual(['y']);
  });

  it('does not set a group back by a pull that the broker acts on after the consumer was closed', async () => {
    let finish = (): void => undefined;
    const consumer = client.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      startFrom: 'first',
      handler: ([received]) =>
        received!.body.toString() === 'x'
          ? Promise.resolve(ACK)
          : new Promise((resolve) => (finish = () => resolve(ACK))),
    });
    await consumer.start();
    const queue = { topic: 'orders', brokerName: 'memory', queueId: 0 };
    await producer.send(message('x'), { queue });
    await clock.advance(10_000);
    // The pull that brings the next message is there already; the one behind it is sent while that message is handled.
    faults.onRequest = ({ kind }) => (kind === 'pull' ? { delayMs: 5_000 } : undefined);
    await producer.send(message('y'), { queue });
    await clock.settle();
    finish();
    const closed = consumer.close();
    await clock.advance(20_000);
    await closed;
    expect((await client.admin.lag('warehouse', 'orders')).total).toBe(0);
  });

  it('hands nothing to a client that died, whatever it still tries', async () => {
    const doomed = createRocketMQClient({
      engine: 'memory',
      memory: { broker },
      clock,
      instanceName: 'doomed',
    });
    await doomed.start();
    const ghosts: string[] = [];
    const ghost = doomed.createProducer({ group: 'ghost', maxAttempts: 1 });
    await ghost.start();
    const consumer = doomed.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      handler: ([received]) => {
        ghosts.push(received!.body.toString());
        return Promise.resolve(ACK);
      },
    });
    await consumer.start();
    await consumer.whenAssigned();
    broker.disconnect(doomed.clientId);
    await producer.send(message('x'));
    await clock.advance(60_000);
    expect(ghosts).toEqual([]);
    await expect(ghost.send(message('from beyond'))).rejects.toMatchObject({ code: 'CLOSED' });
    expect(stored()).toEqual(['x']);
    expect(broker.clientIds()).toEqual([client.clientId]);
  });

  it('loses the answer to a pull: the messages come with the next one', async () => {
    const consumer = client.createPullConsumer({ group: 'reader', startFrom: 'first', autoCommit: false });
    await consumer.start();
    const [queue] = await consumer.queues('orders');
    await producer.send(message('x'), { queue: queue! });
    once('pull', { outcome: 'answer-lost' });
    await consumer.assign([queue!]);
    const polling = consumer.poll(5_000);
    await clock.advance(5_000);
    expect(await polling).toEqual([]);
    const next = consumer.poll(60_000);
    await clock.advance(60_000);
    expect(bodies(await next)).toEqual(['x']);
  });

  it('deletes a topic under a consumer, which goes on when it is there again', async () => {
    const reception = await consume();
    await producer.send(message('before'));
    await clock.advance(1_000);
    await client.admin.deleteTopic('orders');
    await clock.advance(10_000);
    await client.admin.createTopic('orders', { queues: 2 });
    await clock.advance(10_000);
    await producer.send(message('after'));
    await clock.advance(30_000);
    expect(bodies(reception.messages)).toEqual(['before', 'after']);
  });

  it('loses a check, and asks several members at once', async () => {
    const checks: BrokerCheck[] = [];
    const copies = [0, 2, 1];
    faults.onCheck = (check) => {
      checks.push(check);
      return { copies: copies[check.check - 1] ?? 1 };
    };
    const asked: string[] = [];
    const first = client.createProducer({ group: 'transactional' });
    const secondClient = createRocketMQClient({ engine: 'memory', memory: { broker }, clock });
    await secondClient.start();
    const second = secondClient.createProducer({ group: 'transactional' });
    for (const [name, each] of [
      ['first', first],
      ['second', second],
    ] as const) {
      each.setTransactionCheck(() => {
        asked.push(`${name} at ${clock.monotonic()}`);
        return Promise.resolve('unknown');
      });
      await each.start();
    }
    const half = await first.sendHalf(message('half'));
    await clock.advance(65_000);
    expect(checks.map(({ check, messageId }) => [check, messageId])).toEqual([
      [1, half.receipt.messageId],
      [2, half.receipt.messageId],
    ]);
    expect(asked).toEqual(['first at 60000', 'second at 60000']);
    await secondClient.close();
  });

  it('loses the end of a transaction: the check settles it', async () => {
    const reception = await consume();
    const transactional = await newProducer();
    transactional.setTransactionCheck(() => Promise.resolve('commit'));
    once('end-transaction', { outcome: 'request-lost' });
    const half = await transactional.sendHalf(message('half'));
    const failed = expect(half.commit()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await clock.advance(10_000);
    await failed;
    expect(reception.messages).toEqual([]);
    await clock.advance(30_000);
    expect(bodies(reception.messages)).toEqual(['half']);
  });

  it('splits a batch: what was stored before the failure is told', async () => {
    const small = await newProducer({ maxMessageSize: 1_000, maxAttempts: 1 });
    let parts = 0;
    faults.onRequest = ({ kind }) =>
      kind === 'send-batch' && ++parts === 2 ? { outcome: 'refused' } : undefined;
    const batch = ['a', 'b', 'c', 'd'].map((name) => message(name.repeat(300)));
    const error: unknown = await small.sendBatch(batch).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', receipts: [{}, {}] });
    expect(stored()).toHaveLength(2);
  });

  it('is not reachable at the start', async () => {
    faults.unavailable = () => true;
    const late = createRocketMQClient({ engine: 'memory', memory: { broker }, clock, instanceName: 'late' });
    await expect(late.start()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    expect(late.state).toBe('down');
    await late.close();
  });
});

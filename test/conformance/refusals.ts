import { describe, expect, it } from 'vitest';
import type { Message } from '../../lib/message/message.js';
import type { RocketMQErrorCode } from '../../lib/message/rocketmq-error.js';
import { sql92 } from '../../lib/client/subscription.js';
import { uniqueName } from '../support/names.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, refusal, useStage } from './stage.js';

export function describeRefusals(engine: EngineUnderTest): void {
  describe('refusals', () => {
    const stage = useStage(engine);

    const wrong: readonly (readonly [string, Partial<Message>, RocketMQErrorCode])[] = [
      ['an empty body', { body: Buffer.alloc(0) }, 'INVALID_ARGUMENT'],
      ['a body above the limit', { body: Buffer.alloc(2_001) }, 'MESSAGE_TOO_LARGE'],
      ['a topic without a name', { topic: '' }, 'INVALID_ARGUMENT'],
      ['a topic with a space', { topic: 'a b' }, 'INVALID_ARGUMENT'],
      ['a topic that is too long', { topic: 'x'.repeat(128) }, 'INVALID_ARGUMENT'],
      ['a tag with a bar', { tag: 'a||b' }, 'INVALID_ARGUMENT'],
      ['a key with a space', { keys: ['a b'] }, 'INVALID_ARGUMENT'],
      ['an empty ordering key', { orderingKey: '' }, 'INVALID_ARGUMENT'],
      ['a header with a reserved name', { headers: { KEYS: 'x' } }, 'INVALID_ARGUMENT'],
      ['a header without a value', { headers: { note: '' } }, 'INVALID_ARGUMENT'],
      ['headers that are too long', { headers: { note: 'x'.repeat(33_000) } }, 'MESSAGE_TOO_LARGE'],
      ['keys that are too long', { keys: ['k'.repeat(33_000)] }, 'MESSAGE_TOO_LARGE'],
      ['delay level 0', { delivery: { level: 0 } }, 'INVALID_ARGUMENT'],
      ['delay level 19', { delivery: { level: 19 } }, 'INVALID_ARGUMENT'],
      ['a delay below zero', { delivery: { afterMs: -1 } }, 'INVALID_ARGUMENT'],
      ['a message id with a space', { messageId: 'a b' }, 'INVALID_ARGUMENT'],
    ];

    it.each(wrong)('refuses %s, whichever way it is sent', async (_name, part, code) => {
      const topic = await stage().topic();
      const producer = await stage().producer({ maxMessageSize: 2_000 });
      producer.setTransactionCheck(() => Promise.resolve('unknown'));
      const bad = message(topic, 'body', part);
      const error = await refusal(producer.send(bad), code);
      expect(error.retryable).toBe(false);
      await refusal(producer.sendOneWay(bad), code);
      await refusal(producer.sendHalf(bad), bad.delivery ? 'INVALID_ARGUMENT' : code);
      await refusal(producer.sendBatch([bad]), bad.delivery ? 'INVALID_ARGUMENT' : code);
    });

    it.runIf(engine.isBroker5)('refuses a timer further away than the broker keeps them', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const tooFar = message(topic, 'next month', { delivery: { afterMs: 30 * 86_400_000 } });
      const error = await refusal(producer.send(tooFar), 'INVALID_ARGUMENT');
      expect(error.retryable).toBe(false);
    });

    it('refuses a queue of another topic', async () => {
      const [topic, other] = [await stage().topic(), await stage().topic()];
      const producer = await stage().producer();
      const { brokerName, queueId } = await producer.send(message(other, 'there'));
      const queue = { topic: other, brokerName, queueId };
      await refusal(producer.send(message(topic, 'here'), { queue }), 'INVALID_ARGUMENT');
    });

    it('refuses an answer of a selector that is none of the queues', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const selector = (): { topic: string; brokerName: string; queueId: number } => ({
        topic,
        brokerName: 'nobody',
        queueId: 99,
      });
      await refusal(producer.send(message(topic, 'x'), { selector }), 'INVALID_ARGUMENT');
    });

    it('refuses to consume when no subscribed topic exists', async () => {
      const client = await stage().client();
      const consumer = client.createPushConsumer({
        group: uniqueName('group'),
        subscriptions: [{ topic: uniqueName('missing') }],
        handler: () => Promise.resolve({ action: 'ack' }),
      });
      await refusal(consumer.start(), 'TOPIC_NOT_FOUND');
    });

    it('refuses a filter the broker does not understand', async () => {
      const client = await stage().client();
      const topic = await stage().topic();
      const consumer = client.createPushConsumer({
        group: uniqueName('group'),
        subscriptions: [{ topic, filter: sql92('amount >') }],
        handler: () => Promise.resolve({ action: 'ack' }),
      });
      await refusal(consumer.start(), 'BROKER_REJECTED');
    });

    it('refuses an empty tag filter', async () => {
      const client = await stage().client();
      const topic = await stage().topic();
      const consumer = client.createPushConsumer({
        group: uniqueName('group'),
        subscriptions: [{ topic, filter: { type: 'tag', expression: '||' } }],
        handler: () => Promise.resolve({ action: 'ack' }),
      });
      await refusal(consumer.start(), 'INVALID_ARGUMENT');
    });

    it('refuses two consumers of one group in one client', async () => {
      const client = await stage().client();
      const topic = await stage().topic();
      const { group } = await stage().consume(topic);
      const second = client.createPushConsumer({
        group,
        subscriptions: [{ topic }],
        handler: () => Promise.resolve({ action: 'ack' }),
      });
      await refusal(second.start(), 'INVALID_CONFIGURATION');
    });

    it('refuses everything once the client is closed', async () => {
      const client = await stage().newClient();
      await client.close();
      expect(client.state).toBe('closed');
      expect(() => client.createProducer({ group: 'late' })).toThrow(/closed/);
      await refusal(client.admin.topicExists('any'), 'CLOSED');
    });
  });
}

import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, numbered, refusal, text, useStage } from './stage.js';

export function describeSending(engine: EngineUnderTest): void {
  describe('sending', () => {
    const stage = useStage(engine);

    it('answers with a receipt that says where the message lies', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const receipt = await producer.send(message(topic, 'hello'));
      expect(receipt).toMatchObject({ topic, status: 'SEND_OK', queueOffset: 0 });
      expect(receipt.messageId).toMatch(/^[0-9A-F]{32}$/);
      await reception.received(1);
      const [received] = reception.messages;
      expect(received).toMatchObject({
        topic,
        messageId: receipt.messageId,
        offsetMessageId: receipt.offsetMessageId,
        brokerName: receipt.brokerName,
        queueId: receipt.queueId,
        queueOffset: receipt.queueOffset,
        attempt: 1,
        tag: undefined,
        keys: [],
        orderingKey: undefined,
        headers: {},
      });
      expect(text(received!)).toBe('hello');
    });

    it('carries body, tag, keys, ordering key and headers unchanged', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const body = Buffer.from([0, 1, 2, 255, 128, 10]);
      await producer.send({
        topic,
        body,
        tag: 'created',
        keys: ['order-1', 'customer-2'],
        orderingKey: 'order-1',
        headers: { traceparent: '00-abc-01', title: 'Grüße 你好 😀', spaced: 'a b=c;d' },
      });
      await reception.received(1);
      const [received] = reception.messages;
      expect(received!.body.equals(body)).toBe(true);
      expect(received).toMatchObject({
        tag: 'created',
        keys: ['order-1', 'customer-2'],
        orderingKey: 'order-1',
        headers: { traceparent: '00-abc-01', title: 'Grüße 你好 😀', spaced: 'a b=c;d' },
      });
      expect(Object.keys(received!.headers).sort()).toEqual(['spaced', 'title', 'traceparent']);
    });

    it('does not let later changes of the buffer reach the consumer', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const body = Buffer.from('before');
      await producer.send({ topic, body });
      body.write('after!');
      await reception.received(1);
      expect(reception.bodies()).toEqual(['before']);
    });

    it('carries large bodies that are worth compressing and such that are not', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const uniform = Buffer.alloc(200_000, 'a');
      let state = 1;
      const noise = Buffer.from(
        Array.from({ length: 50_000 }, () => (state = (state * 48_271) % 2_147_483_647) & 0xff),
      );
      await producer.send({ topic, body: uniform, tag: 'uniform' });
      await producer.send({ topic, body: noise, tag: 'noise' });
      await reception.received(2);
      const byTag = new Map(reception.messages.map((each) => [each.tag, each.body]));
      expect(byTag.get('uniform')!.equals(uniform)).toBe(true);
      expect(byTag.get('noise')!.equals(noise)).toBe(true);
    });

    it('keeps a message id the caller gives', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const messageId = 'A0B1C2D3E4F5061728394A5B6C7D8E9F';
      const receipt = await producer.send(message(topic, 'again', { messageId }));
      expect(receipt.messageId).toBe(messageId);
      await producer.send(message(topic, 'again', { messageId }));
      await reception.received(2);
      expect(reception.messages.map((each) => each.messageId)).toEqual([messageId, messageId]);
    });

    it('spreads messages without a key over all queues', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const receipts = await Promise.all(numbered(8).map((body) => producer.send(message(topic, body))));
      expect(new Set(receipts.map(({ queueId }) => queueId)).size).toBe(4);
    });

    it('sends one way without a receipt', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      await producer.sendOneWay(message(topic, 'fire and forget', { tag: 'quick' }));
      await reception.received(1);
      expect(reception.bodies()).toEqual(['fire and forget']);
    });

    it('sends to exactly the queue that was chosen', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const first = await producer.send(message(topic, 'first'));
      const queue = { topic, brokerName: first.brokerName, queueId: (first.queueId + 1) % 4 };
      for (const body of numbered(3)) {
        const receipt = await producer.send(message(topic, body), { queue });
        expect(receipt.queueId).toBe(queue.queueId);
      }
    });

    it('sends messages of one ordering key to the queue Java chooses for it', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      // Java: Math.abs(key.hashCode() % 4); the last one is a key whose hash is Integer.MIN_VALUE.
      const expected: readonly (readonly [string, number])[] = [
        ['order-5', 2],
        ['order-8', 3],
        ['你好', 1],
        ['polygenelubricants', 0],
      ];
      for (const [orderingKey, queueId] of expected) {
        const receipt = await producer.send(message(topic, 'x', { orderingKey }));
        expect([orderingKey, receipt.queueId]).toEqual([orderingKey, queueId]);
      }
    });

    it('asks a selector for the queue, with the queues in order', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const seen: number[][] = [];
      const receipt = await producer.send(message(topic, 'x', { orderingKey: 'key' }), {
        selector: (queues, _message, orderingKey) => {
          seen.push(queues.map(({ queueId }) => queueId));
          return queues[orderingKey.length - 1]!;
        },
      });
      expect(receipt.queueId).toBe(2);
      expect(seen).toEqual([[0, 1, 2, 3]]);
    });

    it('stores the messages of one ordering key in the order in which they were awaited', async () => {
      // Without waiting there is no order: a broker handles the requests of one connection on several threads.
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const offsets: number[] = [];
      for (const body of numbered(20)) {
        const receipt = await producer.send(message(topic, body, { orderingKey: 'one' }));
        offsets.push(receipt.queueOffset);
      }
      expect(offsets).toEqual(Array.from({ length: 20 }, (_, index) => index));
    });

    it('sends a batch as messages of their own, with receipts in the order given', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const batch = numbered(20).map((body) =>
        message(topic, body, { tag: `tag-${body}`, keys: [body], headers: { name: body } }),
      );
      const receipts = await producer.sendBatch(batch);
      expect(receipts).toHaveLength(20);
      expect(new Set(receipts.map(({ messageId }) => messageId)).size).toBe(20);
      expect(new Set(receipts.map(({ queueId }) => queueId)).size).toBe(1);
      await reception.received(20);
      const byId = new Map(reception.messages.map((each) => [each.messageId, each]));
      for (const [index, receipt] of receipts.entries()) {
        const received = byId.get(receipt.messageId)!;
        const name = `m${index}`;
        expect(text(received)).toBe(name);
        expect(received).toMatchObject({
          tag: `tag-${name}`,
          keys: [name],
          headers: { name },
          queueOffset: receipt.queueOffset,
          offsetMessageId: receipt.offsetMessageId,
        });
      }
    });

    it('splits a batch that is larger than a message may be', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer({ maxMessageSize: 10_000 });
      const reception = await stage().consume(topic);
      const batch = numbered(10).map((name) => message(topic, name.padEnd(3_000, '.')));
      const receipts = await producer.sendBatch(batch);
      expect(receipts).toHaveLength(10);
      await reception.received(10);
      expect(
        reception
          .bodies()
          .map((body) => body.slice(0, 2))
          .sort(),
      ).toEqual(numbered(10));
    });

    it('has nothing to do for an empty batch', async () => {
      const producer = await stage().producer();
      expect(await producer.sendBatch([])).toEqual([]);
    });

    it('refuses what cannot be a batch', async () => {
      const topic = await stage().topic();
      const other = await stage().topic();
      const producer = await stage().producer();
      await refusal(producer.sendBatch([message(topic, 'a'), message(other, 'b')]), 'INVALID_ARGUMENT');
      const delayed = message(topic, 'later', { delivery: { level: 3 } });
      await refusal(producer.sendBatch([message(topic, 'a'), delayed]), 'INVALID_ARGUMENT');
      const keys = ['x', 'y'].map((orderingKey) => message(topic, orderingKey, { orderingKey }));
      await refusal(producer.sendBatch(keys), 'INVALID_ARGUMENT');
    });

    it('aborts when the caller no longer wants it', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const controller = new AbortController();
      controller.abort();
      await refusal(producer.send(message(topic, 'no'), { signal: controller.signal }), 'ABORTED');
    });

    it('waits for room, or says that there is none, when too much is in flight', async () => {
      const topic = await stage().topic();
      const patient = await stage().producer({ maxInFlight: 2 });
      const receipts = await Promise.all(numbered(20).map((body) => patient.send(message(topic, body))));
      expect(new Set(receipts.map(({ messageId }) => messageId)).size).toBe(20);
      const strict = await stage().producer({ maxInFlight: 1, onMaxInFlight: 'throw' });
      const first = strict.send(message(topic, 'first'));
      const error = await refusal(strict.send(message(topic, 'second')), 'TOO_MANY_IN_FLIGHT');
      expect(error.retryable).toBe(true);
      await first;
      await strict.send(message(topic, 'third'));
    });

    it('finishes what is in flight before it closes, and takes nothing afterwards', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const sends = numbered(10).map((body) => producer.send(message(topic, body)));
      await producer.close();
      await Promise.all(sends);
      await reception.received(10);
      await refusal(producer.send(message(topic, 'late')), 'CLOSED');
      await producer.close();
    });

    it('refuses to send before it was started', async () => {
      const topic = await stage().topic();
      const producer = (await stage().client()).createProducer({ group: 'not-started' });
      await refusal(producer.send(message(topic, 'early')), 'CLOSED');
    });

    it('creates a topic on the first send, where the broker does so', async () => {
      const client = await stage().client();
      const topic = `auto-${await stage().topic()}`;
      const producer = await stage().producer();
      await producer.send(message(topic, 'first'));
      await waitFor(() => client.admin.topicExists(topic));
      const reception = await stage().consume(topic, { startFrom: 'first' });
      await reception.received(1);
    });
  });
}

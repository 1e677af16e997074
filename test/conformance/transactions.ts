import { describe, expect, it } from 'vitest';
import type { ReceivedMessage } from '../../lib/message/message.js';
import type { TransactionResolution } from '../../lib/client/producer.js';
import { uniqueName } from '../support/names.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, refusal, text, useStage } from './stage.js';

export function describeTransactions(engine: EngineUnderTest): void {
  describe('transactional messages', () => {
    const stage = useStage(engine);

    it('are invisible until they are committed', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      producer.setTransactionCheck(() => Promise.resolve('unknown'));
      const reception = await stage().consume(topic);
      const half = await producer.sendHalf(message(topic, 'transaction', { tag: 't', keys: ['k'] }));
      expect(half.receipt).toMatchObject({ topic, status: 'SEND_OK', transactionId: half.receipt.messageId });
      await producer.send(message(topic, 'between'));
      await reception.received(1);
      expect(reception.bodies()).toEqual(['between']);
      await half.commit();
      await reception.received(2);
      expect(reception.messages[1]).toMatchObject({
        topic,
        messageId: half.receipt.messageId,
        transactionId: half.receipt.messageId,
        tag: 't',
        keys: ['k'],
        attempt: 1,
      });
    });

    it('are never seen when they are rolled back', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      producer.setTransactionCheck(() => Promise.resolve('unknown'));
      const reception = await stage().consume(topic);
      const half = await producer.sendHalf(message(topic, 'regretted'));
      await half.rollback();
      const kept = await producer.sendHalf(message(topic, 'kept'));
      await kept.commit();
      await reception.received(1);
      expect(reception.bodies()).toEqual(['kept']);
    });

    it('end once: the same end again is nothing, another one an error', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      producer.setTransactionCheck(() => Promise.resolve('unknown'));
      const reception = await stage().consume(topic);
      const half = await producer.sendHalf(message(topic, 'once'));
      await half.commit();
      await half.commit();
      await refusal(half.rollback(), 'INVALID_ARGUMENT');
      await producer.send(message(topic, 'end'));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['once', 'end']);
    });

    it.each(['commit', 'rollback'] as const)('are asked about, and the answer %s counts', async (answer) => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const asked: ReceivedMessage[] = [];
      producer.setTransactionCheck((half) => {
        asked.push(half);
        return Promise.resolve(answer);
      });
      const reception = await stage().consume(topic);
      const { receipt } = await producer.sendHalf(
        message(topic, 'forgotten', { tag: 't', keys: ['k'], headers: { order: '7' } }),
      );
      await waitFor(() => asked.length > 0);
      expect(asked[0]).toMatchObject({
        topic,
        messageId: receipt.messageId,
        transactionId: receipt.messageId,
        tag: 't',
        keys: ['k'],
        headers: { order: '7' },
      });
      expect(text(asked[0]!)).toBe('forgotten');
      // A second half message is asked about a round later: by then the first is settled.
      await producer.sendHalf(message(topic, 'second'));
      await waitFor(() => asked.some((each) => text(each) === 'second'));
      await producer.send(message(topic, 'end'));
      const expected = answer === 'commit' ? ['end', 'forgotten', 'second'] : ['end'];
      // A broker notes ends in batches and may ask again before: questions and deliveries come at least once.
      const bodies = (): string[] => [...new Set(reception.bodies())].sort();
      await waitFor(() => bodies().length === expected.length);
      expect(bodies()).toEqual(expected);
    });

    it('are asked about again while the answer is unknown or an error, each time at another place', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const answers: (() => Promise<TransactionResolution>)[] = [
        () => Promise.resolve('unknown'),
        () => Promise.reject(new Error('database away')),
        () => Promise.resolve('commit'),
      ];
      const asked: ReceivedMessage[] = [];
      producer.setTransactionCheck((half) => {
        asked.push(half);
        return answers[asked.length - 1]!();
      });
      const reception = await stage().consume(topic);
      await producer.sendHalf(message(topic, 'patience'));
      await reception.received(1);
      expect(asked).toHaveLength(3);
      expect(new Set(asked.map(({ messageId }) => messageId)).size).toBe(1);
      expect(new Set(asked.map(({ offsetMessageId }) => offsetMessageId)).size).toBe(3);
    });

    it('can be committed by the process that sent them after a check said unknown', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      let checks = 0;
      let decided = false;
      producer.setTransactionCheck(() => {
        checks++;
        return Promise.resolve(decided ? 'commit' : 'unknown');
      });
      const reception = await stage().consume(topic);
      const half = await producer.sendHalf(message(topic, 'late'));
      await waitFor(() => checks > 0);
      decided = true;
      await half.commit();
      await reception.received(1);
      const witness = await producer.sendHalf(message(topic, 'witness'));
      const ids = (): string[] => [...new Set(reception.messages.map(({ messageId }) => messageId))];
      await waitFor(() => ids().length === 2);
      expect(ids()).toEqual([half.receipt.messageId, witness.receipt.messageId]);
    });

    it('may be asked about at any member of the producer group', async () => {
      const topic = await stage().topic(1);
      const group = uniqueName('producer');
      const gone = await stage().newClient();
      const sender = await stage().producer({ group, client: gone });
      sender.setTransactionCheck(() => Promise.resolve('unknown'));
      const reception = await stage().consume(topic);
      await sender.sendHalf(message(topic, 'orphan'));
      await gone.close();
      const other = await stage().producer({ group });
      other.setTransactionCheck(() => Promise.resolve('commit'));
      await reception.received(1);
      expect(reception.bodies()).toEqual(['orphan']);
    });

    it('need a check and cannot be delayed', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      await refusal(producer.sendHalf(message(topic, 'x')), 'INVALID_CONFIGURATION');
      producer.setTransactionCheck(() => Promise.resolve('unknown'));
      const delayed = message(topic, 'x', { delivery: { level: 1 } });
      await refusal(producer.sendHalf(delayed), 'INVALID_ARGUMENT');
    });
  });
}

import { expect, it, describe } from 'vitest';
import type { Producer } from '../../lib/client/producer.js';
import type { ReceivedMessage } from '../../lib/message/message.js';
import { ACK } from '../../lib/client/push-consumer.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, refusal, text, useStage } from './stage.js';

export function describeRequestReply(engine: EngineUnderTest): void {
  describe('request and reply', () => {
    const stage = useStage(engine);

    /** Answers every request of a topic, from a client of its own. */
    async function answering(
      topic: string,
      answer: (request: ReceivedMessage, replier: Producer) => Promise<void>,
    ): Promise<Producer> {
      const client = await stage().newClient();
      const replier = await stage().producer({ client });
      await stage().consume(topic, {
        client,
        handle: async (request) => {
          await answer(request, replier);
          return ACK;
        },
      });
      return replier;
    }

    it('brings the reply to the one who asked, with its headers', async () => {
      const topic = await stage().topic();
      await answering(topic, (request, replier) =>
        replier.reply(request, {
          body: Buffer.from(`${text(request)}, ${request.headers['who']}`),
          headers: { kind: 'answer' },
        }),
      );
      const producer = await stage().producer();
      const { receipt, reply } = await producer.request(
        message(topic, 'hello', { headers: { who: 'you' } }),
        {
          timeoutMs: 30_000,
        },
      );
      expect(receipt).toMatchObject({ topic, status: 'SEND_OK' });
      expect(text(reply)).toBe('hello, you');
      expect(reply.headers).toEqual({ kind: 'answer' });
    });

    it('gives each of many requests its own reply, large ones too', async () => {
      const topic = await stage().topic();
      const padding = 'x'.repeat(20_000);
      await answering(topic, (request, replier) =>
        replier.reply(request, { body: Buffer.from(`re: ${text(request)} ${padding}`) }),
      );
      const producers = [await stage().producer(), await stage().producer()];
      const bodies = Array.from({ length: 20 }, (_, index) => `request ${index}`);
      const results = await Promise.all(
        bodies.map((body, index) =>
          producers[index % 2]!.request(message(topic, body), { timeoutMs: 30_000 }),
        ),
      );
      expect(results.map(({ reply }) => text(reply))).toEqual(bodies.map((body) => `re: ${body} ${padding}`));
    });

    it('fails when nobody replies in time, and when the caller gives up', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const late = await refusal(producer.request(message(topic, 'anybody?'), { timeoutMs: 300 }), 'TIMEOUT');
      expect(late.retryable).toBe(true);
      const { admin } = await stage().client();
      const stored = async (): Promise<number> =>
        [...(await admin.offsets(topic)).values()].reduce((sum, { max }) => sum + max, 0);
      const before = await stored();
      const gone = new AbortController();
      const request = producer.request(message(topic, 'anybody?'), {
        timeoutMs: 30_000,
        signal: gone.signal,
      });
      await waitFor(async () => (await stored()) > before);
      gone.abort();
      await refusal(request, 'ABORTED');
    });

    it('fails when the producer closes', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const request = producer.request(message(topic, 'anybody?'), { timeoutMs: 60_000 });
      const failed = refusal(request, 'CLOSED');
      const client = await stage().client();
      await waitFor(async () => {
        const offsets = await client.admin.offsets(topic);
        return [...offsets.values()].some(({ max }) => max > 0);
      });
      await producer.close();
      await failed;
    });

    it('replies only to requests, and says when the one who asked has gone', async () => {
      const topic = await stage().topic();
      const requests: ReceivedMessage[] = [];
      const replier = await answering(topic, (request) => {
        requests.push(request);
        return Promise.resolve();
      });
      const asking = await stage().newClient();
      const producer = await stage().producer({ client: asking });
      await producer.send(message(topic, 'no request'));
      await waitFor(() => requests.length === 1);
      const answer = { body: Buffer.from('too late') };
      await refusal(replier.reply(requests[0]!, answer), 'INVALID_ARGUMENT');
      await refusal(producer.request(message(topic, 'a request'), { timeoutMs: 3_000 }), 'TIMEOUT');
      await waitFor(() => requests.length === 2);
      // Late, but still there: it is handed over, and nobody waits for it.
      await replier.reply(requests[1]!, answer);
      await asking.close();
      await waitFor(async () => {
        await refusal(replier.reply(requests[1]!, answer), 'BROKER_REJECTED');
        return true;
      });
    });
  });
}

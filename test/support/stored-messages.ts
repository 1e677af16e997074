import { systemClock } from '../../lib/client/clock.js';
import { RemotingChannels } from '../../lib/client/remoting/network/remoting-channels.js';
import { decodeMessages, type StoredMessage } from '../../lib/client/remoting/protocol/message-decoder.js';
import { MASTER_ID } from '../../lib/client/remoting/protocol/route-data.js';
import { RequestCode } from '../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../lib/client/remoting/protocol/response-code.js';
import { NameServerClient, parseNameServers } from '../../lib/client/remoting/route/name-server.js';

/** PullSysFlag: the subscription stands in the request. */
const WITH_SUBSCRIPTION = 4;

/**
 * Reads what lies in a topic at the brokers, from the first offset of every queue on, without any consumer of ours:
 * what a sending test looks at. Sorted by broker, queue and offset.
 */
export class TopicReader {
  readonly #channels: RemotingChannels;
  readonly #nameServer: NameServerClient;

  constructor(nameServer: string) {
    const log = (): void => undefined;
    this.#channels = new RemotingChannels({ connectTimeoutMs: 3_000, clock: systemClock, log });
    this.#nameServer = new NameServerClient(this.#channels, parseNameServers(nameServer), {
      requestTimeoutMs: 5_000,
      clock: systemClock,
      log,
    });
  }

  async read(topic: string): Promise<(StoredMessage & { readonly brokerName: string })[]> {
    const { queueDatas, brokerDatas } = await this.#nameServer.topicRoute(topic);
    const messages: (StoredMessage & { readonly brokerName: string })[] = [];
    for (const { brokerName, readQueueNums } of queueDatas) {
      const address = brokerDatas
        .find((broker) => broker.brokerName === brokerName)
        ?.brokerAddrs.get(MASTER_ID);
      if (address === undefined) continue;
      for (let queueId = 0; queueId < readQueueNums; queueId++) {
        for (const stored of await this.#readQueue(address, topic, queueId)) {
          messages.push({ ...stored, brokerName });
        }
      }
    }
    return messages;
  }

  async #readQueue(address: string, topic: string, queueId: number): Promise<StoredMessage[]> {
    const messages: StoredMessage[] = [];
    let offset = 0;
    for (;;) {
      const response = await this.#channels.invoke(
        address,
        {
          code: RequestCode.PULL_MESSAGE,
          fields: {
            consumerGroup: 'topic-reader',
            topic,
            queueId,
            queueOffset: offset,
            maxMsgNums: 32,
            sysFlag: WITH_SUBSCRIPTION,
            commitOffset: 0,
            suspendTimeoutMillis: 0,
            subscription: '*',
            subVersion: 0,
            expressionType: 'TAG',
          },
        },
        { timeoutMs: 5_000 },
      );
      const next = Number(response.fields['nextBeginOffset'] ?? offset);
      if (response.code === ResponseCode.SUCCESS) {
        for (const decoded of decodeMessages(response.body)) {
          if (decoded.error) throw decoded.error;
          messages.push(decoded);
        }
      } else if (next <= offset) {
        return messages;
      }
      offset = next;
    }
  }

  close(): Promise<void> {
    return this.#channels.close();
  }
}

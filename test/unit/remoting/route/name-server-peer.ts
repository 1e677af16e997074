import type { RemotingCommand } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { RequestCode } from '../../../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import { ScriptedPeer, type PeerConnection } from '../network/scripted-peer.js';

export interface QueuesOfBroker {
  readonly read?: number;
  readonly write?: number;
  readonly perm?: number;
  readonly addresses?: Readonly<Record<number, string>>;
}

/** A name server whose routes the test writes. */
export class NameServerPeer {
  readonly peer: ScriptedPeer;
  /** Topic to body of the answer. */
  readonly routes = new Map<string, string>();
  /** Topics asked for, in order. */
  readonly asked: string[] = [];
  /** Answers that instead of a route, when set. */
  failure: number | undefined;

  private constructor(peer: ScriptedPeer) {
    this.peer = peer;
    peer.script = (request, connection) => this.#answer(request, connection);
  }

  static async start(): Promise<NameServerPeer> {
    return new NameServerPeer(await ScriptedPeer.start());
  }

  get address(): string {
    return this.peer.address;
  }

  setRoute(topic: string, brokers: Readonly<Record<string, QueuesOfBroker>>, orderTopicConf?: string): void {
    const queueDatas = Object.entries(brokers).map(([brokerName, { read = 4, write = 4, perm = 6 }]) => ({
      brokerName,
      readQueueNums: read,
      writeQueueNums: write,
      perm,
    }));
    const brokerDatas = Object.entries(brokers).map(
      ([brokerName, { addresses = { 0: `${brokerName}:10911` } }]) => ({
        cluster: 'DefaultCluster',
        brokerName,
        brokerAddrs: addresses,
      }),
    );
    this.routes.set(topic, JSON.stringify({ orderTopicConf, queueDatas, brokerDatas }));
  }

  #answer(request: RemotingCommand, connection: PeerConnection): void {
    if (this.failure !== undefined) {
      connection.answer(request, { code: this.failure, remark: 'as the test wants it' });
    } else if (request.code === RequestCode.GET_BROKER_CLUSTER_INFO) {
      connection.answer(request, { body: Buffer.from('{"brokerAddrTable":{},"clusterAddrTable":{}}') });
    } else {
      const topic = request.fields['topic'] ?? '';
      this.asked.push(topic);
      const body = this.routes.get(topic);
      if (body === undefined) {
        connection.answer(request, {
          code: ResponseCode.TOPIC_NOT_EXIST,
          remark: `No topic route info for ${topic}`,
        });
      } else {
        connection.answer(request, { body: Buffer.from(body) });
      }
    }
  }
}

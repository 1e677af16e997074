import { RequestCode } from '../../../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import { isOneWay, type RemotingCommand } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { encodeOffsetMessageId } from '../../../../lib/client/remoting/protocol/offset-message-id.js';
import { ScriptedPeer, type FrameParts, type PeerConnection } from '../network/scripted-peer.js';

/** What a broker says to a send; `'silence'` is no answer, `'cut'` resets the connection. */
export type SendAnswer = Partial<FrameParts> | 'silence' | 'cut';

const SENDS: ReadonlySet<number> = new Set([RequestCode.SEND_MESSAGE_V2, RequestCode.SEND_BATCH_MESSAGE]);

export class ScriptedBroker {
  readonly name: string;
  readonly peer: ScriptedPeer;
  /** Sends that arrived, in order. */
  readonly sends: RemotingCommand[] = [];
  /** Decides about every send; `undefined` stores it. */
  onSend: (request: RemotingCommand, count: number) => SendAnswer | undefined = () => undefined;
  version = 513;

  constructor(name: string, peer: ScriptedPeer) {
    this.name = name;
    this.peer = peer;
    peer.script = (request, connection) => this.#handle(request, connection);
  }

  requestsOf(code: number): RemotingCommand[] {
    return this.peer.requests.filter((request) => request.code === code);
  }

  #handle(request: RemotingCommand, connection: PeerConnection): void {
    if (!SENDS.has(request.code)) {
      if (!isOneWay(request)) connection.answer(request, {});
      return;
    }
    this.sends.push(request);
    const answer = this.onSend(request, this.sends.length);
    if (answer === 'silence' || isOneWay(request)) return;
    if (answer === 'cut') {
      connection.socket.resetAndDestroy();
      return;
    }
    const offset = this.sends.length;
    connection.answer(request, {
      fields: {
        msgId: encodeOffsetMessageId(this.peer.address, offset),
        queueId: request.fields['e'],
        queueOffset: offset,
        transactionId: 'x',
      },
      ...answer,
    });
  }
}

/** A name server and brokers that answer as told. Every topic has the same queues on each broker. */
export class ScriptedCluster {
  readonly nameServer: ScriptedPeer;
  readonly brokers: ScriptedBroker[] = [];
  /** Queues per broker. */
  queues = 2;
  /** 6 = read and write. */
  perm = 6;
  /** Topics the name server does not know. */
  readonly unknown = new Set<string>();

  private constructor(nameServer: ScriptedPeer) {
    this.nameServer = nameServer;
    nameServer.script = (request, connection) => this.#route(request, connection);
  }

  static async start(...names: string[]): Promise<ScriptedCluster> {
    const cluster = new ScriptedCluster(await ScriptedPeer.start());
    for (const name of names) cluster.brokers.push(new ScriptedBroker(name, await ScriptedPeer.start()));
    return cluster;
  }

  broker(name: string): ScriptedBroker {
    const found = this.brokers.find((broker) => broker.name === name);
    if (!found) throw new Error(`There is no broker ${name}`);
    return found;
  }

  async stop(): Promise<void> {
    await Promise.all([this.nameServer.stop(), ...this.brokers.map(({ peer }) => peer.stop())]);
  }

  #route(request: RemotingCommand, connection: PeerConnection): void {
    const brokerDatas = this.brokers.map(({ name, peer }) => ({
      cluster: 'scripted',
      brokerName: name,
      brokerAddrs: { 0: peer.address },
    }));
    if (request.code === RequestCode.GET_BROKER_CLUSTER_INFO) {
      const brokerAddrTable = Object.fromEntries(brokerDatas.map((data) => [data.brokerName, data]));
      connection.answer(request, { body: Buffer.from(JSON.stringify({ brokerAddrTable })) });
    } else if (this.unknown.has(request.fields['topic'] ?? '')) {
      connection.answer(request, { code: ResponseCode.TOPIC_NOT_EXIST, remark: 'No topic route info' });
    } else {
      const queueDatas = this.brokers.map(({ name }) => ({
        brokerName: name,
        readQueueNums: this.queues,
        writeQueueNums: this.queues,
        perm: this.perm,
        topicSysFlag: 0,
      }));
      connection.answer(request, { body: Buffer.from(JSON.stringify({ queueDatas, brokerDatas })) });
    }
  }
}

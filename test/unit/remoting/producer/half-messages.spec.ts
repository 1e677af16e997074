import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createRocketMQClient } from '../../../../lib/client/client-factory.js';
import type { Producer, TransactionResolution } from '../../../../lib/client/producer.js';
import { RecentlyEnded } from '../../../../lib/client/remoting/producer/recently-ended.js';
import {
  decodeProperties,
  encodeProperties,
} from '../../../../lib/client/remoting/protocol/message-properties.js';
import type { RemotingCommand } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { RequestCode } from '../../../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import type { RocketMQClient } from '../../../../lib/client/rocketmq-client.js';
import { waitFor } from '../../../support/wait-for.js';
import { frame } from '../network/scripted-peer.js';
import { ScriptedCluster } from './scripted-cluster.js';

/** A half message as it lies in the half topic. (Java: `MessageDecoder`.) */
function storedHalf(
  properties: Record<string, string>,
  queueOffset: number,
  commitLogOffset: number,
): Buffer {
  const topic = Buffer.from('RMQ_SYS_TRANS_HALF_TOPIC');
  const props = Buffer.from(encodeProperties(properties));
  const body = Buffer.from('half');
  const size = 91 + body.length + topic.length + props.length;
  const bytes = Buffer.alloc(size);
  bytes.writeInt32BE(size, 0);
  bytes.writeInt32BE(-626_843_481, 4);
  bytes.writeInt32BE(0, 12);
  bytes.writeBigInt64BE(BigInt(queueOffset), 20);
  bytes.writeBigInt64BE(BigInt(commitLogOffset), 28);
  bytes.writeInt32BE(body.length, 84);
  body.copy(bytes, 88);
  bytes.writeUInt8(topic.length, 88 + body.length);
  topic.copy(bytes, 89 + body.length);
  bytes.writeInt16BE(props.length, 89 + body.length + topic.length);
  props.copy(bytes, 91 + body.length + topic.length);
  return bytes;
}

describe('the end of a transaction', () => {
  let cluster: ScriptedCluster;
  let client: RocketMQClient;
  let producer: Producer;
  let asked: string[];
  let answer: () => Promise<TransactionResolution>;

  beforeEach(async () => {
    cluster = await ScriptedCluster.start('a');
    client = createRocketMQClient({ nameServer: cluster.nameServer.address, requestTimeoutMs: 1_000 });
    await client.start();
    producer = client.createProducer({ group: 'tx' });
    await producer.start();
    asked = [];
    answer = () => Promise.resolve('commit');
    producer.setTransactionCheck((message) => {
      asked.push(message.messageId);
      return answer();
    });
  });
  afterEach(async () => {
    await client.close();
    await cluster.stop();
  });

  const ends = () => cluster.broker('a').requestsOf(RequestCode.END_TRANSACTION);
  const sendHalf = () => producer.sendHalf({ topic: 'orders', body: Buffer.from('half') });
  const propertiesOf = ({ fields }: RemotingCommand) => decodeProperties(fields['i'] ?? '');

  /** The broker asks about the n-th half message it got, which lies at another place now. */
  function ask(index: number, commitLogOffset: number, tranStateTableOffset: number, group = 'tx'): void {
    const properties = propertiesOf(cluster.broker('a').sends[index]!);
    const body = storedHalf(
      { ...properties, PGROUP: group, REAL_TOPIC: 'orders', REAL_QID: '1' },
      tranStateTableOffset,
      commitLogOffset,
    );
    const fields = {
      msgId: properties['UNIQ_KEY'],
      transactionId: properties['UNIQ_KEY'],
      commitLogOffset,
      tranStateTableOffset,
    };
    const connection = cluster.broker('a').peer.open[0]!;
    connection.socket.write(
      frame({ code: RequestCode.CHECK_TRANSACTION_STATE, opaque: 9, flag: 2, fields, body }),
    );
  }

  it('marks the half message and names its place with the commit', async () => {
    const half = await sendHalf();
    const [sent] = cluster.broker('a').sends;
    expect(Number(sent!.fields['f']) & 0xc).toBe(4);
    expect(propertiesOf(sent!)).toMatchObject({ TRAN_MSG: 'true', PGROUP: 'tx' });

    await half.commit();

    expect(ends()[0]!.fields).toEqual({
      topic: 'orders',
      producerGroup: 'tx',
      tranStateTableOffset: '1',
      commitLogOffset: '1',
      commitOrRollback: '8',
      fromTransactionCheck: 'false',
      msgId: half.receipt.messageId,
      transactionId: half.receipt.messageId,
      bname: 'a',
    });
  });

  it('uses the place of the latest check', async () => {
    answer = () => Promise.resolve('unknown');
    const half = await sendHalf();
    ask(0, 500, 50);
    await waitFor(() => ends().length === 1, { describe: 'the answer "unknown"' });
    expect(ends()[0]!.fields).toMatchObject({
      commitOrRollback: '0',
      fromTransactionCheck: 'true',
      commitLogOffset: '500',
      tranStateTableOffset: '50',
    });

    await half.rollback();

    expect(ends()[1]!.fields).toMatchObject({
      commitOrRollback: '12',
      fromTransactionCheck: 'false',
      commitLogOffset: '500',
      tranStateTableOffset: '50',
    });
  });

  it('asks the application once for several questions at the same time, and answers the last', async () => {
    let release: (resolution: TransactionResolution) => void = () => undefined;
    answer = () => new Promise((resolve) => (release = resolve));
    await sendHalf();
    ask(0, 500, 50);
    await waitFor(() => asked.length === 1, { describe: 'the question' });
    ask(0, 600, 60);
    ask(0, 700, 70);
    await client.checkConnection();
    release('commit');
    await waitFor(() => ends().length === 1, { describe: 'the answer' });
    expect(ends()[0]!.fields).toMatchObject({ commitLogOffset: '700', commitOrRollback: '8' });
    expect(asked).toHaveLength(1);
  });

  it('does not commit twice when the broker asks before it has noted the commit', async () => {
    const half = await sendHalf();
    await half.commit();
    ask(0, 500, 50);
    await client.checkConnection();
    expect(asked).toEqual([]);
    expect(ends()).toHaveLength(1);
  });

  it('does not answer twice when the broker asks before it has noted the answer', async () => {
    await sendHalf();
    ask(0, 500, 50);
    await waitFor(() => ends().length === 1, { describe: 'the answer' });
    await client.checkConnection();
    ask(0, 600, 60);
    await client.checkConnection();
    expect(asked).toHaveLength(1);
    expect(ends()).toHaveLength(1);
  });

  it('reports a commit the broker refused, may try again, and answers the next check', async () => {
    const half = await sendHalf();
    const { peer } = cluster.broker('a');
    const { script } = peer;
    peer.script = (request, connection) => {
      if (request.code === RequestCode.END_TRANSACTION && ends().length <= 2) {
        connection.answer(request, { code: ResponseCode.SYSTEM_ERROR, remark: 'offset wrong' });
      } else script(request, connection);
    };
    await expect(half.commit()).rejects.toMatchObject({ code: 'BROKER_REJECTED' });
    await expect(half.commit()).rejects.toMatchObject({ message: expect.stringContaining('offset wrong') });
    ask(0, 500, 50);
    await waitFor(() => ends().length === 3, { describe: 'the answer to the check' });
    expect(asked).toEqual([half.receipt.messageId]);
  });

  it('runs at most sixteen checks at the same time', async () => {
    let running = 0;
    let most = 0;
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    answer = async () => {
      running++;
      most = Math.max(most, running);
      await opened;
      running--;
      return 'rollback';
    };
    await Promise.all(Array.from({ length: 100 }, sendHalf));
    for (let index = 0; index < 100; index++) ask(index, 1_000 + index, index);
    await waitFor(() => running === 16, { describe: 'sixteen checks' });
    open();
    await waitFor(() => ends().length === 100, { describe: 'a hundred answers' });
    expect(most).toBe(16);
    expect(new Set(asked).size).toBe(100);
  });

  it('is not asked for half messages of other groups', async () => {
    await sendHalf();
    ask(0, 500, 50, 'somebody-else');
    await client.checkConnection();
    expect(asked).toEqual([]);
  });
});

describe('RecentlyEnded', () => {
  let now = 0;
  const clock = {
    now: () => now,
    monotonic: () => now,
    setTimeout: () => undefined,
    clearTimeout: () => undefined,
  };

  it('remembers per broker, for half a minute', () => {
    now = 0;
    const ended = new RecentlyEnded(clock);
    ended.add('id', 'a');
    expect(ended.has('id', 'a')).toBe(true);
    expect(ended.has('id', 'b')).toBe(false);
    now = 29_999;
    expect(ended.has('id', 'a')).toBe(true);
    now = 30_000;
    expect(ended.has('id', 'a')).toBe(false);
  });

  it('forgets the oldest when there are too many', () => {
    now = 0;
    const ended = new RecentlyEnded(clock);
    for (let index = 0; index < 100_001; index++) ended.add(`${index}`, 'a');
    expect(ended.has('0', 'a')).toBe(false);
    expect(ended.has('1', 'a')).toBe(true);
    expect(ended.has('100000', 'a')).toBe(true);
  });
});

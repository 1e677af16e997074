import { connect, type Socket } from 'node:net';

/**
 * The least a client can do: one socket to one broker, a header written by string, the frames of one tick in one
 * write, answers matched by opaque and looked at no further. The distance to it is what our features cost.
 */
export class WireLimit {
  private readonly pending = new Map<number, (body: Buffer) => void>();
  private opaque = 0;
  private queued: Buffer[] = [];
  private rest: Buffer = Buffer.alloc(0);

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.read(chunk));
  }

  static open(address: string): Promise<WireLimit> {
    const colon = address.lastIndexOf(':');
    return new Promise((resolve, reject) => {
      const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon), () =>
        resolve(new WireLimit(socket)),
      );
      socket.once('error', reject);
    });
  }

  /** SEND_MESSAGE_V2 with the shortest header brokers take. */
  send(topic: string, queueId: number, body: Buffer): Promise<Buffer> {
    return this.request(
      310,
      `"a":"wire","b":"${topic}","c":"TBW102","d":"4","e":"${queueId}","f":"0","g":"1","h":"0","i":"","j":"0","k":"false","m":"false"`,
      body,
    );
  }

  /** SEND_BATCH_MESSAGE with a body made by {@link batchBody}. */
  sendBatch(topic: string, queueId: number, body: Buffer): Promise<Buffer> {
    return this.request(
      320,
      `"a":"wire","b":"${topic}","c":"TBW102","d":"4","e":"${queueId}","f":"0","g":"1","h":"0","i":"","j":"0","k":"false","m":"true"`,
      body,
    );
  }

  /** PULL_MESSAGE of up to 32 messages; resolves with the body: stored messages one after the other. */
  pull(group: string, topic: string, queueId: number, offset: number): Promise<Buffer> {
    return this.request(
      11,
      `"consumerGroup":"${group}","topic":"${topic}","queueId":"${queueId}","queueOffset":"${offset}","maxMsgNums":"32","sysFlag":"4","commitOffset":"0","suspendTimeoutMillis":"0","subscription":"*","subVersion":"0","expressionType":"TAG"`,
    );
  }

  private request(code: number, fields: string, body?: Buffer): Promise<Buffer> {
    const opaque = this.opaque++;
    const header = Buffer.from(
      `{"code":${code},"flag":0,"language":"OTHER","opaque":${opaque},"serializeTypeCurrentRPC":"JSON","version":401,"extFields":{${fields}}}`,
    );
    const prefix = Buffer.allocUnsafe(8);
    prefix.writeInt32BE(4 + header.length + (body?.length ?? 0), 0);
    prefix.writeInt32BE(header.length, 4);
    if (this.queued.length === 0) setImmediate(() => this.flush());
    this.queued.push(prefix, header);
    if (body) this.queued.push(body);
    return new Promise((resolve) => this.pending.set(opaque, resolve));
  }

  private flush(): void {
    this.socket.write(Buffer.concat(this.queued));
    this.queued = [];
  }

  private read(chunk: Buffer): void {
    let data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (data.length >= 8 && data.length >= 4 + data.readInt32BE(0)) {
      const end = 4 + data.readInt32BE(0);
      const headerEnd = 8 + (data.readInt32BE(4) & 0xffffff);
      const header = data.toString('latin1', 8, headerEnd);
      const opaque = Number.parseInt(header.slice(header.indexOf('"opaque":') + 9), 10);
      if (!header.includes('"code":0')) throw new Error(`The broker refused: ${header}`);
      this.pending.get(opaque)?.(data.subarray(headerEnd, end));
      this.pending.delete(opaque);
      data = data.subarray(end);
    }
    this.rest = data;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** `count` messages of one body as SEND_BATCH_MESSAGE wants them. */
export function batchBody(body: Buffer, count: number): Buffer {
  const one = Buffer.alloc(4 + 4 + 4 + 4 + 4 + body.length + 2);
  one.writeInt32BE(one.length, 0);
  one.writeInt32BE(body.length, 16);
  body.copy(one, 20);
  return Buffer.concat(Array.from({ length: count }, () => one));
}

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `to-target`: requests; `to-client`: answers and what the server pushes. */
export type ProxyDirection = 'to-target' | 'to-client';

export interface TcpProxyOptions {
  /**
   * Changes every frame on its way back to the client. The stream is cut into RocketMQ frames
   * (4-byte length in front); the frame given and returned includes its length.
   */
  readonly rewriteAnswer?: (frame: Buffer) => Buffer;
}

interface Link {
  readonly client: Socket;
  readonly target: Socket;
}

/**
 * A TCP proxy in front of a broker or name server that misbehaves on demand: cuts, refuses, delays, hangs
 * half-open, swallows, injects garbage.
 *
 * Brokers tell clients their own address through the route; {@link brokerThroughProxy} sets up both proxies so that
 * a client under test talks to the broker through one.
 */
export class TcpProxy {
  readonly #target: { host: string; port: number };
  readonly #options: TcpProxyOptions;
  readonly #links = new Set<Link>();
  readonly #delayMs: Record<ProxyDirection, number> = { 'to-target': 0, 'to-client': 0 };
  readonly #swallow: Record<ProxyDirection, boolean> = { 'to-target': false, 'to-client': false };
  readonly #cutAfter: Record<ProxyDirection, number> = { 'to-target': Infinity, 'to-client': Infinity };
  readonly #timers = new Set<NodeJS.Timeout>();
  #server: Server | undefined;
  #hanging = false;
  #port = 0;
  /** Connections accepted since the start. */
  accepted = 0;
  /** Bytes taken from either side since the start. */
  readonly bytes: Record<ProxyDirection, number> = { 'to-target': 0, 'to-client': 0 };

  private constructor(target: string, options: TcpProxyOptions) {
    const colon = target.lastIndexOf(':');
    this.#target = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
    this.#options = options;
  }

  /** @param target `host:port` */
  static async start(target: string, options: TcpProxyOptions = {}): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, options);
    await proxy.accept();
    return proxy;
  }

  /** `host:port` to give to the client under test. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#links.size;
  }

  /** Listens (again), on the port of before. */
  async accept(): Promise<void> {
    if (this.#server) return;
    const server = createServer((socket) => this.#onClient(socket));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** New connections are refused; existing ones stay. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    // close() resolves only when every connection has gone; not listening any more is what matters here.
    server.close();
    await new Promise(setImmediate);
  }

  /** Resets every open connection (RST). */
  cut(): void {
    for (const link of this.#links) this.#drop(link);
  }

  /** Resets the connection after so many more bytes in the direction: in the middle of a frame. */
  cutAfter(bytes: number, direction: ProxyDirection): void {
    this.#cutAfter[direction] = bytes;
  }

  /** Keeps every byte back from now on, without closing anything: a half-open connection. Nothing gets lost. */
  hang(): void {
    this.#hanging = true;
    for (const { client, target } of this.#links) {
      client.pause();
      target.pause();
    }
  }

  /** Ends {@link hang}. */
  resume(): void {
    this.#hanging = false;
    for (const { client, target } of this.#links) {
      client.resume();
      target.resume();
    }
  }

  /** Throws bytes of the direction away, or stops doing so. */
  swallow(direction: ProxyDirection, on = true): void {
    this.#swallow[direction] = on;
  }

  /** Every chunk of the direction arrives so much later; the order stays. */
  delay(ms: number, direction: ProxyDirection = 'to-client'): void {
    this.#delayMs[direction] = ms;
  }

  /** Bytes the server never sent. */
  injectToClients(bytes: Buffer): void {
    for (const { client } of this.#links) client.write(bytes);
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (server) {
      server.close();
      await once(server, 'close');
    }
  }

  #onClient(client: Socket): void {
    this.accepted++;
    const target = connect(this.#target);
    const link: Link = { client, target };
    this.#links.add(link);
    for (const socket of [client, target]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.#drop(link));
      socket.on('close', () => this.#drop(link));
    }
    client.on('data', (chunk: Buffer) => this.#forward(link, target, chunk, 'to-target'));
    const { rewriteAnswer } = this.#options;
    const frames = rewriteAnswer ? new FrameCutter(rewriteAnswer) : undefined;
    target.on('data', (chunk: Buffer) => {
      const bytes = frames ? frames.push(chunk) : chunk;
      if (bytes.length > 0) this.#forward(link, client, bytes, 'to-client');
    });
    if (this.#hanging) {
      client.pause();
      target.pause();
    }
  }

  #forward(link: Link, to: Socket, chunk: Buffer, direction: ProxyDirection): void {
    this.bytes[direction] += chunk.length;
    if (this.#swallow[direction]) return;
    const room = this.#cutAfter[direction];
    if (chunk.length >= room) {
      this.#cutAfter[direction] = Infinity;
      to.write(chunk.subarray(0, room), () => this.#drop(link));
      return;
    }
    this.#cutAfter[direction] = room - chunk.length;
    const ms = this.#delayMs[direction];
    if (ms === 0) {
      to.write(chunk);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!to.destroyed) to.write(chunk);
    }, ms);
    this.#timers.add(timer);
  }

  #drop(link: Link): void {
    if (!this.#links.delete(link)) return;
    // A socket that never connected cannot be reset, only destroyed.
    for (const socket of [link.client, link.target]) {
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}

/** Puts the stream back into RocketMQ frames and hands each to the rewriter. */
class FrameCutter {
  readonly #rewrite: (frame: Buffer) => Buffer;
  #rest: Buffer = Buffer.alloc(0);

  constructor(rewrite: (frame: Buffer) => Buffer) {
    this.#rewrite = rewrite;
  }

  push(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    let bytes = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 4) {
      const end = 4 + bytes.readInt32BE(0);
      if (bytes.length < end) break;
      out.push(this.#rewrite(bytes.subarray(0, end)));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return Buffer.concat(out);
  }
}

/** Replaces text in the body of a frame and corrects the frame's length. */
export function replaceInBody(frame: Buffer, replacements: ReadonlyMap<string, string>): Buffer {
  const headerEnd = 8 + (frame.readInt32BE(4) & 0xff_ff_ff);
  const before = frame.subarray(headerEnd).toString('latin1');
  let body = before;
  for (const [from, to] of replacements) body = body.replaceAll(from, to);
  if (body === before) return frame;
  const result = Buffer.concat([frame.subarray(0, headerEnd), Buffer.from(body, 'latin1')]);
  result.writeInt32BE(result.length - 4, 0);
  return result;
}

export interface ProxiedBroker {
  /** `host:port` of the name server proxy; give this to the client under test. */
  readonly nameServer: string;
  readonly nameServerProxy: TcpProxy;
  /** In front of the broker; misbehaves on demand. */
  readonly broker: TcpProxy;
  close(): Promise<void>;
}

/**
 * A way to a broker that only this test disturbs: a proxy in front of the broker, and one in front of the name
 * server that hands out the first one's address.
 *
 * @param nameServer of the real cluster, `host:port`
 * @param broker real address, `host:port`, as it stands in the route
 */
export async function brokerThroughProxy(nameServer: string, broker: string): Promise<ProxiedBroker> {
  const proxy = await TcpProxy.start(broker);
  const replacements = new Map([[`"${broker}"`, `"${proxy.address}"`]]);
  const nameServerProxy = await TcpProxy.start(nameServer, {
    rewriteAnswer: (frame) => replaceInBody(frame, replacements),
  });
  return {
    nameServer: nameServerProxy.address,
    nameServerProxy,
    broker: proxy,
    close: async () => {
      await Promise.all([proxy.close(), nameServerProxy.close()]);
    },
  };
}

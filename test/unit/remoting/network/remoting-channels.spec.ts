import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock, type Clock, type ClockTimer } from '../../../../lib/client/clock.js';
import { RemotingChannels } from '../../../../lib/client/remoting/network/remoting-channels.js';
import type { RemotingCommand } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import { waitFor } from '../../../support/wait-for.js';
import { echo, frame, ScriptedPeer } from './scripted-peer.js';

const CODE = 310;
const GO_AWAY = ResponseCode.GO_AWAY;
const LONG_MS = 10_000;

let peers: ScriptedPeer[];
let channels: RemotingChannels;
let logged: string[];

async function startPeer(...args: Parameters<typeof ScriptedPeer.start>): Promise<ScriptedPeer> {
  const peer = await ScriptedPeer.start(...args);
  peers.push(peer);
  return peer;
}

function newChannels(options: { connectTimeoutMs?: number; clock?: Clock } = {}): RemotingChannels {
  return new RemotingChannels({
    connectTimeoutMs: 2_000,
    clock: systemClock,
    log: (level, message) => logged.push(`${level} ${message}`),
    ...options,
  });
}

function invoke(peer: ScriptedPeer, body = 'x', timeoutMs = LONG_MS): Promise<RemotingCommand> {
  return channels.invoke(peer.address, { code: CODE, body: Buffer.from(body) }, { timeoutMs });
}

function failing(code: string, retryable?: boolean): Error {
  return expect.objectContaining(retryable === undefined ? { code } : { code, retryable }) as Error;
}

beforeEach(() => {
  peers = [];
  logged = [];
  channels = newChannels();
});

afterEach(async () => {
  await channels.close();
  await Promise.all(peers.map((peer) => peer.stop()));
});

describe('a request', () => {
  it('resolves with its own answer, also when answers come in another order', async () => {
    const held: (() => void)[] = [];
    const peer = await startPeer((request, connection) => {
      held.push(() => connection.answer(request, { body: request.body }));
      if (held.length === 3) for (const release of held.toReversed()) release();
    });
    const answers = await Promise.all([invoke(peer, 'a'), invoke(peer, 'b'), invoke(peer, 'c')]);
    expect(answers.map(({ body }) => body.toString())).toEqual(['a', 'b', 'c']);
    expect(channels.pendingRequests).toBe(0);
  });

  it('resolves with any response code, remark and fields included', async () => {
    const peer = await startPeer((request, connection) =>
      connection.answer(request, { code: 17, remark: 'No route', fields: { a: 'b' } }),
    );
    expect(await invoke(peer)).toMatchObject({ code: 17, remark: 'No route', fields: { a: 'b' } });
  });

  it('carries fields as text, leaves undefined out, and joins the pieces of a body', async () => {
    const peer = await startPeer();
    const fields = {
      topic: 'Köln "x"',
      queueId: 3,
      batch: true,
      absent: undefined,
      properties: 'a\u0001b\u0002',
    };
    const body = [Buffer.from('one '), Buffer.from('two')];
    const answer = await channels.invoke(peer.address, { code: CODE, fields, body }, { timeoutMs: LONG_MS });
    expect(peer.requests[0]?.fields).toEqual({
      topic: 'Köln "x"',
      queueId: '3',
      batch: 'true',
      properties: 'a\u0001b\u0002',
    });
    expect(answer.body.toString()).toBe('one two');
  });

  it('carries bodies large and small, whatever was written before and after them', async () => {
    const peer = await startPeer();
    const sizes = [1, 40_000, 5, 200_000, 31_000, 31_000, 31_000, 31_000, 31_000, 0, 1_000_000];
    const bodies = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    const answers = await Promise.all(
      bodies.map((body) => channels.invoke(peer.address, { code: CODE, body }, { timeoutMs: LONG_MS })),
    );
    expect(answers.every(({ body }, index) => body.equals(bodies[index] as Buffer))).toBe(true);
  });

  it('beyond the frame limit is refused before anything is written, the others go on', async () => {
    const peer = await startPeer();
    const body = Buffer.alloc(16 * 1024 * 1024);
    await expect(channels.invoke(peer.address, { code: CODE, body }, { timeoutMs: LONG_MS })).rejects.toThrow(
      failing('MESSAGE_TOO_LARGE'),
    );
    await invoke(peer, 'still');
    expect(channels.pendingRequests).toBe(0);
  });

  it('passes the hooks on its way', async () => {
    const peer = await startPeer();
    channels.addRequestHook((address, request) => ({
      ...request,
      fields: { ...request.fields, AccessKey: address },
    }));
    await invoke(peer);
    await channels.invokeOneWay(peer.address, { code: 15 });
    await waitFor(() => peer.requests.length === 2);
    expect(peer.requests.map(({ fields }) => fields['AccessKey'])).toEqual([peer.address, peer.address]);
  });
});

describe('requests of one tick', () => {
  it('leave with one write', async () => {
    const peer = await startPeer();
    await invoke(peer, 'connect');
    const [connection] = peer.connections;
    connection!.chunks.length = 0;
    await Promise.all(Array.from({ length: 100 }, (_, index) => invoke(peer, `message ${index}`)));
    // One write of some 16 KiB arrives as one piece, or a few where the kernel splits it; never as a hundred.
    expect(connection!.chunks.length).toBeLessThanOrEqual(3);
  });

  it('share the one connection, also while it is being made', async () => {
    const peer = await startPeer();
    await Promise.all([invoke(peer), invoke(peer), invoke(peer)]);
    expect(peer.connections).toHaveLength(1);
  });
});

describe('a deadline', () => {
  it('fails the request alone; its late answer is ignored', async () => {
    let late: (() => void) | undefined;
    const peer = await startPeer((request, connection) => {
      if (request.body.toString() === 'slow') late = () => connection.answer(request);
      else echo(request, connection);
    });
    await expect(invoke(peer, 'slow', 50)).rejects.toThrow(failing('TIMEOUT', true));
    expect(channels.pendingRequests).toBe(0);
    late?.();
    expect((await invoke(peer, 'fast')).body.toString()).toBe('fast');
    expect(peer.connections).toHaveLength(1);
  });

  it('belongs to each request, however they are mixed', async () => {
    const peer = await startPeer(() => undefined);
    const outcomes: string[] = [];
    const watch = (label: string, timeoutMs: number): Promise<unknown> =>
      invoke(peer, 'x', timeoutMs).catch(() => outcomes.push(label));
    await Promise.all([watch('third', 300), watch('first', 20), watch('second', 150)]);
    expect(outcomes).toEqual(['first', 'second', 'third']);
  });

  it('includes connecting', async () => {
    const peer = await startPeer();
    // An address that accepts no connection and does not refuse it either: the listen queue of a stopped reader.
    const attempt = channels.invoke('192.0.2.1:9876', { code: CODE }, { timeoutMs: 50 });
    await expect(attempt).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/TIMEOUT|CONNECTION_FAILED/) }),
    );
    await invoke(peer);
  });
});

describe('an abort', () => {
  it('ends a request that is under way', async () => {
    const peer = await startPeer(() => undefined);
    const abort = new AbortController();
    const request = channels.invoke(
      peer.address,
      { code: CODE },
      { timeoutMs: LONG_MS, signal: abort.signal },
    );
    await waitFor(() => peer.requests.length === 1);
    abort.abort(new Error('no longer needed'));
    await expect(request).rejects.toThrow(
      expect.objectContaining({
        code: 'ABORTED',
        cause: expect.objectContaining({ message: 'no longer needed' }),
      }),
    );
    expect(channels.pendingRequests).toBe(0);
  });

  it('of one signal ends any number of requests, without a warning', async () => {
    const peer = await startPeer(() => undefined);
    const warnings: string[] = [];
    const onWarning = ({ name }: Error): void => void warnings.push(name);
    process.on('warning', onWarning);
    const abort = new AbortController();
    const requests = Array.from({ length: 50 }, () =>
      channels.invoke(peer.address, { code: CODE }, { timeoutMs: LONG_MS, signal: abort.signal }),
    );
    await waitFor(() => peer.requests.length === 50);
    abort.abort();
    for (const result of await Promise.allSettled(requests)) {
      expect(result).toMatchObject({ reason: failing('ABORTED') });
    }
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('before the start sends nothing', async () => {
    const peer = await startPeer();
    const request = channels.invoke(
      peer.address,
      { code: CODE },
      { timeoutMs: LONG_MS, signal: AbortSignal.abort() },
    );
    await expect(request).rejects.toThrow(failing('ABORTED'));
    expect(peer.connections).toHaveLength(0);
  });
});

describe('a lost connection', () => {
  it('fails what is pending and is made again by the next request', async () => {
    const peer = await startPeer((request, connection) => {
      if (request.body.toString() === 'die') connection.socket.resetAndDestroy();
      else if (request.body.toString() !== 'wait') echo(request, connection);
    });
    const lost: string[] = [];
    channels.onDisconnect((address) => lost.push(address));
    await invoke(peer, 'connect');
    const results = await Promise.allSettled([
      invoke(peer, 'wait'),
      invoke(peer, 'wait'),
      invoke(peer, 'die'),
    ]);
    for (const result of results)
      expect(result).toMatchObject({ reason: failing('CONNECTION_FAILED', true) });
    expect(lost).toEqual([peer.address]);
    expect(channels.pendingRequests).toBe(0);
    expect((await invoke(peer, 'again')).body.toString()).toBe('again');
    expect(peer.connections).toHaveLength(2);
  });

  it('in the middle of a frame is a lost connection, not an answer', async () => {
    const peer = await startPeer((request, { socket }) => {
      const answer = frame({ code: 0, opaque: request.opaque, flag: 1, body: Buffer.alloc(100) });
      socket.end(answer.subarray(0, answer.length - 10));
    });
    await expect(invoke(peer)).rejects.toThrow(
      expect.objectContaining({
        code: 'CONNECTION_FAILED',
        cause: expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
      }),
    );
  });

  it('tells who connects and who disconnects', async () => {
    const peer = await startPeer();
    const events: string[] = [];
    const removeConnect = channels.onConnect(() => events.push('connect'));
    channels.onConnect(() => {
      throw new Error('a listener of somebody else');
    });
    channels.onDisconnect(() => events.push('disconnect'));
    await invoke(peer);
    peer.connections[0]!.socket.destroy();
    await waitFor(() => events.length === 2);
    removeConnect();
    await invoke(peer);
    expect(events).toEqual(['connect', 'disconnect']);
  });

  it('of a peer that is gone fails at once while the address is paused, and works again soon after it is back', async () => {
    const peer = await startPeer();
    await invoke(peer);
    await peer.stop();
    const refusals: unknown[] = [];
    for (let index = 0; index < 50; index++) {
      await invoke(peer).catch((error: unknown) => refusals.push(error));
    }
    expect(refusals).toHaveLength(50);
    for (const error of refusals) expect(error).toEqual(failing('CONNECTION_FAILED', true));
    await peer.listen();
    await waitFor(() =>
      invoke(peer).then(
        () => true,
        () => false,
      ),
    );
  });
});

describe('bytes that are not the protocol', () => {
  it.each([
    ['garbage', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['an oversize frame', Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
  ])('%s: a typed error, this connection closed, the others alive', async (_what, bytes) => {
    const good = await startPeer();
    const bad = await startPeer((_request, { socket }) => socket.write(bytes));
    await invoke(good);
    await expect(invoke(bad)).rejects.toThrow(failing('PROTOCOL_VIOLATION'));
    await waitFor(() => bad.open.length === 0);
    expect((await invoke(good)).code).toBe(ResponseCode.SUCCESS);
    expect(good.connections).toHaveLength(1);
    bad.script = echo;
    await waitFor(() =>
      invoke(bad).then(
        () => true,
        () => false,
      ),
    );
  });

  it('an answer nobody asked for is ignored', async () => {
    const peer = await startPeer((request, connection) => {
      connection.socket.write(frame({ code: 0, opaque: 999_999, flag: 1 }));
      echo(request, connection);
    });
    expect((await invoke(peer, 'x')).body.toString()).toBe('x');
  });
});

describe('a half-open connection', () => {
  it('is closed when requests time out and nothing at all arrives', async () => {
    const clock = { ...systemClock, monotonic: () => performance.now() + skipped };
    let skipped = 0;
    const mine = new RemotingChannels({ connectTimeoutMs: 2_000, clock, log: () => undefined });
    try {
      const peer = await startPeer();
      const lost: string[] = [];
      mine.onDisconnect((address) => lost.push(address));
      const call = (timeoutMs: number): Promise<RemotingCommand> =>
        mine.invoke(peer.address, { code: CODE }, { timeoutMs });
      await call(LONG_MS);
      peer.script = () => undefined;
      await expect(call(30)).rejects.toThrow(failing('TIMEOUT'));
      expect(lost).toEqual([]);
      const second = call(60);
      skipped = 6_000;
      await expect(second).rejects.toThrow(failing('TIMEOUT'));
      expect(lost).toEqual([peer.address]);
      peer.script = echo;
      await call(LONG_MS);
      expect(peer.connections).toHaveLength(2);
    } finally {
      await mine.close();
    }
  });

  it('is not assumed while anything arrives', async () => {
    const clock = { ...systemClock, monotonic: () => performance.now() + skipped };
    let skipped = 0;
    const mine = new RemotingChannels({ connectTimeoutMs: 2_000, clock, log: () => undefined });
    try {
      const peer = await startPeer((request, connection) => {
        if (request.body.toString() !== 'lost') echo(request, connection);
      });
      const call = (body: string, timeoutMs: number): Promise<RemotingCommand> =>
        mine.invoke(peer.address, { code: CODE, body: Buffer.from(body) }, { timeoutMs });
      for (let round = 0; round < 3; round++) {
        const lost = call('lost', 50);
        await call('fine', LONG_MS);
        skipped += 6_000;
        await expect(lost).rejects.toThrow(failing('TIMEOUT'));
      }
      expect(peer.connections).toHaveLength(1);
    } finally {
      await mine.close();
    }
  });
});

describe('GO_AWAY', () => {
  it('sends the request again over a new connection; the old one ends with its last answer', async () => {
    const held: (() => void)[] = [];
    const peer = await startPeer((request, connection) => {
      const text = request.body.toString();
      if (connection === peer.connections[0] && text === 'move')
        connection.answer(request, { code: GO_AWAY });
      else if (text === 'held') held.push(() => connection.answer(request, { body: Buffer.from('old') }));
      else echo(request, connection);
    });
    await invoke(peer, 'connect');
    const stays = invoke(peer, 'held');
    const answer = await invoke(peer, 'move');
    expect(answer).toMatchObject({ code: ResponseCode.SUCCESS });
    expect(answer.body.toString()).toBe('move');
    expect(peer.connections).toHaveLength(2);
    expect(peer.open).toHaveLength(2);
    held[0]?.();
    expect((await stays).body.toString()).toBe('old');
    await waitFor(() => peer.open.length === 1);
    expect((await invoke(peer, 'next')).body.toString()).toBe('next');
    expect(peer.connections).toHaveLength(2);
  });

  it('a second time is the answer, and the address is left alone for a moment', async () => {
    const peer = await startPeer((request, connection) => connection.answer(request, { code: GO_AWAY }));
    expect(await invoke(peer)).toMatchObject({ code: GO_AWAY });
    expect(peer.requests).toHaveLength(2);
    await expect(invoke(peer)).rejects.toThrow(failing('CONNECTION_FAILED', true));
    expect(peer.connections).toHaveLength(2);
    peer.script = echo;
    await waitFor(() =>
      invoke(peer).then(
        () => true,
        () => false,
      ),
    );
  });

  it('of a server that takes no new connection is a lost connection', async () => {
    const peer = await startPeer((request, connection) => {
      if (request.body.toString() !== 'move') return echo(request, connection);
      void peer.stop().catch(() => undefined);
      connection.socket.write(frame({ code: GO_AWAY, opaque: request.opaque, flag: 1 }));
    });
    await invoke(peer, 'connect');
    await expect(invoke(peer, 'move')).rejects.toThrow(failing('CONNECTION_FAILED', true));
  });
});

describe('a one-way request', () => {
  it('arrives flagged as such, also as the first of a connection', async () => {
    const peer = await startPeer();
    await channels.invokeOneWay(peer.address, { code: 15, fields: { a: 'b' } });
    await waitFor(() => peer.requests.length === 1);
    expect(peer.requests[0]).toMatchObject({ code: 15, flag: 2, fields: { a: 'b' } });
    expect(channels.pendingRequests).toBe(0);
  });

  it('waits while the socket is far behind, and gives up in time', async () => {
    channels = newChannels({ connectTimeoutMs: 300 });
    const peer = await startPeer();
    await invoke(peer);
    peer.connections[0]!.socket.pause();
    const body = Buffer.alloc(1024 * 1024);
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, () => channels.invokeOneWay(peer.address, { code: 15, body })),
    );
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.length).toBeLessThan(results.length);
    for (const { reason } of failed) expect(reason).toEqual(failing('TIMEOUT', true));
    peer.connections[0]!.socket.resume();
    await waitFor(() => peer.requests.length === 1 + results.length - failed.length);
    await channels.invokeOneWay(peer.address, { code: 15 });
  });

  it('fails when there is no connection', async () => {
    const peer = await startPeer();
    await peer.stop();
    await expect(channels.invokeOneWay(peer.address, { code: 15 })).rejects.toThrow(
      failing('CONNECTION_FAILED'),
    );
  });
});

describe('a request of the server', () => {
  it.each([0, 1] as const)('is answered in its own serialization (%s)', async (serializeType) => {
    const peer = await startPeer();
    channels.onRequest(221, async ({ fields, body }, address) => {
      await Promise.resolve();
      return { code: 0, fields: { address, group: fields['group'] }, body };
    });
    await invoke(peer);
    const body = Buffer.from('question');
    peer.connections[0]!.socket.write(
      frame({ code: 221, opaque: 77, fields: { group: 'g' }, body, serializeType }),
    );
    await waitFor(() => peer.answers.length === 1);
    expect(peer.answers[0]).toMatchObject({
      code: 0,
      opaque: 77,
      flag: 1,
      serializeType,
      fields: { address: peer.address, group: 'g' },
    });
    expect(peer.answers[0]?.body.toString()).toBe('question');
  });

  it('without an answer, or sent one-way, is not answered', async () => {
    const peer = await startPeer();
    let handled = 0;
    channels.onRequest(40, () => {
      handled++;
      return undefined;
    });
    channels.onRequest(41, () => {
      handled++;
      return { code: 0 };
    });
    await invoke(peer);
    peer.connections[0]!.socket.write(frame({ code: 40, opaque: 1 }));
    peer.connections[0]!.socket.write(frame({ code: 41, opaque: 2, flag: 2 }));
    peer.connections[0]!.socket.write(frame({ code: 999, opaque: 3 }));
    await waitFor(() => handled === 2 && peer.answers.length === 1);
    expect(peer.answers[0]).toMatchObject({ opaque: 3, code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED });
  });

  it('whose handler fails gets an error, and a line in the log', async () => {
    const peer = await startPeer();
    channels.onRequest(220, () => {
      throw new Error('no such group');
    });
    channels.onRequest(221, () => Promise.reject(new Error('later')));
    await invoke(peer);
    peer.connections[0]!.socket.write(frame({ code: 220, opaque: 1 }));
    peer.connections[0]!.socket.write(frame({ code: 221, opaque: 2 }));
    await waitFor(() => peer.answers.length === 2);
    expect(peer.answers).toMatchObject([
      { code: ResponseCode.SYSTEM_ERROR, remark: 'no such group' },
      { code: ResponseCode.SYSTEM_ERROR, remark: 'later' },
    ]);
    expect(logged.filter((line) => line.startsWith('error'))).toHaveLength(2);
  });
});

describe('closing', () => {
  /** Sockets and look-ups of this process; the peers' own sockets are among them until they have closed. */
  function activeSockets(): string[] {
    return process.getActiveResourcesInfo().filter((name) => /TCPSocket|TCPConnect|TLS|GetAddr/.test(name));
  }

  it('leaves no socket, no timer and no pending request', async () => {
    const timers = new Set<ClockTimer>();
    const clock: Clock = {
      ...systemClock,
      setTimeout: (callback, ms) => {
        const timer = systemClock.setTimeout(() => {
          timers.delete(timer);
          callback();
        }, ms);
        timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        timers.delete(timer);
        systemClock.clearTimeout(timer);
      },
    };
    const silent = await startPeer(() => undefined);
    const mine = newChannels({ clock });
    const request = { code: CODE };
    const pending = Promise.allSettled([
      mine.invoke(silent.address, request, { timeoutMs: LONG_MS }),
      mine.invoke('192.0.2.1:9876', request, { timeoutMs: LONG_MS }),
    ]);
    await waitFor(() => silent.requests.length === 1);
    expect(timers.size).toBeGreaterThan(0);
    await mine.close();
    for (const result of await pending) expect(result).toMatchObject({ status: 'rejected' });
    expect(mine.pendingRequests).toBe(0);
    expect(timers.size).toBe(0);
    await waitFor(() => activeSockets().length === 0, {
      timeoutMs: 5_000,
      describe: () => `no sockets, there are ${activeSockets().join()}`,
    });
  });

  it('lets the last one-way request leave', async () => {
    const peer = await startPeer();
    await invoke(peer);
    await Promise.all([channels.invokeOneWay(peer.address, { code: 15 }), channels.close()]);
    await waitFor(() => peer.requests.length === 2);
  });

  it('does not wait for a peer that never closes', async () => {
    const peer = await startPeer();
    await invoke(peer);
    peer.connections[0]!.socket.pause();
    await channels.close();
    await channels.close();
  });

  it('refuses everything after it', async () => {
    const peer = await startPeer();
    const pending = invoke(peer).catch((error: unknown) => error);
    await channels.close();
    expect(await pending).toEqual(failing('CLOSED'));
    await expect(invoke(peer)).rejects.toThrow(failing('CLOSED'));
    await expect(channels.invokeOneWay(peer.address, { code: 15 })).rejects.toThrow(failing('CLOSED'));
  });

  it('is not reported as a disconnection', async () => {
    const peer = await startPeer();
    const lost: string[] = [];
    channels.onDisconnect((address) => lost.push(address));
    await invoke(peer);
    await channels.close();
    expect(lost).toEqual([]);
  });
});

describe('an address', () => {
  it.each(['', 'host', 'host:', ':9876', 'host:99999', 'host:1:x'])('"%s" is refused', async (address) => {
    await expect(channels.invoke(address, { code: CODE }, { timeoutMs: LONG_MS })).rejects.toThrow(
      failing('INVALID_ARGUMENT'),
    );
  });

  it('that resolves to nothing is a failed connection', async () => {
    await expect(
      channels.invoke('no-such-host.invalid:9876', { code: CODE }, { timeoutMs: LONG_MS }),
    ).rejects.toThrow(failing('CONNECTION_FAILED', true));
  });
});

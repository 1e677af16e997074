import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TcpProxy } from '../../../scripts/chaos/surroundings/tcp-proxy.js';
import { waitFor } from '../../support/wait-for.js';

describe('the proxy that makes the weather', () => {
  let server: Server;
  let proxy: TcpProxy;
  let port: number;
  let luck: number;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    luck = 0;
    // Answers what it is told.
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    proxy = new TcpProxy(() => luck);
    const { port: target } = server.address() as AddressInfo;
    port = await proxy.listen({ host: '127.0.0.1', port: 0 }, { host: '127.0.0.1', port: target });
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await proxy.close();
    server.close();
  });

  interface Talk {
    readonly socket: Socket;
    heard: string;
    closed: boolean;
  }

  function talk(): Talk {
    const socket = connect({ host: '127.0.0.1', port });
    sockets.add(socket);
    const all: Talk = { socket, heard: '', closed: false };
    socket.on('error', () => {});
    socket.on('data', (bytes) => (all.heard += bytes.toString()));
    socket.on('close', () => (all.closed = true));
    return all;
  }

  it('passes on what is said, and the end of it', async () => {
    const one = talk();
    one.socket.end('hello');
    await waitFor(() => one.closed);
    expect(one.heard).toBe('hello');
    await waitFor(() => proxy.open === 0);
  });

  it('passes on a megabyte in order', async () => {
    const one = talk();
    const text = Array.from({ length: 100_000 }, (_, index) => `${index}, `).join('');
    one.socket.end(text);
    await waitFor(() => one.closed);
    expect(one.heard).toBe(text);
  });

  it('stalled: nothing passes and nothing is closed; afterwards everything arrives in order', async () => {
    const one = talk();
    one.socket.write('a');
    await waitFor(() => one.heard === 'a');
    proxy.set({ stalled: true });
    one.socket.write('b');
    const other = talk();
    other.socket.write('c');
    // A connection that is not stalled would have answered by now.
    proxy.set({ stalled: true, share: 0 });
    luck = 0.5;
    await waitFor(() => one.heard === 'ab' && other.heard === 'c');
    expect([one.closed, other.closed]).toEqual([false, false]);
  });

  it('keeps the connections silent that a share is about, and no others', async () => {
    luck = 0.2;
    const silent = talk();
    silent.socket.write('a');
    await waitFor(() => silent.heard === 'a');
    luck = 0.8;
    const lucky = talk();
    proxy.set({ stalled: true, share: 0.5 });
    silent.socket.write('b');
    lucky.socket.write('c');
    await waitFor(() => lucky.heard === 'c');
    expect(silent.heard).toBe('a');
    proxy.clear();
    await waitFor(() => silent.heard === 'ab');
  });

  it('delays each direction, and keeps the order when the delay ends early', async () => {
    const one = talk();
    one.socket.write('a');
    await waitFor(() => one.heard === 'a');
    proxy.set({ upMs: 600_000 });
    one.socket.write('b');
    proxy.set({ downMs: 600_000 });
    one.socket.write('c');
    proxy.clear();
    await waitFor(() => one.heard === 'abc');
  });

  it('cuts every connection', async () => {
    const one = talk();
    one.socket.write('a');
    await waitFor(() => one.heard === 'a');
    expect(proxy.cut()).toBe(1);
    await waitFor(() => one.closed && proxy.open === 0);
  });

  it('refuses new connections until the weather is fine', async () => {
    proxy.set({ refuse: true });
    const one = talk();
    await waitFor(() => one.closed);
    expect(one.heard).toBe('');
    proxy.clear();
    const other = talk();
    other.socket.write('a');
    await waitFor(() => other.heard === 'a');
  });

  it('a server that is away closes the connection', async () => {
    server.close();
    const one = talk();
    await waitFor(() => one.closed);
    expect(proxy.open).toBe(0);
  });
});

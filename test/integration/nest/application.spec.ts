import { createServer, connect, type AddressInfo, type Server } from 'node:net';
import { Controller, Get, Injectable } from '@nestjs/common';
import {
  InjectRocketMQTemplate,
  Payload,
  RocketMQConnections,
  RocketMQHealthIndicator,
  RocketMQListener,
  RocketMQListenerRegistry,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { nestApp, recordEvents } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

describe('an application with HTTP', () => {
  it('has listeners on controllers beside routes, and tells its health', async () => {
    const topic = uniqueName('hybrid');
    @Controller()
    class Orders {
      readonly seen: unknown[] = [];
      constructor(private readonly health: RocketMQHealthIndicator) {}

      @Get('orders')
      list(): unknown {
        return this.seen;
      }

      @Get('health')
      check(): unknown {
        return this.health.check();
      }

      @RocketMQListener({ topic, group: uniqueName('group'), startFrom: 'first' })
      on(@Payload() order: unknown): void {
        this.seen.push(order);
      }
    }
    const app = await nestApp({ controllers: [Orders] });
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    await app.get(RocketMQTemplate).send(topic, { id: 1 });
    const orders = await waitFor(async () => {
      const list = (await (await fetch(`${url}/orders`)).json()) as unknown[];
      return list.length > 0 && list;
    });
    expect(orders).toEqual([{ id: 1 }]);
    expect(await (await fetch(`${url}/health`)).json()).toEqual({
      rocketmq: { status: 'up', connections: { default: 'up' }, listeners: { 'Orders.on': 'running' } },
    });
    await app.close();
  });
});

describe('without a broker', () => {
  it('the application does not start, and says what to do', async () => {
    await expect(
      nestApp({ options: { nameServer: '127.0.0.1:1', connectTimeoutMs: 300 } }),
    ).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringMatching(
        /Connection "default" cannot be opened.*startWithoutBroker: true/,
      ) as string,
    });
  });

  it('it starts all the same when told so, and its listeners when the broker is there', async () => {
    const topic = uniqueName('late');
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('group'), startFrom: 'first' })
      on(@Payload() order: unknown): void {
        seen.push(order);
      }
    }
    const port = await freePort();
    const app = await nestApp({
      providers: [Orders],
      options: { nameServer: `127.0.0.1:${port}`, startWithoutBroker: true, connectTimeoutMs: 300 },
    });
    const states = recordEvents(app, 'listener.state');
    const health = app.get(RocketMQHealthIndicator);
    expect(await health.check()).toMatchObject({ rocketmq: { status: 'down' } });
    expect(app.get(RocketMQListenerRegistry).list()).toMatchObject([{ state: 'stopped' }]);
    await expect(app.get(RocketMQTemplate).send(topic, 1)).rejects.toMatchObject({ retryable: true });
    const door = await forward(port);
    await waitFor(() => states.some(({ event }) => event['state'] === 'running'));
    await app.get(RocketMQTemplate).send(topic, { id: 1 });
    await waitFor(() => seen.length === 1);
    expect(await health.check()).toMatchObject({ rocketmq: { status: 'up' } });
    await app.close();
    door.close();
  });
});

describe('two connections', () => {
  it('keep what is theirs apart', async () => {
    const topic = uniqueName('apart');
    const group = uniqueName('group');
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      constructor(
        readonly main: RocketMQTemplate,
        @InjectRocketMQTemplate('audit') readonly audit: RocketMQTemplate,
      ) {}

      @RocketMQListener({ topic, group, startFrom: 'first' })
      onMain(@Payload() order: unknown): void {
        seen.push(['main', order]);
      }

      @RocketMQListener({ topic, group, connection: 'audit', startFrom: 'first' })
      onAudit(@Payload() order: unknown): void {
        seen.push(['audit', order]);
      }
    }
    const app = await nestApp({
      providers: [Orders],
      options: { connections: { audit: { nameServer: nameServer(), namespace: uniqueName('audit') } } },
    });
    expect(app.get(RocketMQConnections).states()).toEqual({ default: 'up', audit: 'up' });
    const { main, audit } = app.get(Orders);
    await main.send(topic, 1);
    await audit.send(topic, 2);
    await waitFor(() => seen.length === 2);
    expect(seen.sort()).toEqual([
      ['audit', 2],
      ['main', 1],
    ]);
    await app.close();
  });
});

describe('two applications of one group in one process', () => {
  it('share the queues, and the one that stays takes over', async () => {
    const topic = uniqueName('shared');
    const group = uniqueName('group');
    const seen = new Set<number>();
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group, startFrom: 'first', tuning: { rebalanceIntervalMs: 1_000 } })
      on(@Payload() n: number): void {
        seen.add(n);
      }
    }
    const one = await nestApp({ providers: [Orders] });
    const queues = (app: typeof one): number =>
      app.get(RocketMQListenerRegistry).list()[0]?.queues.length ?? 0;
    const total = await waitFor(() => queues(one));
    const two = await nestApp({ providers: [Orders] });
    await waitFor(() => queues(one) > 0 && queues(one) < total && queues(one) + queues(two) === total);
    await one.get(RocketMQTemplate).sendBatch(topic, [1, 2, 3]);
    await waitFor(() => seen.size === 3);
    await one.close();
    await waitFor(() => queues(two) === total);
    await two.get(RocketMQTemplate).sendBatch(topic, [4, 5, 6]);
    await waitFor(() => seen.size === 6);
    await two.close();
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A name server appears at the port. */
async function forward(port: number): Promise<Server> {
  const [host, target] = nameServer().split(';')[0]?.split(':') ?? [];
  const server = createServer((socket) => {
    const upstream = connect(Number(target), host);
    socket.pipe(upstream).pipe(socket);
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  }).listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return server;
}

import {
  Controller,
  type DynamicModule,
  Get,
  Global,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  getRocketMQTemplateToken,
  InjectRocketMQTemplate,
  RejectMessage,
  RocketMQConnections,
  RocketMQError,
  RocketMQHealthIndicator,
  RocketMQListener,
  RocketMQListenerRegistry,
  RocketMQModule,
  type RocketMQModuleOptions,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { LifecycleCoordinator } from '../../../lib/module/lifecycle-coordinator.js';
import { CLIENT_FACTORY } from '../../../lib/module/module.tokens.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { scriptedApp } from '../../support/scripted-app.js';
import { connectionFailed, received, ScriptedClient } from '../../support/scripted-client.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Orders {
  @RocketMQListener({ topic: 'orders', group: 'inventory' })
  on(): void {}
}

@Injectable()
class Rejecting {
  @RocketMQListener({ topic: 'orders', group: 'inventory' })
  on(): void {
    throw new RejectMessage('no');
  }
}

describe('the application', () => {
  it.each([true, false])(
    'starts listeners after every bootstrap hook, drains them before any destroy hook, and then closes producers before the database: isGlobal %s',
    async (isGlobal) => {
      const client = new ScriptedClient('orders');
      class Noting implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
        constructor(private readonly name: string) {}

        async onApplicationBootstrap(): Promise<void> {
          await new Promise((resolve) => setImmediate(resolve));
          client.log.push(`${this.name} bootstrapped`);
        }

        async onModuleDestroy(): Promise<void> {
          await new Promise((resolve) => setImmediate(resolve));
          client.log.push(`${this.name} destroyed`);
        }

        onApplicationShutdown(): void {
          client.log.push(`${this.name} shut down`);
        }
      }
      @Global()
      @Module({ providers: [{ provide: 'database', useFactory: () => new Noting('database') }] })
      class DatabaseModule {}
      @Module({ providers: [{ provide: 'feature', useFactory: () => new Noting('feature') }, Orders] })
      class FeatureModule {}
      const { app } = await scriptedApp({
        imports: [DatabaseModule, FeatureModule],
        providers: [{ provide: 'root', useFactory: () => new Noting('root') }],
        options: { isGlobal },
        client,
      });
      await app.get(RocketMQTemplate).send('orders', 1);
      await app.close();
      await app.get(LifecycleCoordinator).onModuleDestroy(); // once more: nothing happens
      expect(client.log).toEqual([
        'database bootstrapped',
        'feature bootstrapped',
        'root bootstrapped',
        'client started',
        'consumer inventory started',
        'producer nestjs-rocketmq started',
        'consumer inventory closed',
        'root destroyed',
        'feature destroyed',
        'database destroyed',
        'producer nestjs-rocketmq closed',
        'client closed',
        'root shut down',
        'feature shut down',
        'database shut down',
      ]);
    },
  );

  it('lets HTTP requests under way send, after listeners have drained', async () => {
    let arrived: () => void = () => undefined;
    let leave: () => void = () => undefined;
    const request = new Promise<void>((resolve) => (arrived = resolve));
    const gate = new Promise<void>((resolve) => (leave = resolve));
    @Controller()
    class Shop {
      constructor(@Inject(RocketMQTemplate) private readonly template: RocketMQTemplate) {}

      @Get('order')
      async order(): Promise<unknown> {
        arrived();
        await gate;
        return (await this.template.send('orders', 1)).status;
      }
    }
    const { app, consumer } = await scriptedApp({ controllers: [Shop], providers: [Orders] });
    await app.listen(0, '127.0.0.1');
    const response = fetch(`${await app.getUrl()}/order`, { headers: { connection: 'close' } });
    await request;
    const closed = app.close();
    await waitFor(() => consumer('inventory').closed);
    leave();
    expect(await (await response).text()).toBe('SEND_OK');
    await closed;
    await expect(app.get(RocketMQTemplate).send('orders', 1)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('that fails to start a listener closes everything it opened', async () => {
    const client = new ScriptedClient('orders');
    client.consumerError = new RocketMQError('UNAUTHORIZED', 'No access. Ask for it.');
    await expect(scriptedApp({ providers: [Orders], client })).rejects.toThrow('No access');
    expect(client.log).toEqual(['client started', 'consumer inventory closed', 'client closed']);
  });

  it('closes while it is starting', async () => {
    const client = new ScriptedClient('orders');
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const start = client.start.bind(client);
    client.start = async () => {
      await gate;
      return start();
    };
    const module = await Test.createTestingModule({
      imports: [RocketMQModule.forRoot({ nameServer: 'scripted:9876', logging: false })],
      providers: [Orders],
    })
      .overrideProvider(CLIENT_FACTORY)
      .useValue(() => client)
      .setLogger(false as never)
      .compile();
    const app = module.createNestApplication({ logger: false });
    const init = app.init();
    const coordinator = app.get(LifecycleCoordinator);
    await waitFor(() => client.log.length === 0);
    const destroyed = new Promise<void>((resolve) => setImmediate(resolve)).then(() =>
      coordinator.onModuleDestroy(),
    );
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
    open();
    await Promise.all([init, destroyed]);
    await app.close();
    expect(client.log).toEqual(['client started', 'client closed']);
  });
});

describe('an application that has drained', () => {
  it('starts no listener any more: nobody would stop it', async () => {
    const { app, client } = await scriptedApp({ providers: [Orders] });
    await app.get(LifecycleCoordinator).onModuleDestroy();
    await expect(app.get(RocketMQListenerRegistry).start('Orders.on')).rejects.toMatchObject({
      code: 'CLOSED',
      message: expect.stringMatching(
        /^Group "inventory" does not start: the application is stopping\./,
      ) as string,
    });
    expect(app.get(RocketMQListenerRegistry).list()).toMatchObject([{ state: 'stopped' }]);
    await app.close();
    expect(client.log).toEqual([
      'client started',
      'consumer inventory started',
      'consumer inventory closed',
      'client closed',
    ]);
  });

  it('starts none with an attempt without a broker that was under way', async () => {
    const client = new ScriptedClient('orders');
    client.startError = connectionFailed();
    const clock = new FakeClock();
    const { app, events } = await scriptedApp({
      providers: [Orders],
      client,
      clock,
      options: { startWithoutBroker: true },
    });
    client.startError = undefined;
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    let asked = false;
    const start = client.start.bind(client);
    client.start = async () => {
      asked = true;
      await answered;
      return start();
    };
    await clock.advanceUntil(() => asked);
    const closed = app.close();
    await waitFor(() => events.some(({ name }) => name === 'drain.end'));
    answer();
    await closed;
    expect(client.log).toEqual(['client started', 'client closed']);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('log lines', () => {
  it("go through Nest's Logger, unless logging is off", async () => {
    for (const logging of [true, false]) {
      const lines: string[] = [];
      const write = (message: string): number => lines.push(message);
      const { app, consumer } = await scriptedApp({
        providers: [Rejecting],
        options: { logging },
        prepare: (nest) => nest.useLogger({ log: write, warn: write, error: write, debug: write }),
      });
      await consumer('inventory').deliver(received(1));
      const about = lines.filter((line) => line.startsWith('message rejected'));
      expect(about).toHaveLength(logging ? 1 : 0);
      await app.close();
    }
  });
});

describe('autoStart: false', () => {
  it('touches no network until something is sent or started', async () => {
    const { app, client, consumer } = await scriptedApp({
      providers: [Orders],
      options: { autoStart: false },
    });
    expect(client.log).toEqual([]);
    const registry = app.get(RocketMQListenerRegistry);
    expect(registry.list()).toMatchObject([{ id: 'Orders.on', state: 'stopped' }]);
    await registry.start('Orders.on');
    expect(client.log).toEqual(['client started', 'consumer inventory started']);
    expect(registry.list()).toMatchObject([
      { id: 'Orders.on', state: 'running', queues: ['orders@broker-a:0'], group: 'inventory' },
    ]);
    expect(await consumer('inventory').deliver(received(1))).toEqual([{ action: 'ack' }]);
    await app.close();
  });

  it('checks topics when listeners are started', async () => {
    const { app } = await scriptedApp({
      providers: [Orders],
      client: new ScriptedClient(),
      options: { autoStart: false },
    });
    await expect(app.get(RocketMQListenerRegistry).start()).rejects.toThrow(/Topic "orders".*does not exist/);
    await app.close();
  });
});

describe('startWithoutBroker', () => {
  it('starts the application, shows the state, and starts listeners when the broker is there', async () => {
    const client = new ScriptedClient('orders');
    client.startError = connectionFailed();
    const clock = new FakeClock();
    const { app } = await scriptedApp({
      providers: [Orders],
      client,
      clock,
      options: { startWithoutBroker: true },
    });
    expect(app.get(RocketMQConnections).states()).toEqual({ default: 'down' });
    expect(await app.get(RocketMQHealthIndicator).check()).toMatchObject({
      rocketmq: { status: 'down', connections: { default: 'down' }, listeners: { 'Orders.on': 'stopped' } },
    });
    await expect(app.get(RocketMQTemplate).send('orders', 1)).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      retryable: true,
    });
    await clock.advance(10_000);
    client.startError = undefined;
    await clock.advance(20_000);
    expect(client.log).toEqual(['client started', 'consumer inventory started']);
    expect(await app.get(RocketMQHealthIndicator).check('mq')).toMatchObject({
      mq: { status: 'up', connections: { default: 'up' }, listeners: { 'Orders.on': 'running' } },
    });
    await app.get(RocketMQTemplate).send('orders', 1);
    await app.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('is down while a listener cannot start though the broker is there, says so once, and starts it when it can', async () => {
    const client = new ScriptedClient();
    const clock = new FakeClock();
    const { app, events } = await scriptedApp({
      providers: [Orders],
      client,
      clock,
      options: { startWithoutBroker: true },
    });
    const health = app.get(RocketMQHealthIndicator);
    await clock.advance(5_000);
    expect(await health.check()).toMatchObject({
      rocketmq: { status: 'down', connections: { default: 'up' }, listeners: { 'Orders.on': 'failed' } },
    });
    const failures = events.filter(({ event }) => event.state === 'failed');
    expect(failures).toMatchObject([
      {
        name: 'listener.state',
        event: {
          listener: 'Orders.on',
          error: {
            message: expect.stringMatching(/Topic "orders" of listener "Orders.on" does not exist/) as string,
          },
        },
      },
    ]);
    client.topics.set('orders', undefined);
    await clock.advance(30_000);
    expect(await health.check()).toMatchObject({
      rocketmq: { status: 'up', listeners: { 'Orders.on': 'running' } },
    });
    await app.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('closes while it still tries', async () => {
    const client = new ScriptedClient('orders');
    client.startError = connectionFailed();
    const clock = new FakeClock();
    const { app } = await scriptedApp({
      providers: [Orders],
      client,
      clock,
      options: { startWithoutBroker: true },
    });
    await app.close();
    expect(clock.pendingTimers).toBe(0);
    expect(client.log).toEqual(['client closed']);
  });
});

describe('the listener registry', () => {
  it('pauses and resumes by id, or all', async () => {
    @Injectable()
    class Two {
      @RocketMQListener({ id: 'a', topic: 'orders', group: 'g' })
      a(): void {}

      @RocketMQListener({ id: 'b', topic: 'payments', group: 'g' })
      b(): void {}
    }
    const { app, consumer } = await scriptedApp({ providers: [Two] });
    const registry = app.get(RocketMQListenerRegistry);
    const states = () => Object.fromEntries(registry.list().map(({ id, state }) => [id, state]));
    registry.pause('a');
    expect([...consumer('g').paused]).toEqual(['orders']);
    expect(states()).toEqual({ a: 'paused', b: 'running' });
    registry.pause();
    expect([...consumer('g').paused]).toEqual(['orders', 'payments']);
    registry.resume('a');
    expect(states()).toEqual({ a: 'running', b: 'paused' });
    registry.resume();
    expect(states()).toEqual({ a: 'running', b: 'running' });
    expect(() => registry.pause('c')).toThrow(/There is no listener "c". Known: a, b/);
    await app.close();
  });

  it('stops and starts; what was paused stays paused', async () => {
    const { app, client, consumer } = await scriptedApp({ providers: [Orders] });
    const registry = app.get(RocketMQListenerRegistry);
    registry.pause();
    await registry.stop('Orders.on');
    expect(consumer('inventory').closed).toBe(true);
    expect(registry.list()).toMatchObject([{ state: 'stopped', queues: [] }]);
    await registry.start('Orders.on');
    expect(client.consumers).toHaveLength(2);
    expect([...consumer('inventory').paused]).toEqual(['orders']);
    expect(registry.list()).toMatchObject([{ state: 'paused' }]);
    client.consumerError = new Error('no');
    await registry.stop();
    await expect(registry.start()).rejects.toThrow('no');
    expect(registry.list()).toMatchObject([{ state: 'failed' }]);
    client.consumerError = undefined;
    await registry.start();
    expect(registry.list()).toMatchObject([{ state: 'paused' }]);
    await app.close();
  });

  it('knows disabled listeners and says why they do not start', async () => {
    const { app } = await scriptedApp({
      providers: [Orders],
      options: { listeners: { 'Orders.on': { enabled: false } } },
    });
    const registry = app.get(RocketMQListenerRegistry);
    expect(registry.list()).toMatchObject([{ id: 'Orders.on', state: 'disabled' }]);
    await expect(registry.start('Orders.on')).rejects.toThrow(/is disabled by its options/);
    await app.close();
  });
});

describe('named connections', () => {
  it('have their own client, listeners and template', async () => {
    const clients = new Map([
      ['scripted:9876', new ScriptedClient('orders')],
      ['audit:9876', new ScriptedClient('orders')],
    ]);
    @Injectable()
    class Audit {
      constructor(@InjectRocketMQTemplate('audit') readonly template: RocketMQTemplate) {}

      @RocketMQListener({ topic: 'orders', group: 'audit', connection: 'audit' })
      on(): void {}
    }
    for (const importModule of [
      (options: RocketMQModuleOptions) => RocketMQModule.forRoot(options),
      (options: RocketMQModuleOptions) =>
        RocketMQModule.forRootAsync({ useFactory: () => options, connectionNames: ['audit'] }),
    ]) {
      for (const client of clients.values()) {
        client.log.length = 0;
        client.producers.length = 0;
      }
      const module = await Test.createTestingModule({
        imports: [
          importModule({
            nameServer: 'scripted:9876',
            logging: false,
            connections: { audit: { nameServer: 'audit:9876', producer: { group: 'auditors' } } },
          }),
        ],
        providers: [Orders, Audit],
      })
        .overrideProvider(CLIENT_FACTORY)
        .useValue(({ nameServer }: { nameServer: string }) => clients.get(nameServer))
        .setLogger(false as never)
        .compile();
      const app = module.createNestApplication({ logger: false });
      await app.init();
      await app.get(Audit).template.send('orders', { audited: true });
      expect(app.get(getRocketMQTemplateToken('audit'))).toBe(app.get(Audit).template);
      expect(clients.get('scripted:9876')?.log).toEqual(['client started', 'consumer inventory started']);
      expect(clients.get('audit:9876')?.log).toEqual([
        'client started',
        'consumer audit started',
        'producer auditors started',
      ]);
      await app.close();
    }
  });
});

describe('several applications in one process', () => {
  it('share nothing, with the same listener classes', async () => {
    const one = await scriptedApp({ providers: [Orders] });
    const two = await scriptedApp({
      providers: [Orders],
      options: { listeners: { 'Orders.on': { concurrency: 3 } } },
    });
    expect(one.consumer('inventory').options.concurrency).toBeUndefined();
    expect(two.consumer('inventory').options.concurrency).toBe(3);
    await one.app.close();
    expect(two.consumer('inventory').closed).toBe(false);
    expect(await two.consumer('inventory').deliver(received(1))).toEqual([{ action: 'ack' }]);
    await two.app.close();
  });
});

describe('forRootAsync', () => {
  @Injectable()
  class Config {
    createRocketMQOptions(): RocketMQModuleOptions {
      return {
        nameServer: 'scripted:9876',
        logging: false,
        autoStart: false,
        connections: { audit: { nameServer: 'audit:9876' } },
      };
    }
  }

  @Module({ providers: [Config], exports: [Config] })
  class ConfigModule {}

  const compile = (module: DynamicModule, ...features: DynamicModule[]) =>
    Test.createTestingModule({ imports: [module, ...features] })
      .overrideProvider(CLIENT_FACTORY)
      .useValue(() => new ScriptedClient())
      .setLogger(false as never)
      .compile();

  it.each([
    [
      'a factory, with what it injects',
      { inject: [Config], useFactory: (c: Config) => c.createRocketMQOptions() },
    ],
    ['a class', { useClass: Config }],
    ['a provider that exists', { useExisting: Config }],
  ])('takes options from %s', async (_name, source) => {
    const module = await compile(RocketMQModule.forRootAsync({ imports: [ConfigModule], ...source }));
    expect(module.get(RocketMQConnections).names()).toEqual(['default', 'audit']);
    await module.close();
  });

  it('leaves the templates of named connections to features', async () => {
    const source = { imports: [ConfigModule], useExisting: Config };
    @Injectable()
    class Auditor {
      constructor(@InjectRocketMQTemplate('audit') readonly template: RocketMQTemplate) {}
    }
    @Module({ imports: [RocketMQModule.forFeature('audit', 'default')], providers: [Auditor] })
    class AuditModule {}
    const module = await compile(RocketMQModule.forRootAsync(source), { module: AuditModule });
    await module.init();
    const { producer } = module.get(RocketMQConnections).get('audit');
    expect(module.get(Auditor, { strict: false }).template.producer).toBe(producer);
    expect(module.get(RocketMQTemplate, { strict: false }).producer).not.toBe(producer);
    await module.close();
    await expect(
      compile(RocketMQModule.forRootAsync(source), RocketMQModule.forFeature('nowhere')),
    ).rejects.toThrow('There is no connection "nowhere". Known: default, audit.');
  });
});

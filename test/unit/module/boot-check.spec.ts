import { Injectable, Module } from '@nestjs/common';
import {
  allocateAveragelyByCircle,
  DeadLetterListener,
  Idempotent,
  OnTag,
  Outbox,
  RocketMQBatchListener,
  RocketMQError,
  RocketMQListener,
  RocketMQModule,
  sql92,
  Tx,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { IDEMPOTENCY } from '../../../lib/idempotency/idempotency.tokens.js';
import { scriptedApp, type ScriptedAppOptions } from '../../support/scripted-app.js';
import { connectionFailed, ScriptedClient } from '../../support/scripted-client.js';

/** What the application says when it does not start. */
async function refusal(options: ScriptedAppOptions): Promise<RocketMQError> {
  const client = options.client ?? new ScriptedClient('orders', 'payments');
  try {
    const { app } = await scriptedApp({ ...options, client });
    await app.close();
  } catch (error) {
    if (!(error instanceof RocketMQError)) throw error;
    expect(error.code).toBe('INVALID_CONFIGURATION');
    expect(client.consumers.filter(({ started }) => started)).toEqual([]);
    return error;
  }
  throw new Error('The application started');
}

function lines(error: RocketMQError): string[] {
  return error.message
    .split('\n')
    .filter((line) => line.startsWith('  - '))
    .map((line) => line.slice(4));
}

describe('at boot', () => {
  it('everything that is wrong is told in one error', async () => {
    @Injectable()
    class Wrong {
      @RocketMQListener({ topic: 'bad topic', group: 'a', concurency: 3 } as never)
      a(): void {}

      @RocketMQListener({ topic: 'orders', group: 'b', concurrency: 0, timeout: 'soon' as never })
      b(): void {}

      @RocketMQListener({ topic: 'missing', group: 'c' })
      c(): void {}

      @RocketMQListener({ topic: 'orders', group: 'd', connection: 'nowhere' })
      d(): void {}

      @RocketMQListener({ topic: 'orders', group: 'e', onExhausted: 'noSuchMethod', batchSize: 5 } as never)
      e(): void {}
    }
    const error = await refusal({
      providers: [Wrong],
      options: {
        listeners: { 'Wrong.x': { enabled: false } },
        topics: 'guess' as never,
        shutdwon: {},
        failures: { guardDenied: 'explode' as never },
      } as never,
    });
    expect(lines(error)).toEqual([
      expect.stringMatching(/unknown option "shutdwon"/),
      expect.stringMatching(/failures.guardDenied is "explode"/),
      expect.stringMatching(/topics is "guess"/),
      expect.stringMatching(/Listener Wrong.a: unknown option "concurency"/),
      expect.stringMatching(/Listener Wrong.a: Topic "bad topic"/),
      expect.stringMatching(/Listener Wrong.b: "soon" is not a duration/),
      expect.stringMatching(/Listener Wrong.b: concurrency is 0/),
      expect.stringMatching(/Listener Wrong.e: batchSize is for @RocketMQBatchListener/),
      expect.stringMatching(/Listener Wrong.e: onExhausted names "noSuchMethod"/),
      expect.stringMatching(/listeners\["Wrong.x"\] names no listener/),
      expect.stringMatching(/Listener "Wrong.d" names connection "nowhere"/),
      expect.stringMatching(/Topic "missing" of listener "Wrong.c" does not exist/),
    ]);
    expect(error.message).toMatch(/12 things are wrong/);
  });

  it('a broker that is away is an error with the remedy, unless startWithoutBroker is set', async () => {
    const client = new ScriptedClient();
    client.startError = connectionFailed();
    const error = await refusal({ client });
    expect(lines(error)).toEqual([
      expect.stringMatching(
        /Connection "default" cannot be opened: Nobody answers.*startWithoutBroker: true/,
      ),
    ]);
    expect(client.log).toEqual(['client closed']);
  });

  it('a missing engine option is told with everything else', async () => {
    const module = await import('@nestjs/testing').then(({ Test }) =>
      Test.createTestingModule({
        imports: [RocketMQModule.forRoot({ connections: { b: { oops: 1 } } } as never)],
      })
        .setLogger(false as never)
        .compile(),
    );
    await expect(module.createNestApplication({ logger: false }).init()).rejects.toThrow(
      /connections.b has an unknown option "oops"[^]*Connection "default": No RocketMQ is named[^]*Connection "b": No RocketMQ is named/,
    );
  });

  it('listeners of one group that contradict each other are refused', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'g', concurrency: 5 })
      a(): void {}

      @RocketMQListener({ topic: 'payments', group: 'g', concurrency: 6, mode: 'ordered' })
      b(): void {}

      @RocketMQBatchListener({ topic: 'payments', group: 'h' })
      c(): void {}

      @RocketMQListener({ topic: 'orders', group: 'h' })
      d(): void {}
    }
    expect(lines(await refusal({ providers: [Orders] }))).toEqual([
      expect.stringMatching(/"Orders.a" and "Orders.b" share group "g" but disagree on concurrency/),
      expect.stringMatching(
        /"Orders.c" and "Orders.d" share group "h" but disagree on being a batch listener/,
      ),
    ]);
  });

  it('two listeners of one group must not want the same message', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'all' })
      a(): void {}

      @RocketMQListener({ topic: 'orders', group: 'all', filter: 'created' })
      b(): void {}

      @RocketMQListener({ topic: 'orders', group: 'same', filter: 'created || paid' })
      c(): void {}

      @RocketMQListener({ topic: 'orders', group: 'same', filter: 'paid' })
      d(): void {}

      @RocketMQListener({ topic: 'orders', group: 'sql', filter: sql92('a > 1') })
      e(): void {}

      @RocketMQListener({ topic: 'orders', group: 'sql', filter: 'x' })
      f(): void {}
    }
    expect(lines(await refusal({ providers: [Orders] }))).toEqual([
      expect.stringMatching(
        /"Orders.a" shares topic "orders" and group "all" with "Orders.b".*every message/,
      ),
      expect.stringMatching(/"Orders.c" and "Orders.d" of group "same" both want tag "paid"/),
      expect.stringMatching(/"Orders.e" shares topic "orders" and group "sql".*SQL92/),
    ]);
  });

  it('@OnTag methods must fit their class', async () => {
    @Injectable()
    class NoListener {
      @OnTag('a')
      a(): void {}
    }
    @Injectable()
    @RocketMQListener({ topic: 'orders', group: 'empty' })
    class Empty {}
    @Injectable()
    @RocketMQListener({ topic: 'orders', group: 'twice', filter: 'a || b' })
    class Twice {
      @OnTag('a')
      one(): void {}

      @OnTag('a', 'c')
      two(): void {}
    }
    expect(lines(await refusal({ providers: [NoListener, Empty, Twice] }))).toEqual([
      expect.stringMatching(/NoListener has @OnTag methods but no @RocketMQListener/),
      expect.stringMatching(/Empty has @RocketMQListener on the class, but neither/),
      expect.stringMatching(/"Twice" has two @OnTag\("a"\)/),
      expect.stringMatching(/"Twice" has @OnTag\("c"\), which its filter leaves out/),
      expect.stringMatching(/"Twice" subscribes to "b", but no @OnTag method/),
    ]);
  });

  it('a capability the engine does not have is named with listener and remedy', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'a', model: 'broadcasting' })
      a(): void {}

      @RocketMQListener({ topic: 'orders', group: 'b', mode: 'ordered', filter: sql92('x = 1') })
      b(): void {}

      @RocketMQListener({ topic: 'orders', group: 'c', startFrom: new Date(0) })
      c(): void {}
    }
    const client = new ScriptedClient('orders');
    client.capabilities = new Set(['admin']);
    expect(lines(await refusal({ providers: [Orders], client }))).toEqual([
      expect.stringMatching(/"Orders.a".*memory engine.*does not have model "broadcasting"/),
      expect.stringMatching(/"Orders.b".*does not have mode "ordered"/),
      expect.stringMatching(/"Orders.b".*does not have an SQL92 filter/),
      expect.stringMatching(/"Orders.c".*does not have startFrom with a date/),
    ]);
  });

  it('ids must differ, and RocketMQModule is imported once', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ id: 'same', topic: 'orders', group: 'a' })
      a(): void {}

      @RocketMQListener({ id: 'same', topic: 'orders', group: 'b' })
      b(): void {}
    }
    @Module({ imports: [RocketMQModule.forRoot({ nameServer: 'other:9876' })] })
    class Second {}
    expect(lines(await refusal({ providers: [Orders], imports: [Second] }))).toEqual([
      expect.stringMatching(/RocketMQModule.forRoot is imported 2 times/),
      expect.stringMatching(/Listener id "same" is used 2 times/),
    ]);
  });
});

describe('@Tx and @Idempotent', () => {
  it('belong together, and need the feature', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'a' })
      a(@Tx() _tx: unknown): void {}

      @Idempotent()
      @RocketMQListener({ topic: 'orders', group: 'b' })
      b(@Tx() _tx: unknown): void {}

      @Idempotent({ mode: 'lease' })
      @RocketMQBatchListener({ topic: 'orders', group: 'c' })
      c(@Tx() _tx: unknown): void {}
    }
    expect(lines(await refusal({ providers: [Orders, { provide: IDEMPOTENCY, useValue: {} }] }))).toEqual([
      expect.stringMatching(/Orders.a \(a\) asks for @Tx\(\), and nothing opens a transaction/),
      expect.stringMatching(/Orders.b \(b\) is @Idempotent\(\), and the feature is off/),
      expect.stringMatching(/Orders.c \(c\) is @Idempotent\(\), and the feature is off/),
      expect.stringMatching(/Orders.c \(c\) asks for @Tx\(\), but .* opens no transaction/),
      expect.stringMatching(/Orders.c \(c\) is a batch listener with .*'lease'/),
    ]);
  });

  it('a feature that is off can be injected, and says so when it is used', async () => {
    const { app } = await scriptedApp({});
    const outbox = app.get(Outbox);
    expect(() => outbox.send('orders', 1)).toThrow(
      /Outbox is injected, but the feature is off.*`outbox: true`/,
    );
    await app.close();
  });

  it('a database feature without a DataSource is refused with the remedy', async () => {
    await expect(scriptedApp({ options: { outbox: true } })).rejects.toThrow(
      /outbox needs a TypeORM DataSource, and there is no provider of that class.*database.dataSource/,
    );
  });
});

describe('listeners of one group', () => {
  it('are one consumer: their topics are its subscriptions, their tags are divided', async () => {
    const seen: string[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'g', filter: 'created', concurrency: 7 })
      created(): void {
        seen.push('created');
      }

      @RocketMQListener({ topic: 'orders', group: 'g', filter: 'paid || refunded' })
      paid(): void {
        seen.push('paid');
      }

      @RocketMQListener({ topic: 'payments', group: 'g' })
      payments(): void {
        seen.push('payments');
      }

      @RocketMQListener({ topic: 'payments', group: 'other' })
      other(): void {
        seen.push('other');
      }
    }
    const { app, client, consumer } = await scriptedApp({ providers: [Orders] });
    expect(client.consumers.map(({ group }) => group)).toEqual(['g', 'other']);
    expect(consumer('g').options).toMatchObject({
      concurrency: 7,
      mode: 'concurrent',
      subscriptions: [
        { topic: 'orders', filter: { type: 'tag', expression: 'created || paid || refunded' } },
        { topic: 'payments', filter: { type: 'tag', expression: '*' } },
      ],
    });
    const { received } = await import('../../support/scripted-client.js');
    for (const tag of ['created', 'refunded', 'paid']) await consumer('g').deliver(received(1, { tag }));
    await consumer('g').deliver(received(1, { topic: 'payments', tag: 'created' }));
    expect(seen).toEqual(['created', 'paid', 'paid', 'payments']);
    await app.close();
  });

  it('of dead letters read %DLQ% in a group of their own; the topic is made when it is missing', async () => {
    @Injectable()
    class Dead {
      @DeadLetterListener({ group: 'inventory' })
      on(): void {}
    }
    const { app, client, consumer } = await scriptedApp({ providers: [Dead] });
    expect(consumer('inventory-dead-letters').options.subscriptions).toMatchObject([
      { topic: '%DLQ%inventory' },
    ]);
    expect(client.topics.has('%DLQ%inventory')).toBe(true);
    await app.close();
  });

  it('that read dead letters have a group of their own', async () => {
    @Injectable()
    class Dead {
      @DeadLetterListener({ group: 'inventory', consumerGroup: 'readers' })
      one(): void {}

      @DeadLetterListener({ group: 'payments', consumerGroup: 'readers' })
      two(): void {}
    }
    expect(lines(await refusal({ providers: [Dead] }))).toEqual([
      expect.stringMatching(/"Dead.one" reads dead letters in group "readers", which has other topics/),
    ]);
  });
});

describe('options of a listener', () => {
  it('may come from injected services', async () => {
    @Injectable()
    class Config {
      readonly topic = 'payments';
    }
    @Injectable()
    class Orders {
      @RocketMQListener((config: Config) => ({ topic: config.topic, group: 'g' }), [Config])
      on(): void {}

      @RocketMQListener(async () => Promise.resolve({ topic: 'orders', group: 'later' }))
      later(): void {}
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders, Config] });
    expect(consumer('g').options.subscriptions).toMatchObject([{ topic: 'payments' }]);
    expect(consumer('later').options.subscriptions).toMatchObject([{ topic: 'orders' }]);
    await app.close();
  });

  it('that cannot be made are a boot error', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener((config: { topic: string }) => ({ topic: config.topic, group: 'g' }), ['NOBODY'])
      on(): void {}
    }
    expect(lines(await refusal({ providers: [Orders] }))).toEqual([
      expect.stringMatching(/Listener Orders.on: its options could not be made/),
    ]);
  });

  it('can be overridden by id in the module options, also to disable one', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'a', concurrency: 3 })
      a(): void {}

      @RocketMQListener({ id: 'b', topic: 'orders', group: 'b' })
      b(): void {}
    }
    const { app, client, consumer } = await scriptedApp({
      providers: [Orders],
      options: {
        listeners: { 'Orders.a': { topic: 'payments', concurrency: undefined }, b: { enabled: false } },
      },
    });
    expect(client.consumers).toHaveLength(1);
    expect(consumer('a').options).toMatchObject({ concurrency: 3, subscriptions: [{ topic: 'payments' }] });
    await app.close();
  });

  it('all reach the consumer', async () => {
    const startFrom = new Date(0);
    const tuning = {
      pullBatchSize: 1,
      longPollingMs: 2,
      maxCachedMessages: 3,
      maxCachedBytes: 4,
      maxOffsetSpan: 5,
      suspendMs: 60,
      offsetPersistIntervalMs: 7,
      rebalanceIntervalMs: 8,
      allocateStrategy: allocateAveragelyByCircle(),
      offsetStoreFolder: '/tmp/offsets',
    };
    @Injectable()
    class Orders {
      @RocketMQBatchListener({
        topic: 'orders',
        group: 'all',
        filter: sql92('amount > 100'),
        mode: 'ordered',
        model: 'clustering',
        concurrency: 3,
        maxAttempts: 4,
        batchSize: 5,
        timeout: '10s',
        startFrom,
        tuning,
      })
      all(): void {}

      @RocketMQListener({ topic: 'orders', group: 'defaults' })
      defaults(): void {}

      @RocketMQListener({ topic: 'orders', group: 'everywhere', model: 'broadcasting' })
      everywhere(): void {}
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const { handler: _handler, ...all } = consumer('all').options;
    expect(all).toEqual({
      group: 'all',
      subscriptions: [{ topic: 'orders', filter: { type: 'sql92', expression: 'amount > 100' } }],
      mode: 'orderly',
      model: 'clustering',
      concurrency: 3,
      maxAttempts: 4,
      batchSize: 5,
      // The engine gives up on a handler only well after the listener did.
      consumeTimeoutMs: 70_000,
      startFrom,
      ...tuning,
    });
    const { handler: _other, ...defaults } = consumer('defaults').options;
    expect(defaults).toEqual({
      group: 'defaults',
      subscriptions: [{ topic: 'orders', filter: { type: 'tag', expression: '*' } }],
      mode: 'concurrent',
      consumeTimeoutMs: 960_000,
    });
    expect(consumer('everywhere').options).toMatchObject({ model: 'broadcasting' });
    await app.close();
  });

  it('several decorators on one method are several listeners', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'a' })
      @RocketMQListener({ topic: 'payments', group: 'b' })
      on(): void {}
    }
    const { app, client } = await scriptedApp({ providers: [Orders] });
    expect(client.consumers.map(({ group }) => group)).toEqual(['a', 'b']);
    await app.close();
  });
});

describe('topics', () => {
  @Injectable()
  class Ledger {
    @RocketMQListener({ topic: 'ledger', group: 'books', mode: 'ordered' })
    on(): void {}

    @RocketMQListener({ topic: 'clicks', group: 'statistics' })
    click(): void {}
  }

  it('are created when told so: FIFO for ordered listeners, else NORMAL, unless declared otherwise', async () => {
    const { app, client } = await scriptedApp({
      providers: [Ledger],
      client: new ScriptedClient(),
      options: {
        topics: 'create',
        declaredTopics: { clicks: { queues: 16 }, reminders: { type: 'DELAY' }, invoices: {} },
      },
    });
    expect(Object.fromEntries(client.topics)).toEqual({
      ledger: 'FIFO',
      clicks: 'NORMAL',
      reminders: 'DELAY',
      invoices: 'NORMAL',
    });
    await app.close();
  });

  it('that are missing or of another type than declared are told at once, with who wants them', async () => {
    const client = new ScriptedClient();
    client.topics.set('ledger', 'NORMAL');
    client.topics.set('clicks', undefined); // a 4.x broker: nothing to compare
    const error = await refusal({
      providers: [Ledger],
      client,
      options: {
        declaredTopics: {
          ledger: { type: 'FIFO' },
          clicks: { type: 'NORMAL' },
          reminders: { type: 'DELAY' },
        },
      },
    });
    expect(lines(error)).toEqual([
      expect.stringMatching(/Topic "ledger" of listener "Ledger.on" is of type NORMAL, .* wants FIFO/),
      expect.stringMatching(/Topic "reminders" of declaredTopics does not exist/),
    ]);
    expect(Object.fromEntries(client.topics)).toEqual({ ledger: 'NORMAL', clicks: undefined });
  });

  it('of another type are not changed by topics: create', async () => {
    const client = new ScriptedClient('clicks');
    client.topics.set('ledger', 'NORMAL');
    const error = await refusal({
      providers: [Ledger],
      client,
      options: { topics: 'create', declaredTopics: { ledger: { type: 'FIFO' } } },
    });
    expect(lines(error)).toEqual([expect.stringMatching(/Topic "ledger".*is of type NORMAL/)]);
    expect(client.topics.get('ledger')).toBe('NORMAL');
  });

  it('are left alone when told so', async () => {
    const { app, client } = await scriptedApp({
      providers: [Ledger],
      client: new ScriptedClient(),
      options: { topics: 'ignore', declaredTopics: { reminders: { type: 'DELAY' } } },
    });
    expect(client.topics.size).toBe(0);
    await app.close();
  });

  it('whose type gives an ordered listener another order than that of sending are worth a warning', async () => {
    for (const [type, declared, warns] of [
      ['DELAY', undefined, true],
      ['DELAY', 'DELAY', false],
      ['NORMAL', undefined, false],
      ['FIFO', undefined, false],
      [undefined, undefined, false],
    ] as const) {
      const client = new ScriptedClient('clicks');
      client.topics.set('ledger', type);
      const warnings: string[] = [];
      const write = (message: string): number => warnings.push(message);
      const { app } = await scriptedApp({
        providers: [Ledger],
        client,
        options: declared === undefined ? {} : { declaredTopics: { ledger: { type: declared } } },
        prepare: (nest) =>
          nest.useLogger({ log: () => undefined, warn: write, error: write, debug: () => undefined }),
      });
      const about = warnings.filter((line) => line.includes('Topic "ledger" of listener "Ledger.on"'));
      expect(about, String(type)).toHaveLength(warns ? 1 : 0);
      await app.close();
    }
  });

  it('that cannot be are told with everything else', async () => {
    const error = await refusal({
      options: {
        declaredTopics: { 'no topic': {}, clicks: { queues: 0, type: 'FAST', typ: 1 } },
        connections: { audit: { nameServer: 'audit:9876', declaredTopics: { orders: { queues: 1.5 } } } },
      } as never,
    });
    expect(lines(error)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^declaredTopics: Topic "no topic"/),
        expect.stringMatching(/declaredTopics\["clicks"\] has an unknown option "typ"/),
        expect.stringMatching(/declaredTopics\["clicks"\]: queues is 0/),
        expect.stringMatching(/declaredTopics\["clicks"\]: type is "FAST"/),
        expect.stringMatching(/connections.audit.declaredTopics\["orders"\]: queues is 1.5/),
      ]),
    );
  });
});

import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { Reflector } from '@nestjs/core';
import { randomBytes } from 'node:crypto';
import { from } from 'rxjs';
import { lastValueFrom } from 'rxjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DataSource, EntityManager } from 'typeorm';
import { ACK, RETRY, type ConsumeResult } from '../../../lib/client/push-consumer.js';
import { createIdempotency } from '../../../lib/idempotency/create-idempotency.js';
import { IdempotencyInterceptor } from '../../../lib/idempotency/idempotency.interceptor.js';
import type { Idempotency } from '../../../lib/idempotency/idempotency.js';
import type { IdempotencyOptions, IdempotentOptions } from '../../../lib/idempotency/idempotency-options.js';
import { Idempotent } from '../../../lib/idempotency/idempotent.decorator.js';
import { RetryLater } from '../../../lib/listener/retry-later.js';
import { RocketMQContext } from '../../../lib/listener/rocketmq-context.js';
import type { ReceivedMessage } from '../../../lib/message/message.js';
import { RocketMQEvents, type RocketMQEventMap } from '../../../lib/observability/rocketmq-events.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';
import { uniqueName } from '../../support/names.js';
import { OutboxHarness } from '../../support/outbox-harness.js';
import { receivedMessage } from '../../support/received-message.js';
import { waitFor } from '../../support/wait-for.js';

type Handler = (payload: unknown, context: RocketMQContext) => unknown;

const newId = (): string => randomBytes(16).toString('hex').toUpperCase();

describe.each(databaseNames())('@Idempotent on %s', (name) => {
  let database: TestDatabase;
  let group: string;
  let events: RocketMQEvents;
  let duplicates: RocketMQEventMap['message.duplicate'][];
  const outboxes = new OutboxHarness();

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: 4 });
    await database.dataSource.query('CREATE TABLE effects (what varchar(64) NOT NULL)');
  });
  beforeEach(async () => {
    group = uniqueName('group');
    await database.dataSource.query('DELETE FROM rmq_inbox');
    events = new RocketMQEvents();
    duplicates = [];
    events.on('message.duplicate', (event) => duplicates.push(event));
    await database.dataSource.query('DELETE FROM effects');
  });
  afterEach(() => outboxes.stop());
  afterAll(() => database.drop());

  const create = (
    options: IdempotencyOptions = {},
    dataSource: DataSource = database.dataSource,
  ): Idempotency => createIdempotency({ dataSource, events, options: { waitMs: 2_000, ...options } });
  const effect = (tx: unknown, what: string): Promise<unknown> =>
    (tx as EntityManager).query(`INSERT INTO effects (what) VALUES ('${what}')`);
  const effects = async (): Promise<string[]> => {
    const rows = await database.dataSource.query<{ what: string }[]>('SELECT what FROM effects');
    return rows.map(({ what }) => what).toSorted();
  };
  const leaseTaken = async (): Promise<boolean> => {
    const rows = await database.dataSource.query<unknown[]>(
      'SELECT 1 FROM rmq_inbox WHERE lease_until IS NOT NULL',
    );
    return rows.length > 0;
  };
  /** Delivers messages to a handler as the listener does. */
  const deliver = (
    idempotency: Idempotency,
    messages: ReceivedMessage | readonly ReceivedMessage[],
    handler: Handler,
    options: IdempotentOptions = {},
  ): Promise<unknown> => {
    class Listener {
      @Idempotent(options)
      handle(payload: unknown, context: RocketMQContext): unknown {
        return handler(payload, context);
      }
    }
    const all = Array.isArray(messages)
      ? [...(messages as ReceivedMessage[])]
      : [messages as ReceivedMessage];
    const context = new RocketMQContext(
      all,
      {
        listener: 'Listener.handle',
        group,
        connection: 'default',
        batch: Array.isArray(messages),
        maxAttempts: 17,
      },
      { group, signal: new AbortController().signal },
    );
    const payload = Array.isArray(messages) ? all.map(payloadOf) : payloadOf(all[0] as ReceivedMessage);
    const execution = new ExecutionContextHost([payload, context], Listener, Listener.prototype.handle);
    execution.setType('rocketmq');
    const interceptor = new IdempotencyInterceptor(idempotency, new Reflector());
    return lastValueFrom(
      interceptor.intercept(execution, {
        handle: () => from(Promise.resolve().then(() => new Listener().handle(payload, context))),
      }),
      { defaultValue: undefined },
    );
  };

  describe('in the handler’s transaction', () => {
    it('has one effect for a message that is delivered three times, and acknowledges the others', async () => {
      const idempotency = create();
      const messageId = newId();
      let calls = 0;
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        await deliver(idempotency, receivedMessage({ messageId, attempt }), async (_payload, { tx }) => {
          calls += 1;
          await effect(tx, 'once');
        });
      }
      expect(calls).toBe(1);
      expect(await effects()).toEqual(['once']);
      expect(duplicates.map(({ attempt }) => attempt)).toEqual([2, 3]);
      expect(duplicates[0]).toMatchObject({
        connection: 'default',
        listener: 'Listener.handle',
        group,
        messageId,
      });
    });

    it('gives the value of the handler back', async () => {
      expect(await deliver(create(), receivedMessage({ messageId: newId() }), () => 'value')).toBe('value');
    });

    it('rolls back when the handler fails, so that the redelivery runs', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      const failing = deliver(idempotency, message, async (_payload, { tx }) => {
        await effect(tx, 'first');
        throw new Error('broken');
      });
      await expect(failing).rejects.toThrow('broken');
      await deliver(idempotency, message, (_payload, { tx }) => effect(tx, 'second'));
      expect(await effects()).toEqual(['second']);
    });

    it('rolls back when the handler returns a decision other than done', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      const answer = await deliver(idempotency, message, async (_payload, { tx }): Promise<ConsumeResult> => {
        await effect(tx, 'first');
        return RETRY;
      });
      expect(answer).toEqual(RETRY);
      await deliver(idempotency, message, (_payload, { tx }) => effect(tx, 'second'));
      expect(await effects()).toEqual(['second']);
    });

    it('has one effect when many copies arrive at the same moment', async () => {
      const idempotency = create();
      const messageId = newId();
      let calls = 0;
      await Promise.all(
        Array.from({ length: 8 }, () =>
          deliver(idempotency, receivedMessage({ messageId }), async (_payload, { tx }) => {
            calls += 1;
            await new Promise((resolve) => setTimeout(resolve, 50));
            await effect(tx, 'once');
          }),
        ),
      );
      expect(calls).toBe(1);
      expect(await effects()).toEqual(['once']);
    });

    it('runs a waiting copy when the one it waited for fails', async () => {
      const idempotency = create();
      const messageId = newId();
      let calls = 0;
      const results = await Promise.allSettled(
        Array.from({ length: 4 }, () =>
          deliver(idempotency, receivedMessage({ messageId }), async (_payload, { tx }) => {
            calls += 1;
            await effect(tx, `call-${calls}`);
            if (calls === 1) throw new Error('broken');
          }),
        ),
      );
      // MySQL may choose a waiting copy as dead-lock victim: it comes again.
      const failures = results.filter(({ status }) => status === 'rejected');
      if (name !== 'mariadb') expect(failures).toHaveLength(1);
      expect(await effects()).toHaveLength(1);
    });

    it('remembers per consumer group', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      await deliver(idempotency, message, (_payload, { tx }) => effect(tx, 'one'));
      group = uniqueName('group');
      await deliver(idempotency, message, (_payload, { tx }) => effect(tx, 'two'));
      expect(await effects()).toEqual(['one', 'two']);
    });

    it('takes ids of any length, and a key of the business', async () => {
      const idempotency = create();
      const ipv6 = randomBytes(28).toString('hex').toUpperCase();
      for (let n = 0; n < 2; n += 1) {
        await deliver(idempotency, receivedMessage({ messageId: ipv6 }), (_payload, { tx }) =>
          effect(tx, 'ipv6'),
        );
        const body = Buffer.from(JSON.stringify({ order: 7 }));
        await deliver(
          idempotency,
          receivedMessage({ messageId: newId(), body }),
          (_payload, { tx }) => effect(tx, 'order-7'),
          { key: (_message, payload) => `order:${(payload as { order: number }).order}` },
        );
      }
      expect(await effects()).toEqual(['ipv6', 'order-7']);
    });

    it('fails when the database gave up the transaction although the handler went on', async () => {
      if (name === 'sqlite') return; // a failed statement leaves its transaction alone
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      const handled = deliver(idempotency, message, async (_payload, { tx }) => {
        await effect(tx, 'lost');
        if (name === 'postgres')
          await (tx as EntityManager).query('SELECT * FROM missing').catch(() => undefined);
        else await giveUpByDeadlock(database.dataSource, tx as EntityManager);
      });
      await expect(handled).rejects.toThrow();
      expect(await effects()).toEqual([]);
      await deliver(idempotency, message, (_payload, { tx }) => effect(tx, 'kept'));
      expect(await effects()).toEqual(['kept']);
    });

    it('is not disturbed by a statement that failed inside a nested transaction', async () => {
      const idempotency = create();
      await deliver(idempotency, receivedMessage({ messageId: newId() }), async (_payload, { tx }) => {
        const manager = tx as EntityManager;
        await manager.transaction((nested) => nested.query('SELECT * FROM missing')).catch(() => undefined);
        await effect(tx, 'kept');
      });
      expect(await effects()).toEqual(['kept']);
    });

    it('acknowledges when a subscriber of the application throws after the commit', async () => {
      const idempotency = create();
      const subscriber = {
        afterTransactionCommit: () => {
          throw new Error('subscriber');
        },
      };
      database.dataSource.subscribers.push(subscriber);
      try {
        await deliver(idempotency, receivedMessage({ messageId: newId() }), (_payload, { tx }) =>
          effect(tx, 'kept'),
        );
      } finally {
        database.dataSource.subscribers.splice(database.dataSource.subscribers.indexOf(subscriber), 1);
      }
      expect(await effects()).toEqual(['kept']);
    });

    it('sends what the handler wrote to the outbox exactly when its effect is committed', async () => {
      const idempotency = create();
      const outbox = await outboxes.startWithLanes(database.dataSource, 4);
      const message = receivedMessage({ messageId: newId() });
      const handle = (fails: boolean): Handler => {
        return async (_payload, { tx }) => {
          await effect(tx, 'reserved');
          await outbox.outbox.send(tx as EntityManager, 'stock:reserved', { fails });
          if (fails) throw new Error('late failure');
        };
      };
      await expect(deliver(idempotency, message, handle(true))).rejects.toThrow('late failure');
      await deliver(idempotency, message, handle(false));
      await deliver(idempotency, message, handle(false));
      await waitFor(() => outbox.producer.stored.length > 0);
      await outbox.settled();
      expect(outbox.producer.bodies).toEqual(['{"fails":false}']);
      expect(await effects()).toEqual(['reserved']);
    });

    it('ends the handler’s transaction with the handler', async () => {
      const idempotency = create();
      const outbox = outboxes.create(database.dataSource);
      let kept: RocketMQContext | undefined;
      let manager: EntityManager | undefined;
      await deliver(idempotency, receivedMessage({ messageId: newId() }), (_payload, context) => {
        kept = context;
        manager = context.tx as EntityManager;
      });
      expect(kept?.tx).toBeUndefined();
      await expect(outbox.outbox.send(manager as EntityManager, 'orders', 1)).rejects.toMatchObject({
        code: 'NO_TRANSACTION',
      });
    });
  });

  describe('with batches', () => {
    it('hands over what is new, once, and answers for each message', async () => {
      const idempotency = create();
      const [known, a, b] = [newId(), newId(), newId()];
      await deliver(idempotency, receivedMessage({ messageId: known }), (_payload, { tx }) =>
        effect(tx, 'known'),
      );
      let handed: unknown;
      const batch = [known, a, b, a].map((messageId, n) =>
        receivedMessage({ messageId, body: Buffer.from(`${n}`) }),
      );
      const answer = await deliver(idempotency, batch, async (payloads, { tx, messages }) => {
        handed = payloads === undefined ? undefined : [...(payloads as unknown[])];
        for (const { messageId } of messages) await effect(tx, messageId === a ? 'a' : 'b');
        return messages.map(() => ACK);
      });
      expect(handed).toEqual([1, 2]);
      expect(answer).toEqual([ACK, ACK, ACK, ACK]);
      expect(await effects()).toEqual(['a', 'b', 'known']);
      expect(duplicates).toHaveLength(2);
    });

    it('does not run at all when nothing is new', async () => {
      const idempotency = create();
      const batch = [receivedMessage({ messageId: newId() }), receivedMessage({ messageId: newId() })];
      let calls = 0;
      for (let n = 0; n < 2; n += 1) {
        await deliver(idempotency, batch, () => {
          calls += 1;
        });
      }
      expect(calls).toBe(1);
      expect(duplicates).toHaveLength(2);
    });

    it('forgets those the handler wants again, and remembers the others', async () => {
      const idempotency = create();
      const batch = [receivedMessage({ messageId: newId() }), receivedMessage({ messageId: newId() })];
      await deliver(idempotency, batch, () => [ACK, RETRY]);
      let handed = 0;
      await deliver(idempotency, batch, (payloads) => {
        handed = (payloads as unknown[]).length;
      });
      expect(handed).toBe(1);
    });

    it('records a batch with one statement', async () => {
      const idempotency = create();
      await deliver(idempotency, receivedMessage({ messageId: newId() }), () => undefined); // the group is known now
      const statements: string[] = [];
      const watcher = { afterQuery: ({ query }: { query: string }) => void statements.push(query) };
      database.dataSource.subscribers.push(watcher);
      try {
        const batch = Array.from({ length: 30 }, () => receivedMessage({ messageId: newId() }));
        await deliver(idempotency, batch, () => undefined);
      } finally {
        database.dataSource.subscribers.splice(database.dataSource.subscribers.indexOf(watcher), 1);
      }
      const inserts = statements.filter((query) => /INTO rmq_inbox/.test(query));
      expect(inserts).toHaveLength(1);
      if (name === 'postgres') expect(statements).toHaveLength(3); // begin, record, commit
    });
  });

  describe('with a lease, for effects outside the database', () => {
    const lease: IdempotentOptions = { mode: 'lease', leaseMs: 60_000 };

    it('runs once, and acknowledges what comes later', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      let calls = 0;
      for (let n = 0; n < 3; n += 1) {
        await deliver(idempotency, message, () => (calls += 1), lease);
      }
      expect(calls).toBe(1);
      expect(duplicates).toHaveLength(2);
    });

    it('gives no transaction to the handler', async () => {
      let tx: unknown = 'unset';
      await deliver(
        create(),
        receivedMessage({ messageId: newId() }),
        (_payload, context) => (tx = context.tx),
        lease,
      );
      expect(tx).toBeUndefined();
    });

    it('asks for a later delivery while another one works on the message', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      let finish: () => void = () => undefined;
      const first = deliver(
        idempotency,
        message,
        () => new Promise<void>((resolve) => (finish = resolve)),
        lease,
      );
      await waitFor(leaseTaken);
      const second = await deliver(idempotency, message, () => 'ran', lease).catch((error: unknown) => error);
      expect(second).toBeInstanceOf(RetryLater);
      expect((second as RetryLater).delayMs).toBeGreaterThan(50_000);
      finish();
      await first;
      expect(await deliver(idempotency, message, () => 'ran', lease)).toBeUndefined();
    });

    it('lets the redelivery run when the handler fails, or wants it again', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      await expect(
        deliver(
          idempotency,
          message,
          () => {
            throw new Error('broken');
          },
          lease,
        ),
      ).rejects.toThrow('broken');
      expect(await deliver(idempotency, message, () => RETRY, lease)).toEqual(RETRY);
      expect(await deliver(idempotency, message, () => 'ran', lease)).toBe('ran');
    });

    it('takes over from a handler that died, when its lease has ended', async () => {
      const idempotency = create();
      const message = receivedMessage({ messageId: newId() });
      void deliver(idempotency, message, () => new Promise(() => undefined), lease).catch(() => undefined);
      await waitFor(leaseTaken);
      const past = name === 'sqlite' ? '1' : "'2000-01-01 00:00:00'";
      await database.dataSource.query(
        `UPDATE rmq_inbox SET lease_until = ${past} WHERE lease_until IS NOT NULL`,
      );
      expect(await deliver(idempotency, message, () => 'taken over', lease)).toBe('taken over');
    });

    it('does not count a message under a lease as done when the handler was changed to a transaction', async () => {
      const idempotency = create({ busyRetryMs: 1_500 });
      const message = receivedMessage({ messageId: newId() });
      let finish: () => void = () => undefined;
      const first = deliver(
        idempotency,
        message,
        () => new Promise<void>((resolve) => (finish = resolve)),
        lease,
      );
      await waitFor(leaseTaken);
      const second = await deliver(idempotency, message, () => 'ran').catch((error: unknown) => error);
      expect(second).toBeInstanceOf(RetryLater);
      finish();
      await first;
    });
  });

  describe('retention', () => {
    it('removes what is older, by one instance at a time', async () => {
      const idempotency = create({ retentionMs: 1, sweepEveryMs: 50, sweepBatch: 10 });
      const other = create({ retentionMs: 1, sweepEveryMs: 50, sweepBatch: 10 });
      const swept: number[] = [];
      events.on('inbox.swept', ({ removed }) => swept.push(removed));
      await database.dataSource.query('DELETE FROM rmq_inbox');
      for (let n = 0; n < 25; n += 1) {
        await deliver(idempotency, receivedMessage({ messageId: newId() }), () => undefined);
      }
      idempotency.start();
      other.start();
      await waitFor(() => swept.reduce((sum, removed) => sum + removed, 0) === 25);
      await Promise.all([idempotency.stop(), other.stop()]);
      const [lease] = await database.dataSource.query<{ owner: string }[]>(
        "SELECT owner FROM rmq_lease WHERE name = 'inbox-sweep'",
      );
      expect(lease?.owner).toBeTruthy();
    });

    it('warns at boot when the table will be very large', async () => {
      expect(await create().warnings()).toEqual([]);
      const [warning] = await create({ expectedPerSecond: 1_000 }).warnings();
      expect(warning).toContain('259 million rows (39 GB)');
    });
  });
});

function payloadOf({ body }: ReceivedMessage): unknown {
  return JSON.parse(body.toString()) as unknown;
}

/** Two transactions that wait for each other; the database ends the handler's, which has done less. */
async function giveUpByDeadlock(dataSource: DataSource, tx: EntityManager): Promise<void> {
  const other = dataSource.createQueryRunner();
  await other.startTransaction();
  try {
    for (let n = 0; n < 50; n += 1)
      await other.query(`INSERT INTO rmq_lease (name, owner, expires_at) VALUES ('x${n}', 'x', now())`);
    await tx.query("INSERT INTO rmq_lease (name, owner, expires_at) VALUES ('mine', 'x', now())");
    const waits = other
      .query("INSERT INTO rmq_lease (name, owner, expires_at) VALUES ('mine', 'y', now())")
      .catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await tx
      .query("INSERT INTO rmq_lease (name, owner, expires_at) VALUES ('x0', 'x', now())")
      .catch(() => undefined);
    await waits;
  } finally {
    await other.rollbackTransaction();
    await other.release();
  }
}

import type { INestApplication } from '@nestjs/common';
import { Outbox } from 'nestjs-rocketmq';
import { DataSource } from 'typeorm';
import { beforeEach, expect, it } from 'vitest';
import { waitFor } from './wait-for.js';

type Around = <T>(work: () => Promise<T>) => Promise<T>;

/** A library of ambient transactions, as the application uses it: each method carries the library's decorator. */
export interface AmbientTransactions {
  required: Around;
  requiresNew: Around;
  nested: Around;
  notSupported: Around;
  /** A statement of the application in the current transaction. */
  effect(what: string): Promise<unknown>;
}

export interface AmbientSetup {
  readonly app: () => INestApplication;
  readonly ambient: () => AmbientTransactions;
  readonly topic: string;
  /** Payloads a listener of the topic got. */
  readonly received: string[];
}

/** What `outbox.send(destination, payload)` promises, whichever library knows the transaction. Needs a table `effect`. */
export function ambientTransactionCases({ app, ambient, topic, received }: AmbientSetup): void {
  const send = (payload: string) => app().get(Outbox).send(topic, payload);
  /** Data and a message of the same name. */
  const write = async (what: string): Promise<void> => {
    await ambient().effect(what);
    await send(what);
  };
  /** What is committed, seen from outside: data and messages. */
  const expectOnly = async (...expected: string[]): Promise<void> => {
    const rows = await app().get(DataSource).query<{ what: string }[]>('SELECT what FROM effect');
    expect(rows.map(({ what }) => what).toSorted()).toEqual(expected.toSorted());
    await ambient().required(() => send('last'));
    await waitFor(() => received.length > expected.length && received.includes('last'));
    await waitFor(
      async () => (await app().get(DataSource).query<unknown[]>('SELECT 1 FROM rmq_outbox')).length === 0,
    );
    expect(received.toSorted()).toEqual([...expected, 'last'].toSorted());
  };

  beforeEach(async () => {
    received.length = 0;
    await app().get(DataSource).query('DELETE FROM effect');
  });

  it('joins the transaction around the call: data and message are committed together', async () => {
    await ambient().required(() => write('paid'));
    await expectOnly('paid');
  });

  it('sends nothing of a transaction that is rolled back', async () => {
    const work = async (): Promise<never> => {
      await write('paid');
      throw new Error('declined');
    };
    await expect(ambient().required(work)).rejects.toThrow('declined');
    await expectOnly();
  });

  it('sends many, in the transaction as well', async () => {
    await ambient().required(async () => {
      const entries = ['a', 'b', 'c'].map((payload) => ({ destination: topic, payload }));
      expect(await app().get(Outbox).sendAll(entries)).toHaveLength(3);
      for (const what of ['a', 'b', 'c']) await ambient().effect(what);
    });
    await expectOnly('a', 'b', 'c');
  });

  it('follows inner transactions: what they roll back is not sent, what is around them is', async () => {
    const declined = async (): Promise<never> => {
      await write('inner');
      throw new Error('declined');
    };
    await ambient().required(async () => {
      await write('outer');
      await expect(ambient().nested(declined)).rejects.toThrow('declined');
      await expect(ambient().requiresNew(declined)).rejects.toThrow('declined');
      await ambient().requiresNew(() => write('independent'));
    });
    await expectOnly('outer', 'independent');
  });

  it('throws outside a transaction, and where the transaction is suspended', async () => {
    const refusal = {
      code: 'NO_TRANSACTION',
      message: expect.stringContaining('no transaction around') as unknown,
    };
    await expect(send('lost')).rejects.toMatchObject(refusal);
    await ambient().required(async () => {
      await expect(ambient().notSupported(() => send('lost'))).rejects.toMatchObject(refusal);
      await write('kept');
    });
    await expectOnly('kept');
  });

  it('throws after the end of the transaction, in work nobody awaited', async () => {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    let late: Promise<unknown> | undefined;
    await ambient().required(async () => {
      await write('paid');
      late = ended.then(() => send('late')).catch((error: unknown) => error);
    });
    end();
    expect(await late).toMatchObject({ code: 'NO_TRANSACTION' });
    await expectOnly('paid');
  });
}

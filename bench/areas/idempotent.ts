import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { runInTransaction } from '../../lib/database/own-transaction.js';
import { Idempotent } from '../../lib/idempotency/idempotent.decorator.js';
import { Payload, Tx } from '../../lib/listener/handler-parameters.decorator.js';
import { RocketMQBatchListener, RocketMQListener } from '../../lib/listener/rocketmq-listener.decorator.js';
import type { MessageHandler } from '../../lib/client/push-consumer.js';
import type { BenchContext } from '../context.js';
import type { BenchDatabase, Schema } from '../databases.js';
import { handOver, receivedMessage, startHandOver } from '../hand-over.js';
import { figureOf, interleave, type Contender, type Figure } from '../measure.js';
import { countStatements, createBusinessTable, writeBusinessRow } from '../outbox/transaction-area.js';
import { differenceTarget, OURS, type Area } from '../report.js';

const TOPIC = 'bench-idempotent';
const BODY = Buffer.from(JSON.stringify({ quantity: 3 }));
const PLAIN = 'own transaction';
const DUPLICATE = '@Idempotent, a duplicate';
const PLAIN_BATCH = 'batch of 32, own transaction';
const BATCH = 'batch of 32, @Idempotent';
const BATCH_SIZE = 32;
const CONCURRENCY = 16;

/** What `@Idempotent` adds to a handler that has a transaction anyhow; messages are handed over in this process. */
export async function benchIdempotent(context: BenchContext): Promise<readonly Area[]> {
  const areas: Area[] = [];
  for (const database of await context.databases())
    areas.push(...(await context.part(`idempotent ${database.name}`, () => benchOn(context, database))));
  return areas;
}

async function benchOn({ plan, progress }: BenchContext, database: BenchDatabase): Promise<Area> {
  progress(`idempotent handlers on ${database.name}`);
  const schema = await database.create();
  await createBusinessTable(schema);
  const { app, handler } = await startHandOver(
    {
      imports: [
        {
          module: class Database {},
          global: true,
          providers: [{ provide: DataSource, useValue: schema.dataSource }],
          exports: [DataSource],
        },
      ],
      providers: [handlersOn(schema)],
    },
    { idempotency: true },
  );
  const contender = (name: string, group: string, batch: number): Contender => ({
    name,
    round: (durationMs) =>
      handOver(handler(group), { topic: TOPIC, body: BODY }, { concurrency: CONCURRENCY, batch, durationMs }),
  });
  const duplicates = duplicatesOf(handler('idempotent'));
  try {
    const figures = await interleave(
      [
        contender(OURS, 'idempotent', 1),
        contender(PLAIN, 'plain', 1),
        {
          name: DUPLICATE,
          round: (durationMs) =>
            handOver(duplicates, { topic: TOPIC, body: BODY }, { concurrency: CONCURRENCY, durationMs }),
        },
        contender(BATCH, 'idempotent-batch', BATCH_SIZE),
        contender(PLAIN_BATCH, 'plain-batch', BATCH_SIZE),
      ],
      plan,
    );
    const trips: Figure[] = [];
    for (const [name, group, batch] of [
      [OURS, 'idempotent', 1],
      [PLAIN, 'plain', 1],
      [BATCH, 'idempotent-batch', BATCH_SIZE],
      [PLAIN_BATCH, 'plain-batch', BATCH_SIZE],
    ] as const) {
      trips.push(
        figureOf(name, [await countStatements(schema.dataSource, () => once(handler(group), batch))]),
      );
    }
    return {
      title: `Idempotent handlers on ${database.name}, one row written per message or batch`,
      unit: 'messages/s; round trips per call',
      rows: [
        { what: `messages/s, ${CONCURRENCY} at a time`, figures },
        {
          what: 'round trips per call',
          figures: trips,
          targets: [differenceTarget(trips, OURS, PLAIN, 1), differenceTarget(trips, BATCH, PLAIN_BATCH, 1)],
        },
      ],
    };
  } finally {
    await app.close();
    await schema.drop();
  }
}

function handlersOn(schema: Schema): new () => object {
  const inOwnTransaction = (): Promise<void> =>
    runInTransaction(schema.dataSource, (tx) => writeBusinessRow(schema, tx));

  @Injectable()
  class Handlers {
    @RocketMQListener({ topic: TOPIC, group: 'plain' })
    plain(): Promise<void> {
      return inOwnTransaction();
    }

    @Idempotent()
    @RocketMQListener({ topic: TOPIC, group: 'idempotent' })
    idempotent(@Payload() _order: unknown, @Tx() tx: EntityManager): Promise<void> {
      return writeBusinessRow(schema, tx);
    }

    @RocketMQBatchListener({ topic: TOPIC, group: 'plain-batch', batchSize: BATCH_SIZE })
    plainBatch(): Promise<void> {
      return inOwnTransaction();
    }

    @Idempotent()
    @RocketMQBatchListener({ topic: TOPIC, group: 'idempotent-batch', batchSize: BATCH_SIZE })
    idempotentBatch(@Payload() _orders: unknown, @Tx() tx: EntityManager): Promise<void> {
      return writeBusinessRow(schema, tx);
    }
  }
  return Handlers;
}

/** Hands over one and the same message again and again. */
function duplicatesOf(handler: MessageHandler): MessageHandler {
  const known = receivedMessage(TOPIC, BODY);
  return (_messages, context) => handler([known], context);
}

async function once(handler: MessageHandler, batch: number): Promise<void> {
  const messages = Array.from({ length: batch }, () => receivedMessage(TOPIC, BODY));
  await handler(messages, { group: 'bench', signal: new AbortController().signal });
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { Body, Controller, type INestApplication, Injectable, Post } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Idempotent, Outbox, Payload, RocketMQListener, RocketMQTemplate, Tx } from 'nestjs-rocketmq';
import { RocketMQTracingModule } from 'nestjs-rocketmq/tracing';
import { DataSource, EntityManager } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { nestApp } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { idOf, linksOf, parentOf, RecordedSpans, traceOf } from '../../support/recorded-spans.js';
import { waitFor } from '../../support/wait-for.js';

interface Order {
  readonly id: number;
  readonly fails?: boolean;
}

/** The shop's services, each of which hears of an order from the one before. */
const orders = uniqueName('orders');
const answers = uniqueName('answers');
const payments = uniqueName('payments');
const failed = new Set<number>();
const offsets = mkdtempSync(join(tmpdir(), 'offsets-'));

@Controller('orders')
class OrdersController {
  constructor(
    private readonly db: DataSource,
    private readonly outbox: Outbox,
    private readonly template: RocketMQTemplate,
  ) {}

  @Post()
  place(@Body() { ids }: { readonly ids: readonly number[] }): Promise<unknown> {
    return this.db.transaction((tx) =>
      this.outbox.sendAll(
        tx,
        ids.map((id) => ({ destination: orders, payload: { id } })),
      ),
    );
  }

  @Post('paid')
  async pay(@Body() { id }: Order): Promise<void> {
    await this.template.sendInTransaction(payments, { id }, async (tx) => tx.query('SELECT 1'));
  }
}

@Injectable()
class Listeners {
  constructor(private readonly outbox: Outbox) {}

  @RocketMQListener({ topic: orders, group: uniqueName('inventory'), startFrom: 'first', retry: '1s' })
  @Idempotent()
  async onOrder(@Payload() { id, fails = false }: Order, @Tx() tx: EntityManager): Promise<void> {
    await this.outbox.send(tx, answers, { id }, { orderingKey: String(id) });
    if (!fails || failed.has(id)) return;
    failed.add(id);
    throw new Error('no stock yet');
  }

  @RocketMQListener({ topic: answers, group: uniqueName('payment'), startFrom: 'first', id: 'payment' })
  onAnswer(): string | undefined {
    return trace.getActiveSpan()?.spanContext().traceId;
  }

  @RocketMQListener({
    topic: answers,
    group: uniqueName('cache'),
    model: 'broadcasting',
    tuning: { offsetStoreFolder: offsets },
    startFrom: 'first',
    id: 'cache',
  })
  onEveryInstance(): void {}

  @RocketMQListener({ topic: payments, group: uniqueName('paid'), startFrom: 'first' })
  onPayment(): void {}
}

let database: TestDatabase;
let spans: RecordedSpans;
let app: INestApplication;
let url: string;

beforeAll(async () => {
  spans = new RecordedSpans();
  database = await createDatabase('postgres');
  app = await nestApp({
    imports: [
      TypeOrmModule.forRoot({ ...database.dataSource.options, migrationsRun: false }),
      RocketMQTracingModule.forRoot(),
    ],
    controllers: [OrdersController],
    providers: [Listeners],
    options: { outbox: true, idempotency: true, transactions: true },
    prepare: (made) => made.use(serverSpan),
  });
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});

afterAll(async () => {
  await app?.close();
  await spans.stop();
  await database?.drop();
  rmSync(offsets, { recursive: true, force: true });
});

afterEach(() => spans.clear());

/** What an instrumentation of HTTP does. */
function serverSpan(
  request: { readonly headers: object; readonly url: string },
  _response: object,
  next: () => void,
) {
  const caller = propagation.extract(context.active(), request.headers);
  const span = trace.getTracer('http').startSpan(`POST ${request.url}`, { kind: SpanKind.SERVER }, caller);
  context.with(trace.setSpan(caller, span), next);
  span.end();
}

async function post(path: string, body: object, headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(201);
}

const find = (name: string, listener: string): readonly ReadableSpan[] =>
  spans.named(name).filter((span) => span.attributes['nestjs_rocketmq.listener'] === listener);

/** So many orders went all the way: every span of theirs has ended. */
async function complete(count: number): Promise<void> {
  const sent = (topic: string): number => spans.named(`send ${topic}`).flatMap(linksOf).length;
  await waitFor(
    () =>
      find(`process ${answers}`, 'payment').length >= count &&
      find(`process ${answers}`, 'cache').length >= count &&
      sent(answers) >= count &&
      sent(orders) >= count &&
      spans.named(`process ${orders}`).length >= count,
    {
      describe: () =>
        `${count} orders; spans: ${spans
          .all()
          .map(({ name }) => name)
          .join(', ')}`,
    },
  );
}

describe('on a real broker and database', () => {
  it('a request, the outbox, a listener, its outbox and the last listeners are one trace', async () => {
    const traceId = 'a'.repeat(32);
    const caller = `00-${traceId}-${'b'.repeat(16)}-01`;
    await post('/orders', { ids: [1] }, { traceparent: caller });
    await complete(1);
    const request = spans.only('POST /orders');
    const created = spans.only(`create ${orders}`);
    const handled = spans.only(`process ${orders}`);
    const answered = spans.only(`create ${answers}`);
    expect(new Set(spans.all().map(traceOf))).toEqual(new Set([traceId]));
    expect(parentOf(created)).toBe(idOf(request));
    expect(parentOf(handled)).toBe(idOf(created));
    expect(parentOf(answered)).toBe(idOf(handled));
    // The relay sends later, on behalf of the span that wrote the row.
    const [sent, resent] = [spans.only(`send ${orders}`), spans.only(`send ${answers}`)];
    expect([sent.kind, parentOf(sent), linksOf(sent)]).toEqual([
      SpanKind.CLIENT,
      idOf(created),
      [idOf(created)],
    ]);
    expect(parentOf(resent)).toBe(idOf(answered));
    // Clustering and broadcasting alike.
    for (const [listener, model] of [
      ['payment', 'clustering'],
      ['cache', 'broadcasting'],
    ] as const) {
      const [last] = find(`process ${answers}`, listener);
      expect(last && parentOf(last)).toBe(idOf(answered));
      expect(last?.attributes['rocketmq.consumption_model']).toBe(model);
    }
  });

  it('rows of one transaction may share a broker batch and keep their own contexts', async () => {
    const ids = [11, 12, 13, 14, 15];
    await post('/orders', { ids });
    await complete(ids.length);
    const created = spans.named(`create ${orders}`).map(idOf);
    expect(created).toHaveLength(ids.length);
    expect(new Set(spans.named(`process ${orders}`).map(parentOf))).toEqual(new Set(created));
    expect(new Set(spans.named(`send ${orders}`).flatMap(linksOf))).toEqual(new Set(created));
    expect(new Set(spans.all().map(traceOf)).size).toBe(1);
  });

  it('rows of several requests in one batch link to each of them', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => post('/orders', { ids: [100 + index] })));
    await complete(20);
    const requests = new Set(spans.named('POST /orders').map(traceOf));
    expect(requests.size).toBe(20);
    for (const handled of spans.named(`process ${orders}`)) expect(requests).toContain(traceOf(handled));
    const created = spans.named(`create ${orders}`).map(idOf);
    expect(new Set(spans.named(`send ${orders}`).flatMap(linksOf))).toEqual(new Set(created));
  });

  it('a transactional message belongs to the request that decided about it', async () => {
    await post('/orders/paid', { id: 21 });
    await waitFor(() => spans.named(`process ${payments}`).length === 1);
    const [request, half, handled] = [
      spans.only('POST /orders/paid'),
      spans.only(`send ${payments}`),
      spans.only(`process ${payments}`),
    ];
    expect([half.kind, parentOf(half)]).toEqual([SpanKind.PRODUCER, idOf(request)]);
    expect(half.attributes['rocketmq.message.type']).toBe('transaction');
    expect([parentOf(handled), traceOf(handled)]).toEqual([idOf(half), traceOf(request)]);
    expect(handled.attributes['rocketmq.message.type']).toBe('transaction');
    expect(handled.attributes['messaging.message.id']).toBe(half.attributes['messaging.message.id']);
  });

  it('a handler that fails and its redelivery are in the trace, with the error', async () => {
    await spans.request('by hand', () => app.get(RocketMQTemplate).send(orders, { id: 31, fails: true }));
    await waitFor(
      () =>
        spans.named(`process ${orders}`).length === 2 &&
        spans.named(`process ${answers}`).length === 2 &&
        spans.named(`send ${answers}`).length === 1,
    );
    const [first, second] = spans.named(`process ${orders}`);
    expect(first?.status).toMatchObject({ code: SpanStatusCode.ERROR, message: 'no stock yet' });
    expect(first?.attributes).toMatchObject({ 'error.type': 'Error', 'nestjs_rocketmq.outcome': 'retried' });
    expect(second?.status.code).toBe(SpanStatusCode.UNSET);
    expect(second?.attributes['nestjs_rocketmq.attempt']).toBe(2);
    expect(new Set(spans.all().map(traceOf)).size).toBe(1);
  });
});

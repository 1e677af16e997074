import { propagation, SpanKind } from '@opentelemetry/api';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Message } from '../../../lib/message/message.js';
import type { SendOperation } from '../../../lib/observability/instrumentation.js';
import { TracingInstrumentation } from '../../../lib/tracing/tracing-instrumentation.js';
import { linksOf, parentOf, RecordedSpans, traceOf } from '../../support/recorded-spans.js';
import { received } from '../../support/scripted-client.js';

let spans: RecordedSpans;

beforeEach(() => {
  spans = new RecordedSpans();
});
afterEach(() => spans.stop());

const call = { connection: 'default', listener: 'l', group: 'g', broadcasting: false, batch: false };
const body = Buffer.from('{}');

/** Sends through the instrumentation and gives what would go to the broker. */
async function sent(
  tracing: TracingInstrumentation,
  message: Message,
  kind: SendOperation['kind'] = 'single',
): Promise<Message> {
  return tracing.send({ connection: 'default', kind, messages: [message] }, ([own = message]) =>
    Promise.resolve({ value: own, receipts: [] }),
  );
}

describe('the options of tracing', () => {
  it('begin a trace per delivery that links to its cause, for messages that wait for days', async () => {
    const tracing = new TracingInstrumentation({ continueTrace: false });
    const { headers } = await sent(tracing, { topic: 'orders', body });
    tracing.handle({ ...call, messages: [received({}, { headers: headers ?? {} })] }).end();
    const [cause, handled] = [spans.only('send orders'), spans.only('process orders')];
    expect(parentOf(handled)).toBeUndefined();
    expect(traceOf(handled)).not.toBe(traceOf(cause));
    expect(linksOf(handled)).toEqual([cause.spanContext().spanId]);
  });

  it('leave former names of attributes out', async () => {
    const tracing = new TracingInstrumentation({ deprecatedAttributes: false });
    await sent(tracing, { topic: 'orders', tag: 'created', delivery: { level: 3 }, body });
    const { attributes } = spans.only('send orders');
    expect(attributes).toMatchObject({
      'messaging.system.name': 'rocketmq',
      'rocketmq.message.tag': 'created',
      'rocketmq.message.type': 'delay',
      'rocketmq.message.delay_time_level': 3,
    });
    const former = Object.keys(attributes).filter((name) => /^messaging\.(system$|rocketmq\.)/.test(name));
    expect(former).toEqual([]);
  });

  it('send spans somewhere else than to the global provider', async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    await sent(new TracingInstrumentation({ tracerProvider }), { topic: 'orders', body }, 'one-way');
    expect(exporter.getFinishedSpans().map(({ name, kind }) => [name, kind])).toEqual([
      ['send orders', SpanKind.PRODUCER],
    ]);
    expect(spans.all()).toEqual([]);
  });
});

describe('the context of a message', () => {
  it('never makes a message that brokers cannot store', async () => {
    propagation.disable();
    propagation.setGlobalPropagator({
      fields: () => [],
      extract: (context) => context,
      inject: (_context, carrier, setter) => {
        setter.set(carrier, 'empty', '');
        setter.set(carrier, 'separator', 'a\u0001b');
        setter.set(carrier, 'good', 'yes');
      },
    });
    const { headers } = await sent(new TracingInstrumentation(), { topic: 'orders', body });
    expect(headers).toEqual({ good: 'yes' });
  });

  it('in a row of the outbox is that of its creation, unless the caller gave one', () => {
    const tracing = new TracingInstrumentation();
    const row = { topic: 'orders', messageId: 'A1' };
    const headers = tracing.create(row);
    const { traceId, spanId } = spans.only('create orders').spanContext();
    expect(headers).toEqual({ traceparent: `00-${traceId}-${spanId}-01` });
    expect(spans.only('create orders').kind).toBe(SpanKind.PRODUCER);
    expect(tracing.create({ ...row, ...(headers && { headers }) })).toBeUndefined();
    expect(spans.all()).toHaveLength(1);
  });
});

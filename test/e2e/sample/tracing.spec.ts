import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { idOf, parentOf, RecordedSpans, traceOf } from '../../support/recorded-spans.js';
import { eventually } from './eventually.js';
import { startSampleApp, type RunningSampleApp } from './sample-app.js';

let sample: RunningSampleApp;
let spans: RecordedSpans;

beforeAll(async () => {
  spans = new RecordedSpans();
  sample = await startSampleApp();
});
afterAll(async () => {
  await sample?.close();
  await spans.stop();
});

/** Names from the span up to the one that began its trace. */
function path(span: ReadableSpan): string[] {
  const cause = spans.all().find((each) => idOf(each) === parentOf(span));
  return cause === undefined ? [span.name] : [span.name, ...path(cause)];
}

it('an order is one trace, from the request to the last service that hears of it', async () => {
  await sample.shop.order('keyboard', 1);
  // The payment service hears of the order from the order service, which heard of the goods from the inventory.
  const last = await eventually('the payment to hear of the order', () =>
    spans
      .named('process orders')
      .find(
        (span) =>
          span.attributes['messaging.consumer.group.name'] === 'payment' &&
          path(span).at(-1) === 'POST /orders',
      ),
  );
  expect(path(last)).toEqual([
    'process orders',
    'create orders',
    'process inventory',
    'create inventory',
    'process orders',
    'create orders',
    'POST /orders',
  ]);
  const ofOrder = spans.all().filter((span) => traceOf(span) === traceOf(last));
  expect(ofOrder.filter(({ name }) => name.startsWith('send '))).not.toHaveLength(0);
});

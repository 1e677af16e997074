import {
  type Context,
  context,
  type Link,
  type Span,
  type SpanContext,
  SpanKind,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { SendReceipt } from '../client/send.js';
import type { Message } from '../message/message.js';
import type { SendOperation } from '../observability/instrumentation.js';
import { ATTR, attributesOf, SYSTEM } from './attributes.js';
import { creationContextOf, headersFor, withHeaders } from './message-carrier.js';

/** A send under way. */
export interface SendSpan {
  readonly span: Span;
  /** With the span inside, for whatever the send does itself. */
  readonly context: Context;
  /** The messages with the context of the span, where they did not have one. */
  readonly messages: readonly Message[];
}

/**
 * Begins the span of a send. A message that was created elsewhere (a row of the outbox, a dead letter sent again)
 * keeps its context: the span is then a client span beside it. All others carry the context of this span.
 */
export function startSend(
  tracer: Tracer,
  { connection, kind, messages }: SendOperation,
  deprecated: boolean,
): SendSpan {
  const created = messages.map(({ headers }) => creationContextOf(headers));
  const known = created.filter((each) => each !== undefined);
  const active = context.active();
  const parent = parentOf(known, active);
  const here = trace.getSpanContext(active);
  const links: Link[] = known.map((each) => ({ context: each }));
  if (parent !== active && here !== undefined) links.push({ context: here });
  const [first] = messages;
  const span = tracer.startSpan(
    `send ${first?.topic ?? ''}`,
    {
      kind: known.length === messages.length ? SpanKind.CLIENT : SpanKind.PRODUCER,
      links,
      attributes: attributesOf(
        {
          system: SYSTEM,
          operationName: 'send',
          operationType: 'send',
          destination: first?.topic,
          connection,
          ...(kind === 'batch' || first === undefined
            ? { batchSize: messages.length }
            : { ...messageValues(first, kind), bodySize: first.body.length }),
        },
        deprecated,
      ),
    },
    parent,
  );
  const own = trace.setSpan(parent, span);
  if (known.length === messages.length) return { span, context: own, messages };
  const headers = headersFor(own);
  return {
    span,
    context: own,
    messages: messages.map((message, index) =>
      created[index] === undefined ? withHeaders(message, headers) : message,
    ),
  };
}

/** What the broker's answer adds. */
export function tellReceipts(span: Span, receipts: readonly SendReceipt[]): void {
  const [receipt] = receipts;
  if (receipt === undefined || receipts.length > 1) return;
  span.setAttribute(ATTR.messageId, receipt.messageId);
  span.setAttribute(ATTR.partition, String(receipt.queueId));
}

/**
 * The caller's context, unless the messages come from another trace: then theirs, so that a message stays in one
 * trace from its creation on. Messages of several traces have no common parent, and links have to do.
 */
function parentOf(created: readonly SpanContext[], active: Context): Context {
  const [first] = created;
  if (first === undefined) return active;
  const here = trace.getSpanContext(active);
  const together = created.every(({ traceId }) => traceId === first.traceId);
  if (!together || here?.traceId === first.traceId) return active;
  return trace.setSpanContext(active, first);
}

/** Attributes of one message on its way. */
export function messageValues(
  {
    tag,
    keys,
    orderingKey,
    delivery,
    messageId,
  }: Pick<Message, 'tag' | 'keys' | 'orderingKey'> & Partial<Pick<Message, 'delivery' | 'messageId'>>,
  kind: SendOperation['kind'],
) {
  const type =
    kind === 'half' ? 'transaction' : delivery ? 'delay' : orderingKey === undefined ? 'normal' : 'fifo';
  return {
    messageId,
    tag,
    keys: keys === undefined || keys.length === 0 ? undefined : [...keys],
    orderingKey,
    messageType: type,
    delayLevel: delivery && 'level' in delivery ? delivery.level : undefined,
    deliveryTimestamp: delivery && 'at' in delivery ? delivery.at : undefined,
  };
}

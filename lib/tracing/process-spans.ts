import {
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { ReceivedMessage } from '../message/message.js';
import type { HandleFailure, HandleObservation, HandleOperation } from '../observability/instrumentation.js';
import { ATTR, attributesOf, SYSTEM } from './attributes.js';
import { contextOf, creationContextOf } from './message-carrier.js';
import { failSpan } from './span-failure.js';

export interface ProcessSpanOptions {
  readonly continueTrace: boolean;
  readonly deprecated: boolean;
}

/** The span of one handler call. The handler runs inside it, so that what it sends and queries become its children. */
export class ProcessSpan implements HandleObservation {
  private readonly span: Span;
  private readonly context: Context;
  private readonly batch: boolean;

  constructor(tracer: Tracer, operation: HandleOperation, options: ProcessSpanOptions) {
    const { messages, batch } = operation;
    this.batch = batch;
    const [first] = messages;
    const carried = batch ? ROOT_CONTEXT : contextOf(first?.headers);
    const parent = options.continueTrace ? carried : trace.deleteSpan(carried);
    const links = messages
      .map(({ headers }) => creationContextOf(headers))
      .filter((each) => each !== undefined)
      .map((each): Link => ({ context: each }));
    this.span = tracer.startSpan(
      `process ${first?.topic ?? ''}`,
      { kind: SpanKind.CONSUMER, links, attributes: attributesOf(valuesOf(operation), options.deprecated) },
      parent,
    );
    this.context = trace.setSpan(parent, this.span);
  }

  run<T>(work: () => T): T {
    return context.with(this.context, work);
  }

  failed(message: ReceivedMessage, failure: HandleFailure, error: unknown): void {
    failSpan(this.span, error, this.batch ? message.messageId : undefined);
    this.span.setAttribute(ATTR.outcome, failure);
  }

  end(): void {
    this.span.end();
  }
}

function valuesOf({ connection, listener, group, broadcasting, batch, messages }: HandleOperation) {
  const [first] = messages;
  const common = {
    system: SYSTEM,
    operationName: 'process',
    operationType: 'process',
    destination: first?.topic,
    group,
    consumptionModel: broadcasting ? 'broadcasting' : 'clustering',
    connection,
    listener,
  };
  if (batch || first === undefined) return { ...common, batchSize: messages.length };
  const { tag, keys, orderingKey, body, attempt, messageId, queueId, storeHost } = first;
  const [, host, port] = /^(.*):(\d+)$/.exec(storeHost) ?? [];
  return {
    ...common,
    messageId,
    attempt,
    bodySize: body.length,
    partition: String(queueId),
    serverAddress: host,
    serverPort: port === undefined ? undefined : Number(port),
    tag,
    keys: keys.length === 0 ? undefined : [...keys],
    orderingKey,
    messageType: messageType(first),
  };
}

function messageType({ properties, orderingKey }: ReceivedMessage): string {
  if (properties['TRAN_MSG'] === 'true') return 'transaction';
  const delayed = ['DELAY', 'TIMER_DELIVER_MS', 'TIMER_DELAY_MS', 'TIMER_DELAY_SEC', 'TIMER_OUT_MS'];
  if (delayed.some((name) => properties[name] !== undefined)) return 'delay';
  return orderingKey === undefined ? 'normal' : 'fifo';
}

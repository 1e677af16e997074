import { context, SpanKind, trace, type Tracer, type TracerProvider } from '@opentelemetry/api';
import type { Message, MessageHeaders } from '../message/message.js';
import type {
  CreateOperation,
  HandleObservation,
  HandleOperation,
  RocketMQInstrumentation,
  SendOperation,
  Sent,
} from '../observability/instrumentation.js';
import { attributesOf, SYSTEM } from './attributes.js';
import { creationContextOf, headersFor } from './message-carrier.js';
import { ProcessSpan } from './process-spans.js';
import { messageValues, startSend, tellReceipts } from './send-spans.js';
import { failSpan } from './span-failure.js';

/** Options of `RocketMQTracingModule.forRoot`. */
export interface RocketMQTracingOptions {
  /** Where spans go. @default the global provider, asked with every span: the SDK may start before or after */
  readonly tracerProvider?: TracerProvider;
  /**
   * Whether the span of a handler is a child of the span that created its message. `false` begins a trace per
   * delivery that links to it: for messages that wait for days, or traces that would have no end. Batch listeners
   * always do that. @default true
   */
  readonly continueTrace?: boolean;
  /** Writes `messaging.system` and `messaging.rocketmq.*` beside their new names. @default true */
  readonly deprecatedAttributes?: boolean;
}

const TRACER = 'nestjs-rocketmq';

/** Spans around sends and handlers, and their context in the headers of messages. */
export class TracingInstrumentation implements RocketMQInstrumentation {
  private readonly deprecated: boolean;
  private readonly continueTrace: boolean;

  constructor(private readonly options: RocketMQTracingOptions = {}) {
    this.deprecated = options.deprecatedAttributes ?? true;
    this.continueTrace = options.continueTrace ?? true;
  }

  async send<T>(
    operation: SendOperation,
    next: (messages: readonly Message[]) => Promise<Sent<T>>,
  ): Promise<T> {
    const { span, context: own, messages } = startSend(this.tracer, operation, this.deprecated);
    try {
      const { value, receipts } = await context.with(own, () => next(messages));
      tellReceipts(span, receipts);
      return value;
    } catch (error) {
      failSpan(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** A span of no length: the message exists from here on, and is sent later, perhaps by another process. */
  create(operation: CreateOperation): MessageHeaders | undefined {
    if (creationContextOf(operation.headers) !== undefined) return undefined;
    const active = context.active();
    const span = this.tracer.startSpan(
      `create ${operation.topic}`,
      {
        kind: SpanKind.PRODUCER,
        attributes: attributesOf(
          {
            system: SYSTEM,
            operationName: 'create',
            operationType: 'create',
            destination: operation.topic,
            ...messageValues(operation, 'single'),
          },
          this.deprecated,
        ),
      },
      active,
    );
    const headers = headersFor(trace.setSpan(active, span));
    span.end();
    return headers;
  }

  handle(operation: HandleOperation): HandleObservation {
    const { continueTrace, deprecated } = this;
    return new ProcessSpan(this.tracer, operation, { continueTrace, deprecated });
  }

  private get tracer(): Tracer {
    return (this.options.tracerProvider ?? trace).getTracer(TRACER);
  }
}

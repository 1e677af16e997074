import { context, type Context, propagation, SpanKind, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';

/** The SDK of OpenTelemetry with everything kept in memory, as the process's global one until `stop`. */
export class RecordedSpans {
  private readonly exporter = new InMemorySpanExporter();
  private readonly provider = new NodeTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(this.exporter)],
  });

  constructor() {
    this.provider.register();
  }

  /** Every span that has ended. */
  all(): readonly ReadableSpan[] {
    return this.exporter.getFinishedSpans();
  }

  named(name: string): readonly ReadableSpan[] {
    return this.all().filter((span) => span.name === name);
  }

  /** @throws Error unless there is exactly one span of that name */
  only(name: string): ReadableSpan {
    const [span, ...more] = this.named(name);
    if (span === undefined || more.length > 0) {
      const names = this.all().map((each) => each.name);
      throw new Error(`There are ${more.length + (span ? 1 : 0)} spans "${name}". All: ${names.join(', ')}`);
    }
    return span;
  }

  /** Runs work in a server span, as an HTTP instrumentation does with a request. */
  async request<T>(name: string, work: () => Promise<T>): Promise<T> {
    const span = trace.getTracer('test').startSpan(name, { kind: SpanKind.SERVER });
    try {
      return await context.with(trace.setSpan(context.active(), span), work);
    } finally {
      span.end();
    }
  }

  clear(): void {
    this.exporter.reset();
  }

  async stop(): Promise<void> {
    await this.provider.shutdown();
    trace.disable();
    context.disable();
    propagation.disable();
  }
}

/** Id of the span a span is a child of. */
export function parentOf(span: ReadableSpan): string | undefined {
  return span.parentSpanContext?.spanId;
}

export function idOf(span: ReadableSpan): string {
  return span.spanContext().spanId;
}

export function traceOf(span: ReadableSpan): string {
  return span.spanContext().traceId;
}

/** Ids of the spans a span links to. */
export function linksOf(span: ReadableSpan): string[] {
  return span.links.map((link) => link.context.spanId);
}

/** A context with a baggage entry. */
export function withBaggage(key: string, value: string): Context {
  return propagation.setBaggage(context.active(), propagation.createBaggage({ [key]: { value } }));
}

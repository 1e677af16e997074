import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What Express adds once it has found the handler. */
type RoutedRequest = IncomingMessage & { readonly route?: { readonly path?: unknown } };

/**
 * A span for every request, so that traces begin where the shop is entered: the order's event, the reservation it
 * causes and the payment that follows are all in the trace of `POST /orders`. OpenTelemetry's own instrumentation of
 * HTTP does this and more; where it is active, this steps aside.
 */
@Injectable()
export class RequestSpanMiddleware implements NestMiddleware<RoutedRequest, ServerResponse> {
  use(request: RoutedRequest, response: ServerResponse, next: () => void): void {
    if (trace.getActiveSpan() !== undefined) {
      next();
      return;
    }
    const caller = propagation.extract(context.active(), request.headers);
    const method = request.method ?? 'GET';
    const attributes = { 'http.request.method': method };
    const span = trace.getTracer('shop').startSpan(method, { kind: SpanKind.SERVER, attributes }, caller);
    response.once('close', () => {
      const route = request.route?.path;
      if (typeof route === 'string') span.updateName(`${method} ${route}`);
      span.setAttribute('http.response.status_code', response.statusCode);
      span.end();
    });
    context.with(trace.setSpan(caller, span), next);
  }
}

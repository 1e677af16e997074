import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  type TextMapGetter,
  type TextMapSetter,
  trace,
  isSpanContextValid,
} from '@opentelemetry/api';
import type { Message, MessageHeaders } from '../message/message.js';

/** RocketMQ's own separators between properties; brokers have no way to escape them. */
const SEPARATORS = ['\u0001', '\u0002'];

const GETTER: TextMapGetter<MessageHeaders> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, key) => headers[key],
};

/** A value that RocketMQ cannot carry is left out: a lost trace is better than a lost message. */
const SETTER: TextMapSetter<Record<string, string>> = {
  set: (headers, key, value) => {
    if (value !== '' && !SEPARATORS.some((separator) => value.includes(separator))) headers[key] = value;
  },
};

/** The context a message was created in, and whatever else (baggage) travels with it. */
export function contextOf(headers: MessageHeaders | undefined): Context {
  return headers === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, headers, GETTER);
}

/** The span a message was created in; undefined when nobody wrote one into it. */
export function creationContextOf(headers: MessageHeaders | undefined): SpanContext | undefined {
  const span = trace.getSpanContext(contextOf(headers));
  return span !== undefined && isSpanContextValid(span) ? span : undefined;
}

/** The context as headers: `traceparent`, `tracestate`, `baggage`, or whatever the application's propagator writes. */
export function headersFor(context: Context): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context, headers, SETTER);
  return headers;
}

/** A copy that carries the context. Its own headers stay. */
export function withHeaders(message: Message, headers: MessageHeaders): Message {
  return { ...message, headers: { ...headers, ...message.headers } };
}

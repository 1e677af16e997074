import { type Span, SpanStatusCode } from '@opentelemetry/api';
import { RocketMQError } from '../message/rocketmq-error.js';
import { ATTR } from './attributes.js';

/** Records what went wrong. Of a batch, `messageId` says with which message. */
export function failSpan(span: Span, error: unknown, messageId?: string): void {
  const type = errorType(error);
  const message = error instanceof Error ? error.message : String(error);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute(ATTR.errorType, type);
  span.addEvent('exception', {
    'exception.type': type,
    'exception.message': message,
    ...(error instanceof Error && error.stack !== undefined && { 'exception.stacktrace': error.stack }),
    ...(messageId !== undefined && { [ATTR.messageId]: messageId }),
  });
}

/** Few values: the code of our errors, the class of others. */
function errorType(error: unknown): string {
  if (error instanceof RocketMQError) return error.code;
  return error instanceof Error ? error.name : '_OTHER';
}

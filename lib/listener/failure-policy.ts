import { HttpException } from '@nestjs/common';
import type { ConsumeResult } from '../client/push-consumer.js';

/** What becomes of a message that no further attempt can help. */
export type FailureAction = 'reject' | 'retry' | 'ack';

/**
 * What becomes of messages that a guard denied, whose payload is invalid, or whose body cannot be decoded.
 *
 * - `reject`: to the dead-letter topic of the group, with the reason.
 * - `retry`: again by the listener's schedule, until `maxAttempts` (17 where there is no limit); then dead letter.
 * - `ack`: done; the event and the log line are all that is left of it.
 */
export interface FailurePolicies {
  /** A guard said no: it returned false, or threw an HttpException with status 401 or 403. @default 'reject' */
  readonly guardDenied?: FailureAction;
  /** A pipe (or the handler) threw an HttpException with status 400 or 422, as validation pipes do. @default 'reject' */
  readonly validation?: FailureAction;
  /** The serializer could not read the body. @default 'reject' */
  readonly undecodable?: FailureAction;
}

export const FAILURE_ACTIONS: readonly FailureAction[] = ['reject', 'retry', 'ack'];
export const FAILURE_KINDS = ['guardDenied', 'validation', 'undecodable'] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number] | 'handler';

/** Tells a failure's kind from the error and from how far the message came. */
export function failureKind(error: unknown, reachedParameters: boolean): FailureKind {
  if (!(error instanceof HttpException)) return 'handler';
  const status = error.getStatus();
  if ((status === 401 || status === 403) && !reachedParameters) return 'guardDenied';
  if (status === 400 || status === 422) return 'validation';
  return 'handler';
}

export function failureAction(kind: FailureKind, policies: FailurePolicies): FailureAction {
  return kind === 'handler' ? 'retry' : (policies[kind] ?? 'reject');
}

const ACTIONS: ReadonlySet<unknown> = new Set(['ack', 'retry', 'dead-letter']);

/** Whether a handler or filter returned a decision instead of a plain value. */
export function isConsumeResult(value: unknown): value is ConsumeResult {
  return (
    typeof value === 'object' &&
    value !== null &&
    ACTIONS.has((value as { readonly action?: unknown }).action)
  );
}

/** A short text for logs and dead letters: the message, and for validation errors what is wrong with which field. */
export function describeFailure(error: unknown): string {
  if (error instanceof HttpException) {
    const response = error.getResponse();
    const detail = typeof response === 'object' ? (response as { message?: unknown }).message : response;
    if (Array.isArray(detail)) return detail.map(String).join('; ');
    return typeof detail === 'string' ? detail : error.message;
  }
  return error instanceof Error ? error.message || error.name : String(error);
}

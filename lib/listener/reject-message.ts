import { IntrinsicException } from '@nestjs/common';

const KIND = Symbol.for('nestjs-rocketmq.reject-message');

/**
 * Thrown by a handler: trying again will not help, move the message to the dead-letter topic of the group now.
 * It is a decision, not a failure: Nest does not log it and exception filters do not see it.
 */
export class RejectMessage extends IntrinsicException {
  /** @param reason goes to the event, the log line and the dead letter */
  constructor(
    readonly reason: string,
    options?: { readonly cause?: unknown },
  ) {
    super(reason, { cause: options?.cause });
    this.name = 'RejectMessage';
    Object.defineProperty(this, KIND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && KIND in value;
  }
}

import { DEFAULT_MAX_BODY_BYTES } from '../../../message/message-limits.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ProducerOptions } from '../../producer.js';

/** Everything `ProducerOptions` may leave out. Defaults are Java's where Java has the option. */
export function withProducerDefaults(options: ProducerOptions): Required<ProducerOptions> {
  const complete: Required<ProducerOptions> = {
    group: options.group,
    sendTimeoutMs: options.sendTimeoutMs ?? 3_000,
    maxAttempts: options.maxAttempts ?? 3,
    maxMessageSize: options.maxMessageSize ?? DEFAULT_MAX_BODY_BYTES,
    compressAboveBytes: options.compressAboveBytes ?? 4_096,
    onNotFullyStored: options.onNotFullyStored ?? 'accept',
    latencyAware: options.latencyAware ?? false,
    maxInFlight: options.maxInFlight ?? 4_096,
    onMaxInFlight: options.onMaxInFlight ?? 'wait',
  };
  checkPositive('sendTimeoutMs', complete.sendTimeoutMs);
  checkPositive('maxMessageSize', complete.maxMessageSize);
  checkWhole('maxAttempts', complete.maxAttempts);
  checkWhole('maxInFlight', complete.maxInFlight);
  if (!(complete.compressAboveBytes >= 0)) {
    throw invalid('compressAboveBytes', complete.compressAboveBytes, 'zero or more bytes, or Infinity');
  }
  return complete;
}

function checkPositive(name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) throw invalid(name, value, 'a number above zero');
}

function checkWhole(name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 1)) throw invalid(name, value, 'a whole number from 1');
}

function invalid(name: string, value: number, wanted: string): RocketMQError {
  return new RocketMQError(
    'INVALID_CONFIGURATION',
    `Producer option ${name} is ${value}. Give ${wanted}, or leave it out.`,
  );
}

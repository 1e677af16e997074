import { RocketMQError } from './rocketmq-error.js';

/** Milliseconds, or a number with a unit: `'500ms'`, `'10s'`, `'15m'`, `'2h'`, `'1d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * The duration in milliseconds.
 *
 * @throws RocketMQError `INVALID_ARGUMENT` when it is negative, not a number, or has no known unit
 */
export function toMilliseconds(duration: Duration): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) return duration;
  } else {
    const match = typeof duration === 'string' ? PATTERN.exec(duration) : null;
    if (match) return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
  }
  throw new RocketMQError(
    'INVALID_ARGUMENT',
    `"${String(duration)}" is not a duration. Give milliseconds, zero or more, or a text like "500ms", "10s", "15m", "2h", "1d".`,
  );
}

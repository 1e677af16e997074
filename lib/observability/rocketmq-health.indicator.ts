import { Inject, Injectable } from '@nestjs/common';

/** One thing health looks at. It may reject: that counts as down. */
export interface HealthProbe {
  readonly name: string;
  check(): Promise<HealthProbeResult> | HealthProbeResult;
}

export interface HealthProbeResult {
  readonly status: 'up' | 'down';
  /** Plain data for the response. */
  readonly details: Readonly<Record<string, unknown>>;
}

export const HEALTH_PROBES = Symbol('nestjs-rocketmq:health-probes');

/** Shape of `HealthIndicatorResult` of @nestjs/terminus 11 and 12. */
export type RocketMQHealth<Key extends string = string> = Record<
  Key,
  { readonly status: 'up' | 'down' } & Readonly<Record<string, unknown>>
>;

/** How long health may take. */
export interface HealthCheckOptions {
  /** A probe that takes longer is down. Milliseconds. @default 3000 */
  readonly timeoutMs?: number;
}

/**
 * For @nestjs/terminus, which is not needed: `health.check([() => rocketmq.check('rocketmq')])`.
 * Returns the state and never throws, so it works with Terminus 11 and 12 alike.
 */
@Injectable()
export class RocketMQHealthIndicator {
  constructor(@Inject(HEALTH_PROBES) private readonly probes: readonly HealthProbe[]) {}

  /** Up when every connection, every running listener and the outbox are. */
  async check<Key extends string = 'rocketmq'>(
    key: Key = 'rocketmq' as Key,
    { timeoutMs = 3_000 }: HealthCheckOptions = {},
  ): Promise<RocketMQHealth<Key>> {
    const results = await Promise.all(
      this.probes.map(async (probe) => [probe.name, await ask(probe, timeoutMs)] as const),
    );
    const status = results.every(([, result]) => result.status === 'up') ? 'up' : 'down';
    const details = Object.fromEntries(results.map(([name, result]) => [name, result.details]));
    return { [key]: { status, ...details } } as RocketMQHealth<Key>;
  }
}

async function ask(probe: HealthProbe, timeoutMs: number): Promise<HealthProbeResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HealthProbeResult>((resolve) => {
    timer = setTimeout(() => resolve(down(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([Promise.resolve(probe.check()), late]);
  } catch (error) {
    return down(error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
}

function down(error: string): HealthProbeResult {
  return { status: 'down', details: { error } };
}

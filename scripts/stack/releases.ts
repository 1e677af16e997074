import { StackError } from './stack-error.js';

/** A release of Apache RocketMQ whose artifacts are complete in Maven Central. */
export interface Release {
  readonly version: string;
  /** Coordinates whose transitive dependencies make the classpath. */
  readonly artifacts: readonly string[];
  /** 5.x: `bindAddress`, timer wheel, recall, proxy. */
  readonly line: 4 | 5;
}

const release = (version: string, line: 4 | 5, modules: readonly string[]): Release => ({
  version,
  line,
  artifacts: modules.map((module) => `org.apache.rocketmq:rocketmq-${module}:${version}`),
});

export const RELEASES: readonly Release[] = [
  release('5.5.0', 5, ['namesrv', 'broker', 'proxy']),
  release('4.9.7', 4, ['namesrv', 'broker']),
];

export const DEFAULT_RELEASE = '5.5.0';

/** @throws StackError for a version that is not in the catalogue. */
export function releaseOf(version: string = process.env.ROCKETMQ_VERSION ?? DEFAULT_RELEASE): Release {
  const found = RELEASES.find((release) => release.version === version);
  if (found) return found;
  const known = RELEASES.map((release) => release.version).join(', ');
  throw new StackError(
    `RocketMQ ${version} is not in the catalogue of the local stack (${known}). Choose one of these with ` +
      '--release or ROCKETMQ_VERSION, or start that version yourself and set ROCKETMQ_NAME_SERVER.',
  );
}

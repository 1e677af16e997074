/** Everything the application is told from outside. Read once, checked once, injected everywhere. */
export class AppConfig {
  readonly port: number;
  readonly databaseUrl: string;
  /** `host:port;host:port` of the name servers. */
  readonly nameServer: string;
  /** Prefix of all topics and groups: several copies of this shop can share one cluster. */
  readonly namespace: string | undefined;
  /**
   * How long a confirmed order waits for its payment: milliseconds, or one of the 18 delay levels of the broker.
   * Brokers before 5.0 know the levels only.
   */
  readonly paymentWindow: number | { readonly level: number };
  /** What operators send as `x-operator-key`. Without it the operator routes are closed. */
  readonly operatorKey: string | undefined;

  /** @throws Error that lists every variable that is missing or wrong */
  constructor(env: NodeJS.ProcessEnv) {
    const problems: string[] = [];
    this.port = integer(env, 'PORT', 3000, 0, problems);
    this.databaseUrl = required(
      env,
      'DATABASE_URL',
      'postgres://user:password@localhost:5432/shop',
      problems,
    );
    this.nameServer = required(env, 'ROCKETMQ_NAME_SERVER', '127.0.0.1:9876', problems);
    this.namespace = env['ROCKETMQ_NAMESPACE'] || undefined;
    const level = integer(env, 'PAYMENT_WINDOW_LEVEL', 0, 1, problems);
    this.paymentWindow = level > 0 ? { level } : integer(env, 'PAYMENT_WINDOW_MS', 15 * 60_000, 1, problems);
    this.operatorKey = env['OPERATOR_KEY'] || undefined;
    if (problems.length > 0) throw new Error(`The configuration is incomplete:\n- ${problems.join('\n- ')}`);
  }
}

function required(env: NodeJS.ProcessEnv, name: string, example: string, problems: string[]): string {
  const value = env[name];
  if (!value) problems.push(`${name} is not set. Set it, for example to ${example}`);
  return value ?? '';
}

function integer(
  env: NodeJS.ProcessEnv,
  name: string,
  fallback: number,
  min: number,
  problems: string[],
): number {
  const text = env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min) {
    problems.push(`${name} is "${text}". Set a whole number from ${min} on, or leave it out for ${fallback}`);
  }
  return value;
}

/** Name servers of the cluster the test run was given, `host:port;host:port`. */
export function nameServer(): string {
  const value = process.env['ROCKETMQ_NAME_SERVER'];
  if (!value) {
    throw new Error(
      'ROCKETMQ_NAME_SERVER is not set. Start a broker (npm run rocketmq -- start) and set it, or run npm test.',
    );
  }
  return value;
}

/** The release of that cluster; decides which behaviour a test may expect. */
export function brokerRelease(): string {
  return process.env['ROCKETMQ_VERSION'] ?? '5.5.0';
}

/** Timer messages, recall and topic types came with RocketMQ 5. */
export function isBroker5(): boolean {
  return Number.parseInt(brokerRelease(), 10) >= 5;
}

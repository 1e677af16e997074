/**
 * Names of span attributes, as the OpenTelemetry semantic conventions for messaging 1.45 have them. They are still in
 * development: `messaging.system` and `messaging.rocketmq.*` were renamed lately, and most dashboards ask for the old
 * names, so both are written unless `deprecatedAttributes` is false.
 */
export const ATTR = {
  system: 'messaging.system.name',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  group: 'messaging.consumer.group.name',
  messageId: 'messaging.message.id',
  bodySize: 'messaging.message.body.size',
  batchSize: 'messaging.batch.message_count',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  errorType: 'error.type',

  tag: 'rocketmq.message.tag',
  keys: 'rocketmq.message.keys',
  orderingKey: 'rocketmq.message.group',
  messageType: 'rocketmq.message.type',
  delayLevel: 'rocketmq.message.delay_time_level',
  deliveryTimestamp: 'rocketmq.message.delivery_timestamp',
  consumptionModel: 'rocketmq.consumption_model',

  /** Our own; no convention has them. */
  connection: 'nestjs_rocketmq.connection',
  listener: 'nestjs_rocketmq.listener',
  attempt: 'nestjs_rocketmq.attempt',
  outcome: 'nestjs_rocketmq.outcome',
} as const;

export const SYSTEM = 'rocketmq';

/** What an attribute was called before. */
const DEPRECATED: Readonly<Record<string, string>> = {
  [ATTR.system]: 'messaging.system',
  [ATTR.tag]: 'messaging.rocketmq.message.tag',
  [ATTR.keys]: 'messaging.rocketmq.message.keys',
  [ATTR.orderingKey]: 'messaging.rocketmq.message.group',
  [ATTR.messageType]: 'messaging.rocketmq.message.type',
  [ATTR.delayLevel]: 'messaging.rocketmq.message.delay_time_level',
  [ATTR.deliveryTimestamp]: 'messaging.rocketmq.message.delivery_timestamp',
  [ATTR.consumptionModel]: 'messaging.rocketmq.consumption_model',
};

type Value = string | number | string[] | undefined;

/** Attributes of a span; those without a value are left out. */
export function attributesOf(
  values: Readonly<Partial<Record<keyof typeof ATTR, Value>>>,
  deprecated: boolean,
): Record<string, string | number | string[]> {
  const attributes: Record<string, string | number | string[]> = {};
  for (const name in values) {
    const value = values[name as keyof typeof ATTR];
    if (value === undefined) continue;
    const key = ATTR[name as keyof typeof ATTR];
    attributes[key] = value;
    const before = deprecated ? DEPRECATED[key] : undefined;
    if (before !== undefined) attributes[before] = value;
  }
  return attributes;
}

import type { SubscriptionData } from './subscription-data.js';

/** (Java: `ConsumeType`.) */
export type ConsumeType = 'CONSUME_ACTIVELY' | 'CONSUME_PASSIVELY';
/** (Java: `MessageModel`.) */
export type MessageModel = 'CLUSTERING' | 'BROADCASTING';
/** (Java: `ConsumeFromWhere`.) */
export type ConsumeFromWhere =
  'CONSUME_FROM_LAST_OFFSET' | 'CONSUME_FROM_FIRST_OFFSET' | 'CONSUME_FROM_TIMESTAMP';

/** A consumer group of this client. (Java: `ConsumerData`.) */
export interface ConsumerData {
  readonly groupName: string;
  /** Push consumers are passive, pull consumers active. */
  readonly consumeType: ConsumeType;
  readonly messageModel: MessageModel;
  readonly consumeFromWhere: ConsumeFromWhere;
  readonly subscriptionDataSet: readonly SubscriptionData[];
  readonly unitMode: boolean;
}

/** Everything one client has to say about itself to a broker, every group in one piece. (Java: `HeartbeatData`.) */
export interface HeartbeatData {
  readonly clientId: string;
  /** Producer groups. */
  readonly producerGroups: readonly string[];
  readonly consumers: readonly ConsumerData[];
}

/** The body of HEART_BEAT. Fingerprint 0: the plain heartbeat, with its subscriptions, that every version reads. */
export function encodeHeartbeat({ clientId, producerGroups, consumers }: HeartbeatData): Buffer {
  return Buffer.from(
    JSON.stringify({
      clientID: clientId,
      producerDataSet: producerGroups.map((groupName) => ({ groupName })),
      consumerDataSet: consumers,
      heartbeatFingerprint: 0,
      withoutSub: false,
    }),
  );
}

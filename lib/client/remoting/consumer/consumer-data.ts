import type { ConsumerProfile, GroupMember } from '../../consumer/consumer-broker.js';
import type { StartFrom } from '../../push-consumer.js';
import type { ConsumeFromWhere, ConsumerData, ConsumeType } from '../protocol/heartbeat-data.js';
import { subscriptionDataOf } from '../protocol/subscription-data.js';

/** A consumer's part of the heartbeat. */
export function consumerData(profile: ConsumerProfile, member: GroupMember): ConsumerData {
  return {
    groupName: profile.brokerGroup,
    consumeType: consumeTypeOf(profile),
    messageModel: profile.broadcasting ? 'BROADCASTING' : 'CLUSTERING',
    consumeFromWhere: consumeFromWhere(profile.startFrom),
    subscriptionDataSet: member.subscriptions().map(subscriptionDataOf),
    unitMode: false,
  };
}

/** Push consumers are passive, pull consumers active. */
export function consumeTypeOf({ type }: ConsumerProfile): ConsumeType {
  return type === 'push' ? 'CONSUME_PASSIVELY' : 'CONSUME_ACTIVELY';
}

function consumeFromWhere(startFrom: StartFrom): ConsumeFromWhere {
  if (startFrom === 'first') return 'CONSUME_FROM_FIRST_OFFSET';
  return startFrom === 'last' ? 'CONSUME_FROM_LAST_OFFSET' : 'CONSUME_FROM_TIMESTAMP';
}

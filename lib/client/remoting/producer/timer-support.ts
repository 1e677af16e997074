import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ClientInstance } from '../client-instance.js';
import type { MessageSender, SendTarget } from './message-sender.js';
import { withinDeadline } from './within-deadline.js';

/** (Java: `MQVersion.Version.V5_0_0_SNAPSHOT`: timer messages came with 5.0.) */
const FIRST_VERSION_WITH_TIMERS = 412;

/**
 * A 4.x broker does not know timer messages and would deliver one at once, without a word: refuse before it leaves.
 *
 * @param topic as the application knows it
 * @throws RocketMQError `UNSUPPORTED`
 */
export async function checkTimerSupport(
  instance: ClientInstance,
  sender: MessageSender,
  topic: string,
  target: SendTarget,
): Promise<void> {
  const { queues } = await sender.topic(topic, target);
  const brokerNames = target.queue
    ? [target.queue.brokerName]
    : new Set(queues.map((queue) => queue.brokerName));
  for (const brokerName of brokerNames) {
    const address = instance.routes.masterAddress(brokerName);
    if (address === undefined) continue;
    const version =
      instance.knownBrokerVersion(address) ??
      (await withinDeadline(
        instance.brokerVersion(address),
        target,
        instance.clock,
        `Asking broker ${address} for its version`,
      ).catch(() => undefined));
    // A broker that is away is the sender's business.
    if (version === undefined || version >= FIRST_VERSION_WITH_TIMERS) continue;
    throw new RocketMQError(
      'UNSUPPORTED',
      `Broker "${brokerName}" of topic "${topic}" runs RocketMQ 4, which has no timer messages. Use one of its 18 delay levels, or RocketMQ 5.`,
    );
  }
}

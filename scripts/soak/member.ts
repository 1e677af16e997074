import { setTimeout as delay } from 'node:timers/promises';
import { createRocketMQClient } from '../../lib/client/client-factory.js';
import { ACK } from '../../lib/client/push-consumer.js';

/** What a member of a group is told. */
export interface MemberTask {
  readonly name: string;
  readonly nameServer: string;
  readonly topic: string;
  readonly group: string;
  readonly mode: 'concurrent' | 'orderly';
  /** A handler takes a random time up to this, milliseconds. */
  readonly maxHandlerMs: number;
}

/** What it tells: `b message queue offset begin`, `e message end`, `a` for assigned, `x text` for an error. */
export type Report = (line: string) => void;

export interface Member {
  /** Leaves in an orderly way. */
  leave(): Promise<void>;
}

/** Of the machine's monotonic clock, which is the same in all processes. */
export function microseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Joins the group and handles what comes. */
export async function join(task: MemberTask, report: Report): Promise<Member> {
  const client = createRocketMQClient({
    nameServer: task.nameServer,
    instanceName: task.name,
    routePollIntervalMs: 5_000,
  });
  try {
    await client.start();
    const consumer = client.createPushConsumer({
      group: task.group,
      subscriptions: [{ topic: task.topic }],
      mode: task.mode,
      startFrom: 'first',
      offsetPersistIntervalMs: 1_000,
      handler: async ([message]) => {
        const number = message!.body.readUInt32BE(0);
        const queue = `${message!.brokerName}:${message!.queueId}`;
        report(`b ${number} ${queue} ${message!.queueOffset} ${microseconds()}`);
        await delay(Math.random() * task.maxHandlerMs);
        report(`e ${number} ${microseconds()}`);
        return ACK;
      },
    });
    consumer.onEvent((event) => {
      if (event.type === 'error') report(`x ${event.context}: ${event.error.message.replaceAll('\n', ' ')}`);
    });
    await consumer.start();
  } catch (error) {
    await client.close();
    throw error;
  }
  return { leave: () => client.close() };
}

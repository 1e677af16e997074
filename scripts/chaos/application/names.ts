import type { TopicType } from 'nestjs-rocketmq';

/** A topic of the application, and the groups that handle every message of it. */
interface TopicPlan {
  readonly type: TopicType;
  readonly groups: readonly { readonly name: string; readonly ordered: boolean }[];
}

const TOPICS = {
  /** With ordering keys, through the outbox. */
  orders: {
    type: 'FIFO',
    groups: [
      { name: 'ledger', ordered: true },
      { name: 'audit', ordered: false },
    ],
  },
  /** Without keys, through the outbox: in broker batches. */
  notes: { type: 'NORMAL', groups: [{ name: 'notebook', ordered: false }] },
  /** Transactional messages. */
  payments: { type: 'TRANSACTION', groups: [{ name: 'cashier', ordered: false }] },
  /** What the ledger writes when it handles orders, with ordering keys of its own. */
  shipments: { type: 'FIFO', groups: [{ name: 'dispatch', ordered: true }] },
  /** What the cashier writes when it handles payments. */
  receipts: { type: 'NORMAL', groups: [{ name: 'archive', ordered: false }] },
} as const satisfies Record<string, TopicPlan>;

export type TopicName = keyof typeof TOPICS;
export type GroupName = (typeof TOPICS)[TopicName]['groups'][number]['name'];

export const TOPIC_PLANS: readonly (readonly [TopicName, TopicPlan])[] = Object.entries(TOPICS) as [
  TopicName,
  TopicPlan,
][];

/** At the broker; in tables and histories the short names stand. */
export function topicOf(run: string, topic: TopicName): string {
  return `${run}-${topic}`;
}

export function groupOf(run: string, group: GroupName): string {
  return `${run}-${group}`;
}

/** Dead letters stand in the histories under this topic. */
export const DEAD_LETTERS = 'dead letters';

/** Every message of the topic has to be handled by the group. */
export const EXPECTED_HANDLERS = TOPIC_PLANS.flatMap(([topic, { groups }]) =>
  groups.map(({ name, ordered }) => ({ topic, group: name, ordered })),
);

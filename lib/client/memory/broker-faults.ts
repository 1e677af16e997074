/** What a client asks of the broker; the names follow RocketMQ's request codes. */
export type BrokerRequestKind =
  | 'ping'
  | 'route'
  | 'send'
  | 'send-one-way'
  | 'send-batch'
  | 'send-half'
  | 'end-transaction'
  | 'recall'
  | 'send-back'
  | 'heartbeat'
  | 'unregister'
  | 'members'
  | 'lock'
  | 'unlock'
  | 'pull'
  | 'query-offset'
  | 'update-offset'
  | 'admin';

/** One request on its way, as a fault script sees it. Topics and groups are the broker's, namespace included. */
export interface BrokerRequest {
  readonly kind: BrokerRequestKind;
  readonly clientId: string;
  readonly topic?: string;
  readonly group?: string;
  readonly queueId?: number;
  /** Unique keys of the messages in it. */
  readonly messageIds?: readonly string[];
}

/**
 * How a request goes wrong.
 *
 * - `refused`: the broker does not act, the caller learns it at once (`CONNECTION_FAILED`)
 * - `busy`: the broker does not act and says so (`BROKER_BUSY`)
 * - `request-lost`: the broker does not act, the caller waits until its deadline (`TIMEOUT`)
 * - `answer-lost`: the broker acts, the caller waits until its deadline (`TIMEOUT`): a lost acknowledgement
 * - `cut`: the broker acts, the connection breaks before the answer (`CONNECTION_FAILED`)
 */
export type RequestOutcome = 'refused' | 'busy' | 'request-lost' | 'answer-lost' | 'cut';

/** What goes wrong with a request. */
export interface RequestFault {
  /** Milliseconds on the broker's clock before the broker acts. */
  readonly delayMs?: number;
  /** Milliseconds between the act and the answer. */
  readonly answerDelayMs?: number;
  /** @default the request succeeds */
  readonly outcome?: RequestOutcome;
}

/** One message about to be handed to a consumer. */
export interface BrokerDelivery {
  readonly clientId: string;
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly messageId: string;
  readonly attempt: number;
}

/** What goes wrong with a delivery. */
export interface DeliveryFault {
  /** How often the message arrives, from 1. Copies of a concurrent consumer may be handled at the same time. @default 1 */
  readonly copies?: number;
}

/** One question about a half message on its way to a producer. */
export interface BrokerCheck {
  readonly group: string;
  readonly topic: string;
  readonly messageId: string;
  /** Which check of this message, from 1. */
  readonly check: number;
}

/** What goes wrong with a check. */
export interface CheckFault {
  /** How often the question is asked, each time of the next member of the group; 0 loses it. @default 1 */
  readonly copies?: number;
}

/**
 * What goes wrong, decided from outside at every boundary between clients and broker. All hooks are optional and
 * must be quick and synchronous; undefined means: goes well.
 */
export interface BrokerFaults {
  /** While true every request is refused. Asked at each request and at each answer to a held pull. */
  unavailable?(): boolean;
  /** Asked at every request of a client. */
  onRequest?(request: BrokerRequest): RequestFault | undefined;
  /** Asked before a message is handed to a consumer. */
  onDeliver?(delivery: BrokerDelivery): DeliveryFault | undefined;
  /** Asked before a producer is asked about a half message. */
  onCheck?(check: BrokerCheck): CheckFault | undefined;
}

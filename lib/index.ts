export { parseDestination, type Destination } from './message/destination.js';
export type { DeliveryTime, Message, MessageQueue, ReceivedMessage } from './message/message.js';
export { DEAD_LETTER_REASON } from './message/dead-letter-reason.js';
export {
  binarySerializer,
  jsonSerializer,
  textSerializer,
  type MessageSerializer,
} from './message/message-serializer.js';
export {
  RocketMQError,
  type RocketMQErrorCode,
  type RocketMQErrorOptions,
} from './message/rocketmq-error.js';

export type {
  Admin,
  BrokerInfo,
  GroupOptions,
  TopicDescription,
  TopicOptions,
  TopicType,
} from './client/admin.js';
export type { AllocateStrategy } from './client/allocate-strategy.js';
export { allocateAveragely } from './client/allocation/averagely.js';
export { allocateAveragelyByCircle } from './client/allocation/averagely-by-circle.js';
export { allocateByConfig } from './client/allocation/by-config.js';
export { allocateByMachineRoom } from './client/allocation/by-machine-room.js';
export { allocateConsistentHash } from './client/allocation/consistent-hash.js';
export {
  allocateMachineRoomNearby,
  type MachineRoomResolver,
} from './client/allocation/machine-room-nearby.js';
export { BrokerError } from './client/broker-error.js';
export type { Capabilities, Capability } from './client/capabilities.js';
export { createRocketMQClient } from './client/client-factory.js';
export { selectQueueByHash, selectQueueRandomly } from './client/queue-selectors.js';
export { PartialBatchError } from './client/partial-batch-error.js';
export { systemClock, type Clock, type ClockTimer } from './client/clock.js';
export type {
  HalfMessage,
  NotFullyStoredPolicy,
  Producer,
  ProducerOptions,
  Reply,
  RequestResult,
  TransactionCheck,
  TransactionResolution,
} from './client/producer.js';
export type { PullConsumer, PullConsumerOptions } from './client/pull-consumer.js';
export {
  ACK,
  RETRY,
  type CachedMessages,
  type ConsumeResult,
  type ConsumerEvent,
  type DeliveryContext,
  type MessageHandler,
  type PushConsumer,
  type PushConsumerOptions,
  type StartFrom,
} from './client/push-consumer.js';
export type {
  ClientLog,
  ClientOptions,
  ConnectionState,
  MemoryBrokerHandle,
  RocketMQClient,
} from './client/rocketmq-client.js';
export type { MessageQueueSelector, SendOptions, SendReceipt, SendStatus } from './client/send.js';
export { ALL_MESSAGES, sql92, tags, type MessageFilter, type Subscription } from './client/subscription.js';

export {
  RocketMQTemplate,
  type BatchEntry,
  type Delay,
  type RequestOptions,
  type TemplateSendOptions,
} from './template/rocketmq-template.js';
export { getRocketMQTemplateToken, InjectRocketMQTemplate } from './template/template.tokens.js';

export type { Duration } from './message/duration.js';
export type { FailureAction, FailurePolicies } from './listener/failure-policy.js';
export {
  Ctx,
  MessageHeaders,
  MessageKey,
  Payload,
  RawMessage,
  Tx,
  type ParameterPipe,
  type PayloadOptions,
} from './listener/handler-parameters.decorator.js';
export type { EnhancerSwitches } from './listener/handler-pipeline.js';
export type { ListenerState } from './listener/listener-container.js';
export type {
  BatchListenerOptions,
  ConsumerTuning,
  DeadLetterListenerOptions,
  ExhaustedHook,
  ListenerOptions,
  ListenerOverrides,
  RetrySchedule,
} from './listener/listener-options.js';
export { RocketMQListenerRegistry, type ListenerInfo } from './listener/listener-registry.js';
export { RejectMessage } from './listener/reject-message.js';
export { RetryLater } from './listener/retry-later.js';
export { ROCKETMQ_CONTEXT_TYPE, RocketMQContext } from './listener/rocketmq-context.js';
export {
  DeadLetterListener,
  OnTag,
  RocketMQBatchListener,
  RocketMQListener,
  RocketMQReplyListener,
  type RocketMQHandler,
} from './listener/rocketmq-listener.decorator.js';
export type {
  StandardSchema,
  StandardSchemaIssue,
  StandardSchemaResult,
} from './listener/standard-schema.js';

export {
  RocketMQEvents,
  type MessageEvent,
  type RocketMQEventMap,
  type RocketMQEventName,
} from './observability/rocketmq-events.js';
export {
  RocketMQHealthIndicator,
  type HealthCheckOptions,
  type RocketMQHealth,
} from './observability/rocketmq-health.indicator.js';

export { RocketMQConnection } from './module/rocketmq-connection.js';
export { RocketMQConnections } from './module/rocketmq-connections.js';
export type {
  ConnectionOptions,
  RocketMQModuleOptions,
  TopicPolicy,
} from './module/rocketmq-module-options.js';
export { RocketMQModule } from './module/rocketmq.module.js';

export { Outbox, type OutboxEntry, type OutboxReceipt } from './outbox/outbox.js';
export type { OutboxSendOptions } from './outbox/outbox-message.js';
export type { OutboxOptions } from './outbox/outbox-options.js';
export {
  clsTransactionHost,
  dataSourceTransactionHost,
  type ClsTransactionHost,
  type TransactionHost,
} from './database/transaction-host.js';

export { Idempotent } from './idempotency/idempotent.decorator.js';
export type { IdempotencyOptions, IdempotentOptions } from './idempotency/idempotency-options.js';
export { RocketMQTransactionChecker } from './transaction/rocketmq-transaction-checker.decorator.js';
export type { BrokerCheckSettings, TransactionOptions } from './transaction/transaction-options.js';
export type { TransactionResult, TransactionSendOptions } from './transaction/transaction-runner.js';

export {
  OutboxMetrics,
  type LaneMetrics,
  type LocalOutboxMetrics,
  type OutboxHealth,
  type OutboxSnapshot,
} from './outbox/outbox-metrics.js';
export {
  ParkedMessages,
  type ParkedFilter,
  type ParkedMessage,
  type ParkedMessageDetail,
  type ParkedPage,
  type ParkedPageRequest,
} from './outbox/parked-messages.js';

export {
  DeadLetters,
  type DeadLetter,
  type DeadLetterPage,
  type DeadLetterPageRequest,
} from './dead-letter/dead-letters.js';
export {
  CommitOutcomeUnknownError,
  runInTransaction,
  type OwnTransactionOptions,
} from './database/own-transaction.js';

export { MemoryBroker } from '../client/memory/memory-broker.js';
export type { MemoryBrokerOptions } from '../client/memory/memory-broker-options.js';
export type {
  BrokerCheck,
  BrokerDelivery,
  BrokerFaults,
  BrokerRequest,
  BrokerRequestKind,
  CheckFault,
  DeliveryFault,
  RequestFault,
  RequestOutcome,
} from '../client/memory/broker-faults.js';
export { FakeClock } from './fake-clock.js';

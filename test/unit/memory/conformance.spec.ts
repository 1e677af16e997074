import { afterAll } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { MemoryBroker } from '../../../lib/client/memory/memory-broker.js';
import { describeConformance } from '../../conformance/conformance.js';

// The times of a test broker, shorter still.
const broker = new MemoryBroker({
  delayLevels: Array.from({ length: 18 }, () => 20),
  transactionTimeoutMs: 30,
  transactionCheckIntervalMs: 20,
  transactionOpBatchMs: 60,
});

afterAll(() => broker.close());

describeConformance({
  name: 'memory',
  createClient: (options) => createRocketMQClient({ engine: 'memory', memory: { broker }, ...options }),
  isBroker5: true,
  laterMs: 60,
});

import { afterAll } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { MemoryBroker } from '../../../lib/client/memory/memory-broker.js';
import { describeConformance } from '../../conformance/conformance.js';

// Every request takes its time, each another one: the same promises hold when calls overlap and answers overtake.
let seed = 42;
const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
const broker = new MemoryBroker({
  delayLevels: Array.from({ length: 18 }, () => 20),
  transactionTimeoutMs: 60,
  transactionCheckIntervalMs: 40,
  transactionOpBatchMs: 60,
  faults: { onRequest: () => ({ delayMs: random() * 3, answerDelayMs: random() * 3 }) },
});

afterAll(() => broker.close());

describeConformance({
  name: 'memory, with a slow broker',
  createClient: (options) => createRocketMQClient({ engine: 'memory', memory: { broker }, ...options }),
  isBroker5: true,
  laterMs: 150,
});

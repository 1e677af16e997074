/**
 * An application with an outbox, in a process of its own; its tables and name server come as arguments. It takes lanes
 * at once and begins to send when it is told `go`. Says `EVENT lanes <n>` and `EVENT settled <n>`.
 */
import { createInterface } from 'node:readline';
import { createRocketMQClient } from '../../lib/client/client-factory.js';
import type { OutboxOptions } from '../../lib/outbox/outbox-options.js';
import { openDataSource } from '../databases.js';
import { gated } from './gated-producer.js';
import { outboxOn } from './backlog.js';

const [type, url = '', nameServer = '', options = '{}'] = process.argv.slice(2);
const dataSource = await openDataSource(type === 'postgres' ? 'postgres' : 'mariadb', url);
const client = createRocketMQClient({ nameServer });
await client.start();
const producer = client.createProducer({ group: 'bench-outbox', compressAboveBytes: Infinity });
await producer.start();
const gate = gated(producer);
const { relay, events } = outboxOn(dataSource, gate.producer, JSON.parse(options) as OutboxOptions);
events.on('outbox.lanes', ({ owned }) => console.log(`EVENT lanes ${owned.length}`));
events.on('outbox.settled', ({ count }) => console.log(`EVENT settled ${count}`));
await relay.start();
console.log('RESULT ready');
for await (const command of createInterface({ input: process.stdin })) {
  if (command === 'go') gate.open();
  console.log('RESULT 0 0');
}

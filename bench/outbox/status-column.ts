import { EntitySchema, type DataSource, type EntityManager } from 'typeorm';
import type { Producer } from '../../lib/client/producer.js';

interface OutboxEvent {
  id: string;
  topic: string;
  payload: string;
  status: 'PENDING' | 'SENT';
  createdAt: Date;
}

/** The table of the outbox as tutorials write it: one row per message, with a status. */
export const outboxEvent = new EntitySchema<OutboxEvent>({
  name: 'OutboxEvent',
  tableName: 'outbox_event',
  columns: {
    id: { type: 'varchar', primary: true, generated: 'uuid' },
    topic: { type: 'varchar', length: 127 },
    payload: { type: 'text' },
    status: { type: 'varchar', length: 10, default: 'PENDING' },
    createdAt: { type: Date, createDate: true },
  },
  indices: [{ columns: ['status', 'createdAt'] }],
});

/** How many events one look finds. */
const LOOK = 100;

/** Creates the table. */
export async function prepareStatusColumn(dataSource: DataSource): Promise<void> {
  await dataSource.synchronize();
}

export async function saveEvent(tx: EntityManager, topic: string, payload: unknown): Promise<void> {
  await tx.save(outboxEvent, { topic, payload: JSON.stringify(payload) } as OutboxEvent);
}

/** Many at once, to have a backlog. */
export async function fillEvents(
  dataSource: DataSource,
  topic: string,
  payload: unknown,
  count: number,
): Promise<void> {
  const text = JSON.stringify(payload);
  for (let written = 0; written < count; written += 500) {
    const events = Array.from({ length: Math.min(500, count - written) }, () => ({ topic, payload: text }));
    await dataSource.getRepository(outboxEvent).insert(events);
  }
}

/**
 * What a scheduled method does in the tutorials, without the pause: look, send one by one, save each as sent. Resolves
 * with the number sent when nothing is pending.
 */
export async function drainEvents(dataSource: DataSource, producer: Producer): Promise<number> {
  const repository = dataSource.getRepository(outboxEvent);
  let sent = 0;
  for (;;) {
    const events = await repository.find({
      where: { status: 'PENDING' },
      order: { createdAt: 'ASC' },
      take: LOOK,
    });
    if (events.length === 0) return sent;
    for (const event of events) {
      await producer.send({ topic: event.topic, body: Buffer.from(event.payload) });
      event.status = 'SENT';
      await repository.save(event);
      sent++;
    }
  }
}

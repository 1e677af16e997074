import { describe, expect, it } from 'vitest';
import { logEvents } from '../../../lib/observability/event-log.js';
import {
  type HandlerTime,
  type MessageEvent,
  RocketMQEvents,
} from '../../../lib/observability/rocketmq-events.js';

const about: MessageEvent & HandlerTime = {
  connection: 'default',
  listener: 'Orders.on',
  group: 'inventory',
  topic: 'orders',
  tag: 'created',
  messageId: 'A1',
  attempt: 2,
  durationMs: 3,
};

function recorded() {
  const lines: string[] = [];
  const write =
    (level: string) =>
    (message: unknown): void => {
      lines.push(`${level} ${String(message)}`);
    };
  const events = new RocketMQEvents();
  const end = logEvents(events, {
    log: write('log'),
    warn: write('warn'),
    error: write('error'),
    debug: write('debug'),
  });
  return { events, lines, end };
}

describe('log lines', () => {
  it('are silent about success', () => {
    const { events, lines } = recorded();
    events.emit('message.received', { ...about, lagMs: 1 });
    events.emit('message.handled', about);
    events.emit('message.sent', { connection: 'default', topic: 'orders', messageId: 'A1', durationMs: 1 });
    events.emit('drain.end', { connection: 'default', abandoned: 0, durationMs: 3 });
    expect(lines).toEqual([]);
  });

  it('name message, topic, group and attempt, and say what to do', () => {
    const { events, lines } = recorded();
    const error = new Error('stock is away');
    events.emit('message.retried', { ...about, error, delayMs: 10_000 });
    events.emit('message.rejected', { ...about, reason: 'unknown product' });
    events.emit('message.exhausted', { ...about, error });
    events.emit('message.dropped', { ...about, reason: 'denied' });
    events.emit('message.timeout', { ...about, timeoutMs: 900_000 });
    expect(lines).toHaveLength(5);
    for (const line of lines) {
      expect(line).toMatch(
        / message=A1 topic=orders tag=created group=inventory attempt=2 listener=Orders.on/,
      );
      expect(line).toMatch(/; \w+/);
      expect(line).not.toContain('\n');
    }
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['warn', 'error', 'error', 'warn', 'warn']);
    expect(lines[0]).toContain('comes again in 10000 ms');
    expect(lines[0]).toContain('error="Error: stock is away"');
    expect(lines[0]).toContain('event-log.spec.ts:');
    expect(lines[1]).toContain('%DLQ%inventory');
  });

  it('say of outbox, inbox and transactions what happened, to what, and what to do', () => {
    const { events, lines } = recorded();
    const error = new Error('away');
    const topic = 'orders';
    const [messageId, group, durationMs] = ['A1', 'shop', 5];
    events.emit('outbox.lanes', { owned: [1, 2], gained: [], lost: [3] });
    events.emit('outbox.backoff', { connection: undefined, topic, rows: 3, delayMs: 200, error });
    events.emit('outbox.parked', { lane: 1, topic, messageId, attempts: 2, dueAt: new Date(0), error });
    events.emit('outbox.parked', { lane: 1, topic, messageId, attempts: 16, dueAt: undefined, error });
    events.emit('outbox.error', { phase: 'settle', error });
    events.emit('inbox.error', { phase: 'sweep', error });
    events.emit('transaction.error', { phase: 'commit', error });
    const ended = { group, topic, messageId, via: 'half-message', durationMs } as const;
    events.emit('transaction.ended', { ...ended, outcome: 'unknown' });
    events.emit('transaction.checked', { group, topic, messageId, resolution: 'unknown', durationMs, error });
    expect(lines.map((line) => line.split(' ')[0])).toEqual([
      'log',
      'warn',
      'warn',
      'error',
      'error',
      'error',
      'warn',
      'warn',
      'error',
    ]);
    for (const line of lines) expect(line).toMatch(/; \w+/);
    for (const line of [lines[2], lines[3], lines[7], lines[8]]) {
      expect(line).toContain('message=A1');
      expect(line).toContain('topic=orders');
    }
    const before = lines.length;
    events.emit('outbox.lanes', { owned: [1], gained: [1], lost: [] });
    events.emit('transaction.ended', { ...ended, outcome: 'committed' });
    events.emit('transaction.ended', { ...ended, outcome: 'rolled-back' });
    expect(lines).toHaveLength(before);
  });

  it('never print endless or many-lined errors', () => {
    const { events, lines } = recorded();
    events.emit('message.retried', { ...about, error: new Error(`${'x'.repeat(5_000)}\nnext`), delayMs: 1 });
    expect(lines[0]?.length).toBeLessThan(1_000);
    expect(lines[0]).not.toContain('\n');
  });

  it('end when told so', () => {
    const { events, lines, end } = recorded();
    end();
    events.emit('message.rejected', { ...about, reason: 'x' });
    expect(lines).toEqual([]);
  });
});

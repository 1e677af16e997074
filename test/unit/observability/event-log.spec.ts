import { describe, expect, it } from 'vitest';
import { logEvents } from '../../../lib/observability/event-log.js';
import { type HandlerTime, type MessageEvent, RocketMQEvents } from '../../../lib/observability/rocketmq-events.js';

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
    expect(lines[1]).toContain('%DLQ%inventory');
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

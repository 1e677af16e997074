import type { LoggerService } from '@nestjs/common';
import type { MessageEvent, RocketMQEventMap, RocketMQEvents } from './rocketmq-events.js';

/** The part of Nest's Logger the lines go to. */
export type EventLogTarget = Required<Pick<LoggerService, 'log' | 'warn' | 'error' | 'debug'>>;

/**
 * Writes the events an operator should see as log lines: what happened, to which message, and what to do. Success
 * is silent. Bodies and headers are never written. Returns the function that ends it.
 */
export function logEvents(events: RocketMQEvents, target: EventLogTarget): () => void {
  const ends = [
    events.on('message.retried', (event) => {
      const when = event.delayMs === undefined ? "by the broker's schedule" : `in ${event.delayMs} ms`;
      target.warn(
        `message failed, comes again ${when} ${about(event)} error=${quote(event.error)}${place(event.error)}; if it keeps failing, correct the handler or throw RejectMessage`,
      );
    }),
    events.on('message.rejected', (event) =>
      target.error(
        `message rejected, now in %DLQ%${event.group} ${about(event)} reason=${quote(event.reason)}${place(event.error)}; correct its producer or the handler, then redrive it`,
      ),
    ),
    events.on('message.exhausted', (event) =>
      target.error(
        `message failed for the last time, now in %DLQ%${event.group} ${about(event)} error=${quote(event.error)}${place(event.error)}; correct the cause, then redrive it`,
        ...stackOf(event.error),
      ),
    ),
    events.on('message.dropped', (event) =>
      target.warn(
        `message acknowledged without effect ${about(event)} reason=${quote(event.reason)}; nothing keeps it, set failures to "reject", or use clustering instead of broadcasting`,
      ),
    ),
    events.on('message.timeout', (event) =>
      target.warn(
        `handler runs longer than ${event.timeoutMs} ms ${about(event)}; find what it waits for, honour ctx.signal, or raise timeout`,
      ),
    ),
    events.on('message.duplicate', (event) => target.debug(`duplicate acknowledged ${about(event)}`)),
    events.on('listener.state', (event) => logListenerState(event, target)),
    events.on('connection.state', ({ connection, state }) => {
      if (state === 'down') {
        target.warn(
          `connection lost connection=${connection}; trying again, check that name server and broker run and are reachable`,
        );
      } else if (state === 'up') target.log(`connected connection=${connection}`);
    }),
    events.on('drain.end', ({ connection, abandoned, durationMs }) => {
      if (abandoned === 0) return;
      target.warn(
        `handlers were given up at shutdown connection=${connection} messages=${abandoned} after=${Math.round(durationMs)}ms; they will be delivered again, raise shutdown.drainTimeout if that matters`,
      );
    }),
    ...logDatabase(events, target),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function logDatabase(events: RocketMQEvents, target: EventLogTarget): (() => void)[] {
  return [
    events.on('outbox.lanes', ({ owned, lost }) => {
      if (lost.length === 0) return;
      target.log(
        `outbox lanes went to other instances lost=${lost.length} owned=${owned.length}; usual when instances start or stop, otherwise find the pause of process or database that outlasted outbox.leaseMs`,
      );
    }),
    events.on('outbox.backoff', ({ connection = 'default', topic, delayMs, error }) =>
      target.warn(
        `outbox waits for the broker topic=${topic} connection=${connection} next=${Math.round(delayMs)}ms error=${quote(error)}; rows are safe in the database, check the broker`,
      ),
    ),
    events.on('outbox.parked', ({ topic, messageId, attempts, dueAt, error }) => {
      const line = `topic=${topic} message=${messageId} attempts=${attempts} error=${quote(error)}`;
      if (dueAt === undefined) {
        target.error(`outbox message is dead ${line}; correct the cause, then replay or discard it`);
      } else target.warn(`outbox message put aside until ${dueAt.toISOString()} ${line}; no action yet`);
    }),
    events.on('outbox.replayed', ({ count }) =>
      target.log(`outbox messages made due again by an operator count=${count}`),
    ),
    events.on('outbox.discarded', ({ count }) =>
      target.warn(`outbox messages deleted by an operator count=${count}`),
    ),
    events.on('outbox.error', ({ phase, error }) =>
      target.error(`outbox cannot ${phase} error=${quote(error)}; trying again, check the database`),
    ),
    events.on('inbox.error', ({ phase, error }) =>
      target.error(`inbox ${phase} failed error=${quote(error)}; trying again, check the database`),
    ),
    events.on('transaction.error', ({ phase, error }) => {
      const next =
        phase === 'sweep'
          ? 'trying again, check the database'
          : 'the broker asks, check that it can be reached';
      target.warn(`transaction ${phase} failed error=${quote(error)}; ${next}`);
    }),
    events.on('transaction.ended', ({ outcome, messageId, topic, group }) => {
      if (outcome !== 'unknown') return;
      target.warn(
        `transaction ended without an answer of the database message=${messageId} topic=${topic} group=${group}; the check of the broker decides about its message, check the database`,
      );
    }),
    events.on('transaction.checked', ({ resolution, group, topic, messageId, error }) => {
      const line = `resolution=${resolution} message=${messageId} topic=${topic} group=${group}`;
      if (error !== undefined) {
        target.error(
          `transaction check failed ${line} error=${quote(error)}; the broker asks again, check the database`,
        );
      } else target.debug(`transaction checked ${line}`);
    }),
  ];
}

function logListenerState(event: RocketMQEventMap['listener.state'], target: EventLogTarget): void {
  const line = `listener=${event.listener} topic=${event.topic} group=${event.group} connection=${event.connection}`;
  if (event.state === 'failed') {
    target.error(
      `listener could not start ${line} error=${quote(event.error)}; correct the cause, then RocketMQListenerRegistry.start("${event.listener}")`,
    );
  } else if (event.state === 'running' || event.state === 'paused')
    target.log(`listener ${event.state} ${line}`);
  else target.debug(`listener ${event.state} ${line}`);
}

function about(event: MessageEvent): string {
  const tag = event.tag === undefined ? '' : ` tag=${event.tag}`;
  return `message=${event.messageId} topic=${event.topic}${tag} group=${event.group} attempt=${event.attempt} listener=${event.listener}`;
}

/** The first place in the stack: enough to find it, and one line. */
function place(error: unknown): string {
  const frame = error instanceof Error ? /^\s+at (.+)$/m.exec(error.stack ?? '')?.[1] : undefined;
  return frame === undefined ? '' : ` at=${quote(frame)}`;
}

/** For the last failure of a message, as Nest's logger takes it. */
function stackOf(error: unknown): [stack?: string] {
  return error instanceof Error && error.stack !== undefined ? [error.stack] : [];
}

const MAX_TEXT = 500;

function quote(value: unknown): string {
  const text = value instanceof Error ? `${value.name}: ${value.message}` : String(value);
  return JSON.stringify(text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);
}

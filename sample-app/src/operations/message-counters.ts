import { Injectable } from '@nestjs/common';
import { RocketMQEvents } from 'nestjs-rocketmq';

/** Since the application started. */
export interface MessageCounts {
  readonly handled: number;
  readonly duplicates: number;
  readonly retried: number;
  readonly deadLettered: number;
}

/** Counts what the library reports, for the page of the operators; GET /metrics hangs on the same events. */
@Injectable()
export class MessageCounters {
  private readonly counts = { handled: 0, duplicates: 0, retried: 0, deadLettered: 0 };

  constructor(events: RocketMQEvents) {
    events.on('message.handled', () => this.counts.handled++);
    events.on('message.duplicate', () => this.counts.duplicates++);
    events.on('message.retried', () => this.counts.retried++);
    events.on('message.rejected', () => this.counts.deadLettered++);
    events.on('message.exhausted', () => this.counts.deadLettered++);
  }

  read(): MessageCounts {
    return { ...this.counts };
  }
}

import { Injectable } from '@nestjs/common';
import { RocketMQEvents } from 'nestjs-rocketmq';

/** Counts what the library reports; a metrics exporter would hang on the same events. */
@Injectable()
export class MessageCounters {
  handled = 0;
  duplicates = 0;
  retried = 0;
  deadLettered = 0;

  constructor(events: RocketMQEvents) {
    events.on('message.handled', () => this.handled++);
    events.on('message.duplicate', () => this.duplicates++);
    events.on('message.retried', () => this.retried++);
    events.on('message.rejected', () => this.deadLettered++);
    events.on('message.exhausted', () => this.deadLettered++);
  }
}

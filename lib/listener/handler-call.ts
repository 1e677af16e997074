import type { Clock } from '../client/clock.js';
import type { ReceivedMessage } from '../message/message.js';
import type { HandleObservation } from '../observability/instrumentation.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { BoundPipeline } from './handler-pipeline.js';
import type { HandlerWatch, Watched } from './handler-watch.js';
import type { ListenerSettings } from './listener-settings.js';
import type { OutcomeReporter } from './message-outcome.js';
import type { RocketMQContext } from './rocketmq-context.js';

/** What the runners of one consumer share. */
export interface RunnerServices {
  readonly clock: Clock;
  readonly watch: HandlerWatch;
  readonly events: Pick<RocketMQEvents, 'instrumentation'>;
}

/** Lets an instrumentation, if there is one, watch a call that is about to begin. */
export function observe(
  { settings: { identity, broadcasting }, services }: Pick<CallOwner<unknown>, 'settings' | 'services'>,
  messages: readonly ReceivedMessage[],
): HandleObservation | undefined {
  const { instrumentation } = services.events;
  if (instrumentation === undefined) return undefined;
  const { connection, listener, group, batch = false } = identity;
  return instrumentation.handle({ connection, listener, group, broadcasting, batch, messages });
}

/** The runner that made a call; it says what becomes of messages whose handler hangs. */
export interface CallOwner<R> {
  readonly settings: ListenerSettings;
  readonly reporter: OutcomeReporter;
  readonly services: RunnerServices;
  giveUp(call: HandlerCall<R>, error: Error): Promise<R>;
}

/** A handler at work, under watch. */
export class HandlerCall<R> implements Watched {
  bound: BoundPipeline | undefined;
  /** Its time was up; the messages were answered, and what it says now comes too late. */
  givenUp = false;
  deadline: number;

  constructor(
    private readonly owner: CallOwner<R>,
    readonly context: RocketMQContext,
    readonly startedAt: number,
    private readonly answer: (result: Promise<R>) => void,
  ) {
    this.deadline = startedAt + owner.settings.timeoutMs;
    owner.services.watch.add(this);
  }

  expire(): void {
    const { settings, reporter, services } = this.owner;
    for (const message of this.context.messages) reporter.timeout(message);
    this.context.abortForTimeout();
    if (settings.ordered) {
      this.deadline += settings.timeoutMs;
      return;
    }
    this.givenUp = true;
    services.watch.remove(this);
    this.answer(this.owner.giveUp(this, new Error(`The handler ran longer than ${settings.timeoutMs} ms`)));
  }
}

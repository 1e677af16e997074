import { setMaxListeners } from 'node:events';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { pause, type Clock } from '../clock.js';
import { Answer, refusal } from './broker-answer.js';
import type { BrokerRequest, RequestFault } from './broker-faults.js';
import type { BrokerSettings } from './memory-broker-options.js';

export interface RequestLimits {
  /** Milliseconds on the client's clock. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The way of one client to the broker. A real one is a socket; here the broker acts within the call, and everything
 * that can go wrong on a network is what the fault script says.
 */
export class BrokerConnection {
  readonly clientId: string;
  readonly #settings: BrokerSettings;
  readonly #clock: Clock;
  #cut = false;

  /** @param clock of the client, for its deadlines */
  constructor(clientId: string, settings: BrokerSettings, clock: Clock) {
    this.clientId = clientId;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** From now on nothing of this client reaches the broker. */
  cut(): void {
    this.#cut = true;
  }

  get isUp(): boolean {
    return !this.#cut && this.#settings.faults.unavailable?.() !== true;
  }

  /** @throws RocketMQError `CONNECTION_FAILED` when the broker cannot be reached now */
  assertUp(what: string): void {
    if (!this.isUp) throw unreachable(what);
  }

  /**
   * Asks the broker.
   *
   * @param act what the broker does, at once and completely
   */
  async request<T>(
    request: Omit<BrokerRequest, 'clientId'>,
    act: () => T | Promise<T>,
    limits: RequestLimits,
  ): Promise<T> {
    const { signal } = limits;
    if (signal?.aborted) throw aborted(request.kind);
    this.assertUp(request.kind);
    const fault = this.#settings.faults.onRequest?.({ ...request, clientId: this.clientId });
    if (fault === undefined) return act();
    return this.#withDeadline(request.kind, this.#perform(request.kind, act, fault), limits);
  }

  async #perform<T>(what: string, act: () => T | Promise<T>, fault: RequestFault): Promise<T> {
    const { clock } = this.#settings;
    if (fault.delayMs !== undefined) await pause(clock, fault.delayMs);
    switch (fault.outcome) {
      case 'refused':
        throw unreachable(what);
      case 'busy':
        throw refusal(
          'BROKER_BUSY',
          Answer.SYSTEM_BUSY,
          `The in-process broker is busy (${what}). Try again a little later.`,
          true,
        );
      case 'request-lost':
        return never();
      default:
        this.assertUp(what);
    }
    const answer = await act();
    if (fault.answerDelayMs !== undefined) await pause(clock, fault.answerDelayMs);
    if (fault.outcome === 'cut') throw unreachable(what);
    if (fault.outcome === 'answer-lost') return never();
    return answer;
  }

  #withDeadline<T>(what: string, work: Promise<T>, { timeoutMs, signal }: RequestLimits): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => end(() => reject(timedOut(what, timeoutMs))), timeoutMs);
      const onAbort = (): void => end(() => reject(aborted(what)));
      const end = (settle: () => void): void => {
        this.#clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      if (signal !== undefined) {
        // One signal may end any number of requests; Node warns of more than ten listeners.
        setMaxListeners(0, signal);
        signal.addEventListener('abort', onAbort, { once: true });
      }
      work.then(
        (answer) => end(() => resolve(answer)),
        (error: unknown) => end(() => reject(error as Error)),
      );
    });
  }
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

function unreachable(what: string): RocketMQError {
  return new RocketMQError(
    'CONNECTION_FAILED',
    `The in-process broker cannot be reached (${what}). Try again when it is back.`,
    { retryable: true },
  );
}

function timedOut(what: string, timeoutMs: number): RocketMQError {
  return new RocketMQError(
    'TIMEOUT',
    `The in-process broker did not answer within ${timeoutMs} ms (${what}). It may have acted; send again with the same message id, or look.`,
    { retryable: true },
  );
}

export function aborted(what: string): RocketMQError {
  return new RocketMQError('ABORTED', `The caller gave up (${what}). Call again if it is still wanted.`);
}

/** Something that runs between listeners and producers: outbox relay, transaction checks, sweeps. */
export interface LifecyclePart {
  readonly name: string;
  /** Problems that make a start pointless, one line each; asked before anything starts. */
  check?(): Promise<readonly string[]>;
  /** @throws what makes the application not start */
  start(): Promise<void>;
  /** Ends within the time, finished or not. */
  stop(timeoutMs: number): Promise<void>;
}

export const LIFECYCLE_PARTS = Symbol('nestjs-rocketmq:lifecycle-parts');

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
/** What a feature's boot check threw, as a line for the list of problems. */
export async function problemsOf(feature: string, check: () => Promise<void>): Promise<readonly string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [`${feature}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/**
 * One reading for all gauges of a scrape: they ask at the same time and share the answer. An answer that does not
 * come in time, or is an error, is told and counts as none. A reading that is late goes on, and the next scrape waits
 * for it again instead of starting another: a database that hangs costs one connection, not one per scrape.
 */
export class SharedReading<T> {
  private current: Promise<T | undefined> | undefined;
  private running: Promise<T> | undefined;

  constructor(
    private readonly read: () => Promise<T>,
    private readonly timeoutMs: number,
    private readonly onError: (error: unknown) => void,
  ) {}

  get(): Promise<T | undefined> {
    this.current ??= this.ask().finally(() => {
      this.current = undefined;
    });
    return this.current;
  }

  private async ask(): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const error = new Error(`no answer within ${this.timeoutMs} ms`);
      timer = setTimeout(() => reject(error), this.timeoutMs);
    });
    try {
      this.running ??= this.read().finally(() => {
        this.running = undefined;
      });
      return await Promise.race([this.running, late]);
    } catch (error) {
      this.onError(error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

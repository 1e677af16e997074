/**
 * One reading for all gauges of a scrape: they ask at the same time and share the answer. An answer that does not
 * come in time, or is an error, is told and counts as none.
 */
export class SharedReading<T> {
  private current: Promise<T | undefined> | undefined;

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
      return await Promise.race([this.read(), late]);
    } catch (error) {
      this.onError(error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

import type { Socket } from 'node:net';

interface Parcel {
  /** Undefined: the end of the stream. */
  readonly bytes: Buffer | undefined;
  readonly arrived: number;
}

/** As much as waits in here at most before the sender is slowed down. */
const MOST_WAITING = 4 * 1024 * 1024;

/** One direction of a connection. What came first leaves first, however the delay changes. */
export class DelayedPipe {
  private readonly waiting: Parcel[] = [];
  private waitingBytes = 0;
  private delayMs = 0;
  private held = false;
  private blocked = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
  ) {
    from.on('data', (bytes) => this.take(bytes));
    from.once('end', () => this.take(undefined));
    to.on('drain', () => {
      this.blocked = false;
      this.pass();
    });
  }

  shape(shape: { readonly delayMs: number; readonly held: boolean }): void {
    this.delayMs = shape.delayMs;
    this.held = shape.held;
    this.pass();
  }

  close(): void {
    clearTimeout(this.timer);
    this.waiting.length = 0;
    this.held = true;
  }

  private take(bytes: Buffer | undefined): void {
    this.waiting.push({ bytes, arrived: performance.now() });
    this.waitingBytes += bytes?.length ?? 0;
    if (this.waitingBytes > MOST_WAITING) this.from.pause();
    this.pass();
  }

  private pass(): void {
    clearTimeout(this.timer);
    const now = performance.now();
    let next: Parcel | undefined;
    while (!this.held && !this.blocked && (next = this.waiting[0]) !== undefined) {
      const dueIn = next.arrived + this.delayMs - now;
      if (dueIn > 0) {
        this.timer = setTimeout(() => this.pass(), dueIn);
        break;
      }
      this.waiting.shift();
      this.waitingBytes -= next.bytes?.length ?? 0;
      this.write(next.bytes);
    }
    if (this.waitingBytes < MOST_WAITING / 2 && this.from.isPaused()) this.from.resume();
  }

  private write(bytes: Buffer | undefined): void {
    if (this.to.destroyed) return;
    if (bytes === undefined) this.to.end();
    else if (!this.to.write(bytes)) this.blocked = true;
  }
}

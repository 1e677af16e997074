/** One handler call for one message, as a member of a group reports it. */
export interface HandlerCall {
  readonly member: string;
  /** `broker:queueId` */
  readonly queue: string;
  readonly offset: number;
  /** Which message, as its producer numbered it. */
  readonly message: number;
  /** Microseconds on the machine's monotonic clock, which all processes share. */
  readonly begin: number;
  /** Just before the answer; or when its process was killed. */
  readonly end: number;
  /** Whether it came to its end. */
  readonly done: boolean;
}

interface QueueState {
  /** The call that ended last. */
  last: HandlerCall | undefined;
  /** Highest offset that was handled to its end. */
  highest: number;
}

/** Reports of a member travel through a pipe; until then they may be behind those of others. */
const REPORTING_DELAY_US = 5_000_000;
/** Examples of violations kept. */
const EXAMPLES = 5;

/**
 * What became of the messages in one group: each handled at least once, and for an orderly group never two handlers
 * in a queue at the same time, and nothing handled for the first time behind something later.
 */
export class GroupLedger {
  readonly handled = new Set<number>();
  /** Calls beyond the first for the same message. */
  again = 0;
  overlaps = 0;
  outOfOrder = 0;
  readonly examples: string[] = [];
  readonly #orderly: boolean;
  readonly #queues = new Map<string, QueueState>();
  /** Not judged yet. */
  #calls: HandlerCall[] = [];
  /** Begun and not ended, by member. */
  readonly #open = new Map<string, Map<number, Omit<HandlerCall, 'end' | 'done'>>>();

  constructor(orderly: boolean) {
    this.#orderly = orderly;
  }

  begun(call: Omit<HandlerCall, 'end' | 'done'>): void {
    const open = this.#open.get(call.member) ?? new Map<number, Omit<HandlerCall, 'end' | 'done'>>();
    this.#open.set(call.member, open.set(call.message, call));
  }

  ended(member: string, message: number, end: number): void {
    const call = this.#open.get(member)?.get(message);
    if (call === undefined) throw new Error(`${member} ended message ${message}, which it never began`);
    this.#open.get(member)?.delete(message);
    if (this.handled.has(message)) this.again++;
    this.handled.add(message);
    this.#calls.push({ ...call, end, done: true });
  }

  /** The member is dead: what it was doing has ended with it. */
  died(member: string, end: number): void {
    for (const call of this.#open.get(member)?.values() ?? [])
      this.#calls.push({ ...call, end, done: false });
    this.#open.delete(member);
  }

  /** Looks at everything that began long enough ago for all reports to be here. */
  judge(now: number): void {
    if (!this.#orderly) {
      this.#calls = [];
      return;
    }
    const oldestOpen = Math.min(
      ...Array.from(this.#open.values(), (open) =>
        Math.min(...Array.from(open.values(), ({ begin }) => begin)),
      ),
    );
    const until = Math.min(now - REPORTING_DELAY_US, oldestOpen);
    const ripe = this.#calls.filter(({ begin }) => begin < until).sort((a, b) => a.begin - b.begin);
    this.#calls = this.#calls.filter(({ begin }) => begin >= until);
    for (const call of ripe) this.#judgeCall(call);
  }

  /** Everything, at the end. */
  judgeAll(): void {
    this.judge(Infinity);
  }

  #judgeCall(call: HandlerCall): void {
    const state = this.#queues.get(call.queue) ?? { last: undefined, highest: -1 };
    this.#queues.set(call.queue, state);
    const { last } = state;
    if (last !== undefined && call.begin < last.end) {
      this.overlaps++;
      this.#note(`${describe(last)} and ${describe(call)} at the same time in queue ${call.queue}`);
    }
    // What was handled before may come again after a crash; nothing may be left out on the way.
    if (call.offset > state.highest + 1) {
      this.outOfOrder++;
      this.#note(`${describe(call)} in queue ${call.queue} right after offset ${state.highest}`);
    }
    if (call.done) state.highest = Math.max(state.highest, call.offset);
    if (last === undefined || call.end > last.end) state.last = call;
  }

  #note(example: string): void {
    if (this.examples.length < EXAMPLES) this.examples.push(example);
  }
}

function describe({ member, offset }: HandlerCall): string {
  return `${member} with offset ${offset}`;
}

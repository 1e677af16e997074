import { GroupLedger } from './group-ledger.js';
import { joinInProcess } from './doomed-member.js';
import { join, microseconds, type MemberTask } from './member.js';

/** Every so many members is a process of its own, which is killed when its time has come. */
const DOOMED_EVERY = 3;
const MIN_MEMBERS = 1;
const MAX_MEMBERS = 4;
/** Errors kept as examples; a killed neighbour is no reason for any. */
const EXAMPLES = 5;

interface LivingMember {
  readonly name: string;
  readonly doomed: boolean;
  leave(): Promise<void>;
}

/** A consumer group whose members come and go. */
export class ChurningGroup {
  readonly ledger: GroupLedger;
  readonly name: string;
  joined = 0;
  left = 0;
  killed = 0;
  errors = 0;
  readonly errorExamples: string[] = [];
  readonly #task: Omit<MemberTask, 'name'>;
  #members: LivingMember[] = [];

  constructor(name: string, task: Omit<MemberTask, 'name'>) {
    this.name = name;
    this.#task = task;
    this.ledger = new GroupLedger(task.mode === 'orderly');
  }

  get members(): number {
    return this.#members.length;
  }

  /** One member comes or goes, as chance has it. */
  async change(): Promise<void> {
    const full = this.#members.length >= MAX_MEMBERS;
    const empty = this.#members.length <= MIN_MEMBERS;
    if (!full && (empty || Math.random() < 0.5)) await this.join();
    else await this.#leave();
  }

  async join(): Promise<void> {
    const number = ++this.joined;
    const name = `${this.name}-${number}`;
    const task: MemberTask = { ...this.#task, name };
    const report = (line: string): void => this.#note(name, line);
    if (number % DOOMED_EVERY === 0) {
      const member = await joinInProcess(task, report);
      const leave = async (): Promise<void> => {
        const end = microseconds();
        await member.kill();
        this.ledger.died(name, end);
        this.killed++;
      };
      this.#members.push({ name, doomed: true, leave });
    } else {
      const member = await join(task, report);
      const leave = async (): Promise<void> => {
        await member.leave();
        this.left++;
      };
      this.#members.push({ name, doomed: false, leave });
    }
  }

  /** The end of the run: nobody is killed any more than at any other time. */
  async close(): Promise<void> {
    const members = this.#members;
    this.#members = [];
    await Promise.all(members.map((member) => member.leave()));
  }

  async #leave(): Promise<void> {
    const [leaving] = this.#members.splice(Math.floor(Math.random() * this.#members.length), 1);
    await leaving?.leave();
  }

  #note(member: string, line: string): void {
    const [kind, ...rest] = line.split(' ');
    if (kind === 'b') {
      const [message, queue, offset, begin] = rest;
      this.ledger.begun({
        member,
        queue: queue ?? '',
        message: Number(message),
        offset: Number(offset),
        begin: Number(begin),
      });
    } else if (kind === 'e') {
      this.ledger.ended(member, Number(rest[0]), Number(rest[1]));
    } else if (kind === 'x') {
      this.errors++;
      if (this.errorExamples.length < EXAMPLES) this.errorExamples.push(`${member}: ${rest.join(' ')}`);
    }
  }
}

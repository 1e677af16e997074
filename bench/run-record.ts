import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Area } from './report.js';

const FILE = fileURLToPath(new URL('../.rocketmq/bench/run.json', import.meta.url));

/** A part of a run that is finished. */
interface Part {
  readonly areas: readonly Area[];
  readonly seconds: number;
}

interface Recorded {
  /** What figures of one table have in common: machine, versions, numbers of rounds. */
  readonly conditions: string;
  readonly parts: Record<string, Part>;
}

/**
 * The tables of a run, on disk as soon as each is measured: a run that was interrupted goes on with `--resume`
 * where it was, and areas that were measured one after the other end up in one document.
 */
export class RunRecord {
  private constructor(
    private readonly recorded: Recorded,
    private readonly progress: (line: string) => void,
  ) {}

  /** Undefined, and why is told, when the run to go on with was made under other conditions. */
  static open(conditions: string, resume: boolean, progress: (line: string) => void): RunRecord | undefined {
    const before = resume ? read() : undefined;
    if (before === undefined || before.conditions === conditions)
      return new RunRecord(before ?? { conditions, parts: {} }, progress);
    progress(`the run to go on with was another: ${before.conditions}`);
    progress(
      `this one: ${conditions}. Their figures do not belong together; leave --resume out to begin anew`,
    );
    return undefined;
  }

  /** Measures a part, unless the run that is gone on with has it. */
  async part(name: string, measure: () => Promise<readonly Area[]>): Promise<readonly Area[]> {
    const known = this.recorded.parts[name];
    if (known !== undefined) {
      this.progress(`${name}: measured before the interruption`);
      return known.areas;
    }
    const started = performance.now();
    const areas = await measure();
    const seconds = Math.round((performance.now() - started) / 1000);
    this.recorded.parts[name] = { areas, seconds };
    this.progress(`${name}: ${seconds} s`);
    mkdirSync(dirname(FILE), { recursive: true });
    writeFileSync(FILE, JSON.stringify(this.recorded));
    return areas;
  }

  /** Every table there is, in the order given by the first words of the parts' names. */
  areas(order: readonly string[]): readonly Area[] {
    const place = (name: string): number => order.indexOf(name.split(' ')[0] ?? '');
    return Object.entries(this.recorded.parts)
      .toSorted(([a], [b]) => place(a) - place(b))
      .flatMap(([, { areas }]) => areas);
  }

  /** How long all parts took, seconds. */
  get seconds(): number {
    return Object.values(this.recorded.parts).reduce((sum, { seconds }) => sum + seconds, 0);
  }
}

function read(): Recorded | undefined {
  let text: string;
  try {
    text = readFileSync(FILE, 'utf8');
  } catch {
    return undefined; // nothing was interrupted
  }
  // JSON writes NaN, a figure nobody could measure, as null.
  return JSON.parse(text, (_key, value: unknown) => (value === null ? NaN : value)) as Recorded;
}

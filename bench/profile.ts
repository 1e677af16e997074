import { mkdirSync, writeFileSync } from 'node:fs';
import { Session, type Profiler } from 'node:inspector';
import { promisify } from 'node:util';

const FOLDER = new URL('../docs/performance/', import.meta.url);
/** Microseconds between samples. */
const INTERVAL = 200;
const LINES = 25;
/** Waiting, and the profiler's own work. */
const NOT_OURS = new Set(['(idle)', 'dispatch (native)']);

/** Takes CPU profiles of our own rounds, and of nothing else: neither set-up nor peers are in them. */
export class RoundProfiler {
  private readonly session = new Session();
  private readonly selfMicros = new Map<string, number>();
  private nesting = 0;

  private constructor() {
    this.session.connect();
  }

  static async start(): Promise<RoundProfiler> {
    const profiler = new RoundProfiler();
    await profiler.post('Profiler.enable');
    await profiler.post('Profiler.setSamplingInterval', { interval: INTERVAL });
    return profiler;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.nesting++ === 0) await this.post('Profiler.start');
    try {
      return await work();
    } finally {
      if (--this.nesting === 0) {
        const { profile } = (await this.post('Profiler.stop')) as Profiler.StopReturnType;
        this.add(profile);
      }
    }
  }

  /** The shares of what was profiled since the last call, as a page; undefined when nothing of ours ran. */
  page(part: string, facts: readonly string[]): string | undefined {
    const total = [...this.selfMicros.values()].reduce((sum, micros) => sum + micros, 0);
    const lines = [...this.selfMicros]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, LINES)
      .map(([name, micros]) => `| ${((micros * 100) / total).toFixed(1)} | ${name} |`);
    this.selfMicros.clear();
    if (total === 0) return undefined;
    return [
      `# CPU profile: ${part}\n`,
      `Written by \`npm run bench -- ${part.split(' ')[0]} --profile\`: our own rounds only, time without anything to do left out. Shares of the rest, by the function itself, without what it called.\n`,
      ...facts.map((fact) => `- ${fact}`),
      '',
      '| % | function |',
      '| --- | --- |',
      ...lines,
      '',
    ].join('\n');
  }

  write(part: string, facts: readonly string[]): void {
    const page = this.page(part, facts);
    if (page === undefined) return;
    mkdirSync(FOLDER, { recursive: true });
    const name = `profile-${part.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.md`;
    writeFileSync(new URL(name, FOLDER), page);
  }

  private add({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): void {
    const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
    for (const [index, id] of samples.entries()) {
      const name = names.get(id);
      if (name === undefined || NOT_OURS.has(name)) continue;
      // A delta is the time since the sample before: it belongs to that one's successor, near enough.
      this.selfMicros.set(name, (this.selfMicros.get(name) ?? 0) + Math.max(0, timeDeltas[index] ?? 0));
    }
  }

  private post(method: string, parameters?: object): Promise<unknown> {
    const post = promisify((callback: (error: Error | null, result?: object) => void) =>
      this.session.post(method, parameters, callback),
    );
    return post();
  }
}

function nameOf({ functionName, url }: { readonly functionName: string; readonly url: string }): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return /^\(.*\)$/.test(name) ? name : `${name} (native)`;
  const file = url
    .replace(/^.*\/node_modules\//, '')
    .replace(/^file:\/\/.*?\/(?=(?:lib|bench|migrations)\/)/, '');
  return `\`${name}\` ${file}`;
}

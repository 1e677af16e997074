import { setTimeout as delay } from 'node:timers/promises';
import { Prng } from '../../test/simulation/prng.js';
import { openProgress } from './application/progress.js';
import { prepareRun } from './application/prepare.js';
import { startChaosProcess } from './application/chaos-process.js';
import { startWireObserver } from './application/wire-observer.js';
import { Conductor } from './conductor.js';
import { ROLES, type Place, type Progress, type ProgressReader, type Role } from './contract.js';
import type { FaultKind } from './faults/fault.js';
import { Fleet } from './fleet.js';
import { judge } from './judge/judge.js';
import { recovery } from './recovery.js';
import type { RunFigures } from './report.js';
import { RunLog } from './run-log.js';
import { saveTables } from './save-tables.js';
import { startSurroundings, type Surroundings } from './surroundings/surroundings.js';

export interface RunOptions {
  readonly run: string;
  readonly minutes: number;
  readonly seed: number;
  /** Transactions begun per second, over all producers. */
  readonly rate: number;
  readonly kinds: readonly FaultKind[];
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
}

const PROCESSES: Readonly<Record<Role, number>> = { producer: 2, relay: 2, consumer: 3 };
const PROGRESS_EVERY_MS = 10_000;
/** Brokers keep the queue locks of a dead consumer for a minute; then a backlog has to be handled. */
const LAST_CATCH_UP_MS = 300_000;
const POLL_MS = 500;
/** At most; on a busy machine it is never as quick as it should be. */
const WARM_UP_MS = 30_000;
/** An orderly stop of a broker takes half of it. */
const INTERRUPTED_FAULT_MS = 30_000;

/** Owns everything a run starts. */
export class Run {
  private surroundings: Surroundings | undefined;
  private fleet: Fleet | undefined;
  private readonly log: RunLog;
  private playing: Promise<RunFigures | undefined> | undefined;
  private readonly closing: (() => Promise<void>)[] = [];

  constructor(private readonly options: RunOptions) {
    this.log = new RunLog(options.folder);
  }

  /** Nothing of what was started is left, in whatever state the run is. */
  async stop(): Promise<void> {
    await this.fleet?.killAll();
    // Interrupted: whoever starts or stops a server right now ends that first.
    await Promise.race([
      this.playing?.catch(() => {}),
      delay(INTERRUPTED_FAULT_MS, undefined, { ref: false }),
    ]);
    for (const close of this.closing.splice(0)) await close().catch(() => {});
    await this.surroundings?.stop();
    this.log.close();
  }

  /** @returns undefined when it was interrupted */
  play(): Promise<RunFigures | undefined> {
    this.playing ??= this.playNow();
    return this.playing;
  }

  private async playNow(): Promise<RunFigures | undefined> {
    const { options, log } = this;
    const { signal, folder, run, seed, print } = options;
    const surroundings = await startSurroundings({
      name: run,
      random: new Prng(seed + 1),
      signal,
      onProgress: (line) => print(`  ${line}`),
    });
    this.surroundings = surroundings;
    const place: Place = { ...surroundings.direct, folder, run };
    await prepareRun(place);
    const observer = await startWireObserver(place);
    this.closing.push(() => observer.close());
    const progress = openProgress(surroundings.direct.databaseUrl);
    this.closing.push(() => progress.close());
    const fleet = new Fleet({
      start: startChaosProcess,
      surroundings: { ...surroundings.behindProxies, folder, run },
      rate: options.rate / PROCESSES.producer,
      log,
      random: new Prng(seed + 2),
    });
    this.fleet = fleet;
    await this.assemble(fleet);
    print(`  ${fleet.describe()} work; histories in ${folder}`);
    await recovery({ progress, limitMs: WARM_UP_MS, signal });

    const begin = performance.now();
    const conductor = new Conductor({ ...options, fleet, surroundings, progress, log });
    const lines = new AbortController();
    const talking = this.talk(begin, conductor, progress, lines.signal);
    let caughtUp: boolean;
    try {
      await conductor.run();
      if (signal.aborted) return undefined;
      caughtUp = await this.finish(fleet, surroundings, progress);
    } finally {
      lines.abort();
      await talking;
    }
    const minutes = (performance.now() - begin) / 60_000;
    print('the histories are judged');
    await observer.caughtUp();
    await observer.close();
    const verdict = await judge(place);
    const { records } = conductor;
    return { kinds: options.kinds, records, verdict, violations: fleet.violations, caughtUp, minutes };
  }

  private async assemble(fleet: Fleet): Promise<void> {
    // Those who handle and send first, so that nothing piles up.
    for (const role of ROLES.toReversed()) {
      await Promise.all(Array.from({ length: PROCESSES[role] }, () => fleet.add(role)));
      this.options.signal.throwIfAborted();
    }
  }

  /** No more faults: everything has to come in order by itself. @returns whether it did */
  private async finish(fleet: Fleet, surroundings: Surroundings, progress: ProgressReader): Promise<boolean> {
    this.log.write('faults end');
    this.options.print('no more faults; what is left is handled');
    await surroundings.restore();
    await fleet.settled();
    for (const role of ROLES) while (fleet.count(role) < PROCESSES[role]) await fleet.add(role);
    await fleet.leaveAll('producer');
    const caughtUp = await this.everythingHandled(progress);
    this.log.write(caughtUp ? 'everything handled' : 'not everything handled');
    if (!caughtUp) await saveTables(surroundings.direct.databaseUrl, this.options.folder).catch(() => {});
    await Promise.all([fleet.leaveAll('relay'), fleet.leaveAll('consumer')]);
    return caughtUp;
  }

  private async everythingHandled(progress: ProgressReader): Promise<boolean> {
    const deadline = performance.now() + LAST_CATCH_UP_MS;
    let before: Progress | undefined;
    while (performance.now() < deadline && !this.options.signal.aborted) {
      const now = await progress.read();
      // Handlers write messages of their own: nothing new between two looks either.
      if (
        now?.oldestUnhandledMs === 0 &&
        now.committed === before?.committed &&
        before.oldestUnhandledMs === 0
      )
        return true;
      before = now;
      await delay(POLL_MS);
    }
    return false;
  }

  /** A line now and then, until the signal. */
  private async talk(
    begin: number,
    conductor: Conductor,
    progress: ProgressReader,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      await delay(PROGRESS_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const now = await progress.read();
      const seconds = ((performance.now() - begin) / 1000).toFixed(0).padStart(5);
      const flow = now
        ? `committed ${now.committed}  handled ${now.handled}  oldest ${(now.oldestUnhandledMs / 1000).toFixed(1)} s`
        : 'the database does not answer';
      const active = conductor.active.join(' + ');
      this.options.print(`${seconds} s  ${flow}  faults ${conductor.injected}${active ? `: ${active}` : ''}`);
    }
  }
}

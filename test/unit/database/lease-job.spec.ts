import { describe, expect, it } from 'vitest';
import { LeaseJob, type JobLease } from '../../../lib/database/lease-job.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const EVERY = 600_000;
/** The first look is at a random moment within this. */
const FIRST = 10_000;

/** The lease table, on the test's clock. */
function leaseTable(clock: FakeClock): JobLease {
  let held: { readonly owner: string; readonly until: number } | undefined;
  return {
    acquire: (_name, owner, ms) => {
      const free = held === undefined || held.until <= clock.monotonic() || held.owner === owner;
      if (free) held = { owner, until: clock.monotonic() + ms };
      return Promise.resolve(free);
    },
  };
}

describe('a job of one instance at a time', () => {
  const start = (clock: FakeClock, lease: JobLease, owner: string, work: () => Promise<void>) => {
    const errors: unknown[] = [];
    const job = new LeaseJob({
      name: 'sweep',
      owner,
      lease,
      clock,
      everyMs: EVERY,
      work,
      onError: (error) => errors.push(error),
    });
    job.start();
    return { job, errors };
  };

  it('is done soon after the start, and then on schedule', async () => {
    const clock = new FakeClock();
    const runs: number[] = [];
    const { job } = start(clock, leaseTable(clock), 'a', async () => {
      runs.push(clock.monotonic());
    });
    await clock.advance(FIRST);
    expect(runs).toHaveLength(1);
    await clock.advance(3 * EVERY);
    expect(runs).toHaveLength(4);
    expect(runs.slice(1).map((at, n) => Math.round(at - (runs[n] ?? 0)))).toEqual([EVERY, EVERY, EVERY]);
    await job.stop();
    await clock.advance(3 * EVERY);
    expect(runs).toHaveLength(4);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is done once per period, however many instances there are, and by another when one is gone', async () => {
    const clock = new FakeClock();
    const lease = leaseTable(clock);
    const runs: string[] = [];
    const jobs = ['a', 'b', 'c'].map(
      (owner) => start(clock, lease, owner, async () => void runs.push(owner)).job,
    );
    await clock.advance(FIRST);
    expect(runs).toHaveLength(1);
    const [first] = runs;
    await jobs['abc'.indexOf(first ?? '')]?.stop();
    await clock.advance(3 * EVERY);
    const later = runs.slice(1);
    expect(later.length).toBeGreaterThanOrEqual(2);
    expect(later).not.toContain(first);
    expect(runs.length).toBeLessThanOrEqual(4);
    await Promise.all(jobs.map((job) => job.stop()));
  });

  it('goes on after an error, and tells it', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const failure = new Error('the database is away');
    const { job, errors } = start(clock, leaseTable(clock), 'a', () => {
      runs += 1;
      return runs === 1 ? Promise.reject(failure) : Promise.resolve();
    });
    await clock.advance(FIRST + EVERY);
    expect(errors).toEqual([failure]);
    expect(runs).toBe(2);
    await job.stop();
  });
});

import { describe, expect, it } from 'vitest';
import { SharedReading } from '../../../lib/metrics/shared-reading.js';

/** Readings that end when the test says so. */
function readings(timeoutMs: number) {
  const open: Deferred[] = [];
  const errors: unknown[] = [];
  const reading = new SharedReading(
    () => {
      const made = deferred();
      open.push(made);
      return made.promise;
    },
    timeoutMs,
    (error) => errors.push(error),
  );
  return { reading, open, errors };
}

interface Deferred {
  readonly promise: Promise<number>;
  readonly resolve: (value: number) => void;
  readonly reject: (error: unknown) => void;
}

function deferred(): Deferred {
  let resolve: (value: number) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<number>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

describe('a reading that the gauges of a scrape share', () => {
  it('is asked once for all of them, and again for the next scrape', async () => {
    const { reading, open } = readings(60_000);
    const scrape = Promise.all([reading.get(), reading.get()]);
    open[0]?.resolve(1);
    expect(await scrape).toEqual([1, 1]);
    const next = reading.get();
    open[1]?.resolve(2);
    expect(await next).toBe(2);
    expect(open).toHaveLength(2);
  });

  it('that is late is waited for again by the next scrapes, and never started beside itself', async () => {
    const { reading, open, errors } = readings(1);
    for (let scrape = 0; scrape < 3; scrape++) expect(await reading.get()).toBeUndefined();
    expect(errors).toHaveLength(3);
    expect(open).toHaveLength(1);

    open[0]?.resolve(1);
    await open[0]?.promise;
    await reading.get();
    expect(open).toHaveLength(2);
  });

  it('that fails is told, and tried again', async () => {
    const { reading, open, errors } = readings(60_000);
    const failing = reading.get();
    open[0]?.reject(new Error('no connection'));
    expect(await failing).toBeUndefined();
    expect(errors).toMatchObject([{ message: 'no connection' }]);
    const next = reading.get();
    open[1]?.resolve(2);
    expect(await next).toBe(2);
  });
});

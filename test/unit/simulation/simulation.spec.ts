import { describe, expect, it } from 'vitest';
import {
  huntingGround,
  KNOWN_POINTS,
  randomSeeds,
  runSeed,
  singleFaults,
  type Seed,
} from '../../simulation/explore.js';
import { hunt, infect, MUTANTS } from '../../simulation/mutants.js';
import { REGRESSIONS } from '../../simulation/regressions.js';
import { SMALL_SCENARIOS } from '../../simulation/scenario.js';
import { SITUATIONS } from '../../simulation/situations.js';

/** What breaks a law, by seed; `npm run simulate -- --replay SEED` shows how. */
async function violationsOf(
  seeds: Iterable<Seed> | AsyncIterable<Seed>,
): Promise<Record<Seed, readonly string[]>> {
  const found: Record<Seed, readonly string[]> = {};
  for await (const seed of seeds) {
    const { violations } = await runSeed(seed);
    if (violations.length > 0) found[seed] = violations;
  }
  return found;
}

async function* everyNth(n: number, seeds: AsyncIterable<Seed>): AsyncGenerator<Seed> {
  let index = 0;
  for await (const seed of seeds) if (index++ % n === 0) yield seed;
}

// A small part of `npm run simulate`, which goes through everything.
describe('the laws hold', () => {
  it.each(Object.keys(SMALL_SCENARIOS))('when nothing goes wrong: %s', async (name) => {
    expect(await violationsOf([`${name}:1:-`])).toEqual({});
  });

  it.each(Object.keys(SMALL_SCENARIOS))('whatever one call comes to: %s', async (name) => {
    expect(await violationsOf(everyNth(47, singleFaults([name])))).toEqual({});
  });

  it('in scenarios made up by chance', async () => {
    expect(await violationsOf(randomSeeds(1, 60))).toEqual({});
  });

  it.each(Object.keys(SITUATIONS))('in corners of the code: %s', async (name) => {
    expect(await violationsOf([`${name}:1:-`, `${name}:2:random`, `${name}:3:random`])).toEqual({});
  });

  it.each(Object.keys(REGRESSIONS))('where they were broken once: %s', async (name) => {
    expect(await violationsOf([`${name}:1:-`, `${name}:40:-`])).toEqual({});
  });
});

describe('a seed', () => {
  it('gives the same run, step by step', async () => {
    const runs = [1, 2].map(() => runSeed('random:7:random', { trace: true, history: true }));
    const [first, second] = await Promise.all(runs);
    expect(second).toEqual(first);
    expect(first?.history).toContain('commits');
  });

  it('names its scenario, or says which there are', () => {
    expect(() => runSeed('nowhere:1:-')).toThrow(/There is no scenario "nowhere"/);
  });
});

describe('the simulator', () => {
  it('crosses most of the border of a process in a few runs', async () => {
    const reached = new Set<string>();
    for (const name of [SMALL_SCENARIOS, SITUATIONS, REGRESSIONS].flatMap(Object.keys)) {
      for (const point of (await runSeed(`${name}:1:-`)).coverage.reached.keys()) reached.add(point);
    }
    expect([...reached].filter((point) => !KNOWN_POINTS.includes(point))).toEqual([]);
    expect(reached.size).toBeGreaterThan(KNOWN_POINTS.length * 0.85);
  });
});

describe('wrong code is noticed:', () => {
  it.each(MUTANTS)('$name', async (mutant) => {
    const { seed } = await hunt(mutant, seedsFor(mutant.shownBy));
    expect(seed).toBeDefined();
  });

  it('and right code is back afterwards', async () => {
    expect(await violationsOf(MUTANTS.map(({ shownBy }) => shownBy))).toEqual({});
  });

  it('a mutant of code that is gone says so', () => {
    const [part] = MUTANTS[0]!.parts;
    const mutant = { ...MUTANTS[0]!, parts: [{ ...part!, member: 'gone' }] };
    expect(() => infect(mutant)).toThrow(/finds no gone any more/);
  });
});

async function* seedsFor(shownBy: Seed): AsyncGenerator<Seed> {
  yield shownBy;
  const [name = '', , faults = '-'] = shownBy.split(':');
  for (let seed = 1; seed <= 80; seed++) yield `${name}:${seed}:${faults}`;
  let looked = 0;
  for await (const seed of huntingGround(1, 100)) {
    if (looked++ >= 600) return;
    yield seed;
  }
}

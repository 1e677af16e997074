import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Conductor } from '../../../scripts/chaos/conductor.js';
import { FAULT_KINDS } from '../../../scripts/chaos/faults/kinds.js';
import type { FaultKind, Target } from '../../../scripts/chaos/faults/fault.js';
import type { Fleet } from '../../../scripts/chaos/fleet.js';
import { RunLog } from '../../../scripts/chaos/run-log.js';
import type { Surroundings } from '../../../scripts/chaos/surroundings/surroundings.js';

describe('the conductor of chaos', () => {
  let folder: string;
  let log: RunLog;
  let active: Set<FaultKind>;
  let conflicts: number;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'nestjs-rocketmq-conductor-'));
    log = new RunLog(folder);
    active = new Set();
    conflicts = 0;
  });
  afterEach(() => {
    log.close();
    rmSync(folder, { recursive: true });
  });

  function kind(name: string, touches: readonly Target[], background = false): FaultKind {
    const self: FaultKind = {
      name,
      touches,
      background,
      strike: async (scene) => {
        const shared = [...active].some((other) => other.touches.some((target) => touches.includes(target)));
        if (shared || active.has(self)) conflicts += 1;
        active.add(self);
        scene.announce({ hits: name });
        await scene.wait(background ? 3_600_000 : 5);
        active.delete(self);
      },
    };
    return self;
  }

  const conduct = (kinds: readonly FaultKind[], signal = new AbortController().signal): Conductor =>
    new Conductor({
      kinds,
      // Time is over at once: what is left is that every kind has its turn.
      minutes: 1e-9,
      seed: 1,
      fleet: {} as Fleet,
      surroundings: {} as Surroundings,
      progress: { read: () => Promise.resolve(undefined), close: () => Promise.resolve() },
      log,
      signal,
    });

  it('injects every kind, none beside one it has something in common with, and ends the long ones', async () => {
    const kinds = [
      kind('a', ['broker']),
      kind('b', ['broker', 'name server']),
      kind('c', ['broker']),
      kind('d', ['database']),
      kind('e', []),
      kind('idle', ['idle transaction'], true),
    ];
    const conductor = conduct(kinds);
    await conductor.run();
    expect(conductor.records.map((record) => record.kind).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'idle']);
    expect(conflicts).toBe(0);
    expect(conductor.active).toEqual([]);
    expect(active.size).toBe(0);
    // Before it happens.
    expect(readFileSync(join(folder, 'faults.jsonl'), 'utf8')).toContain('"hits":"idle"');
  });

  it('a fault that cannot be injected ends the run, and is not kept quiet', async () => {
    const broken: FaultKind = {
      name: 'broken',
      touches: [],
      strike: () => Promise.reject(new Error('not today')),
    };
    await expect(conduct([broken, kind('idle', [], true)]).run()).rejects.toThrow('not today');
    expect(active.size).toBe(0);
  });

  it('an interrupted run ends at once', async () => {
    await conduct([kind('a', [])], AbortSignal.abort()).run();
    expect(active.size).toBe(0);
  });

  it('knows 26 kinds, each with a name of its own', () => {
    expect(new Set(FAULT_KINDS.map(({ name }) => name)).size).toBe(26);
  });
});

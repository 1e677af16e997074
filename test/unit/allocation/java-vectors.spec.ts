import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allocateAveragely } from '../../../lib/client/allocation/averagely.js';
import { allocateAveragelyByCircle } from '../../../lib/client/allocation/averagely-by-circle.js';
import { allocateByConfig } from '../../../lib/client/allocation/by-config.js';
import { allocateByMachineRoom } from '../../../lib/client/allocation/by-machine-room.js';
import { allocateConsistentHash } from '../../../lib/client/allocation/consistent-hash.js';
import { allocateMachineRoomNearby } from '../../../lib/client/allocation/machine-room-nearby.js';
import type { AllocateStrategy } from '../../../lib/client/allocate-strategy.js';
import type { MessageQueue } from '../../../lib/message/message.js';

interface Case {
  readonly strategy: string;
  readonly options: {
    readonly virtualNodes?: number;
    readonly rooms?: string[];
    readonly inner?: string;
    readonly assigned?: number[];
  };
  readonly queues: string[];
  readonly members: string[];
  readonly allocated: Record<string, number[]>;
}

// Written by test/interop/allocation/AllocationVectors.java.
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/allocation.json', import.meta.url), 'utf8'),
) as { topic: string; cases: Case[] };

function strategyOf({ strategy, options, members }: Case, queues: MessageQueue[]): AllocateStrategy {
  switch (strategy) {
    case 'AVG':
      return allocateAveragely();
    case 'AVG_BY_CIRCLE':
      return allocateAveragelyByCircle();
    case 'CONSISTENT_HASH':
      return allocateConsistentHash(options.virtualNodes);
    case 'MACHINE_ROOM':
      return allocateByMachineRoom(options.rooms ?? []);
    case 'CONFIG':
      return allocateByConfig((options.assigned ?? []).map((index) => queues[index]!));
    default:
      return allocateMachineRoomNearby(
        strategyOf({ strategy: options.inner!, options: {}, queues: [], members, allocated: {} }, queues),
        {
          brokerDeployIn: ({ brokerName }) => brokerName.split('@')[0]!,
          consumerDeployIn: (clientId) => (members.indexOf(clientId) % 2 === 0 ? 'room1' : 'room3'),
        },
      );
  }
}

const byStrategy = new Map<string, Case[]>();
for (const vector of vectors.cases) {
  byStrategy.set(vector.strategy, [...(byStrategy.get(vector.strategy) ?? []), vector]);
}

describe('allocation equals the Java client', () => {
  it.each([...byStrategy.keys()])('%s', (name) => {
    for (const vector of byStrategy.get(name) ?? []) {
      const queues = vector.queues.map((text) => {
        const colon = text.lastIndexOf(':');
        return {
          topic: vectors.topic,
          brokerName: text.slice(0, colon),
          queueId: Number(text.slice(colon + 1)),
        };
      });
      const strategy = strategyOf(vector, queues);
      expect(strategy.name).toBe(vector.strategy);
      const allocated = Object.fromEntries(
        Object.keys(vector.allocated).map((clientId) => [
          clientId,
          strategy
            .allocate('vectors', clientId, queues, vector.members)
            .map((queue) =>
              queues.findIndex((q) => q.brokerName === queue.brokerName && q.queueId === queue.queueId),
            ),
        ]),
      );
      expect(allocated, JSON.stringify(vector.options)).toEqual(vector.allocated);
    }
  });

  it('covers every strategy', () => {
    expect([...byStrategy.keys()].sort()).toEqual([
      'AVG',
      'AVG_BY_CIRCLE',
      'CONFIG',
      'CONSISTENT_HASH',
      'MACHINE_ROOM',
      'MACHINE_ROOM_NEARBY-AVG',
      'MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE',
      'MACHINE_ROOM_NEARBY-CONSISTENT_HASH',
    ]);
  });

  it('sorts members as Java does, by UTF-16 code units', () => {
    for (const { members } of vectors.cases) expect([...members].sort()).toEqual(members);
  });
});

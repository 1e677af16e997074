import { RocketMQError } from '../../message/rocketmq-error.js';
import type { MessageQueue } from '../../message/message.js';
import type { AllocateStrategy } from '../allocate-strategy.js';
import { memberIndex } from './member-index.js';

/** Tells where brokers and members run. (Java: `AllocateMachineRoomNearby.MachineRoomResolver`.) */
export interface MachineRoomResolver {
  /** The room of the broker that holds the queue. */
  brokerDeployIn(queue: MessageQueue): string;
  /** The room of a member. */
  consumerDeployIn(clientId: string): string;
}

/**
 * Queues go to members in their own machine room, shared out by the inner strategy; queues of a room without
 * members are shared among all. (Java: `AllocateMachineRoomNearby`.)
 */
export function allocateMachineRoomNearby(
  strategy: AllocateStrategy,
  resolver: MachineRoomResolver,
): AllocateStrategy {
  return {
    name: `MACHINE_ROOM_NEARBY-${strategy.name}`,
    allocate(group, clientId, queues, clientIds) {
      if (memberIndex(clientId, queues, clientIds) < 0) return [];
      const queuesByRoom = groupByRoom(queues, (queue) => resolver.brokerDeployIn(queue));
      const membersByRoom = groupByRoom(clientIds, (id) => resolver.consumerDeployIn(id));
      const ownRoom = resolver.consumerDeployIn(clientId);
      const result: MessageQueue[] = [];
      const nearby = queuesByRoom.get(ownRoom);
      if (nearby) {
        result.push(...strategy.allocate(group, clientId, nearby, membersByRoom.get(ownRoom) ?? []));
      }
      // Java keeps the rooms in a TreeMap: sorted by UTF-16 code units.
      for (const room of [...queuesByRoom.keys()].sort()) {
        if (membersByRoom.has(room)) continue;
        result.push(...strategy.allocate(group, clientId, queuesByRoom.get(room) ?? [], clientIds));
      }
      return result;
    },
  };
}

function groupByRoom<T>(items: readonly T[], roomOf: (item: T) => string): Map<string, T[]> {
  const rooms = new Map<string, T[]>();
  for (const item of items) {
    const room = roomOf(item);
    if (room === '') {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        'The machine room resolver gave an empty name. Name a room for every broker and every client id.',
      );
    }
    const members = rooms.get(room);
    if (members) members.push(item);
    else rooms.set(room, [item]);
  }
  return rooms;
}

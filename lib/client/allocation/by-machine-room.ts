import type { AllocateStrategy } from '../allocate-strategy.js';
import { memberIndex } from './member-index.js';

/**
 * Shares out the queues of brokers in the given machine rooms only; a broker shows its room in its name,
 * `room@broker`. Queues elsewhere get no consumer. (Java: `AllocateMessageQueueByMachineRoom`.)
 */
export function allocateByMachineRoom(machineRooms: Iterable<string>): AllocateStrategy {
  const rooms = new Set(machineRooms);
  return {
    name: 'MACHINE_ROOM',
    allocate(_group, clientId, queues, clientIds) {
      const index = memberIndex(clientId, queues, clientIds);
      if (index < 0) return [];
      const here = queues.filter(({ brokerName }) => rooms.has(roomOf(brokerName)));
      const share = Math.floor(here.length / clientIds.length);
      const mine = here.slice(index * share, (index + 1) * share);
      // What is left over comes after all shares, one for each of the first members.
      const extra = here[share * clientIds.length + index];
      return extra === undefined ? mine : [...mine, extra];
    },
  };
}

/** Not a room's name when the broker's name does not have exactly one `@` inside. */
function roomOf(brokerName: string): string {
  const parts = brokerName.split('@');
  return parts.length === 2 && parts[1] !== '' ? (parts[0] ?? '') : '';
}

import { createHash } from 'node:crypto';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { MessageQueue } from '../../message/message.js';
import type { AllocateStrategy } from '../allocate-strategy.js';
import { memberIndex } from './member-index.js';

/** Places on the ring per member. Source: AllocateMessageQueueConsistentHash. */
const DEFAULT_VIRTUAL_NODES = 10;

/**
 * Members and queues lie on a ring of hashes; a queue belongs to the next member. A member that joins or leaves
 * moves few queues; the shares are less even. (Java: `AllocateMessageQueueConsistentHash`.)
 *
 * @param virtualNodes places on the ring per member; more make the shares more even. Default 10.
 */
export function allocateConsistentHash(virtualNodes: number = DEFAULT_VIRTUAL_NODES): AllocateStrategy {
  if (!Number.isInteger(virtualNodes) || virtualNodes < 0) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `Consistent hashing got ${virtualNodes} virtual nodes. Give a whole number, 1 or more.`,
    );
  }
  return {
    name: 'CONSISTENT_HASH',
    allocate(_group, clientId, queues, clientIds) {
      if (memberIndex(clientId, queues, clientIds) < 0) return [];
      const ring = new HashRing(clientIds, virtualNodes);
      return queues.filter((queue) => ring.ownerOf(ringKey(queue)) === clientId);
    },
  };
}

/** Java hashes what `MessageQueue.toString()` gives. */
function ringKey({ topic, brokerName, queueId }: MessageQueue): string {
  return `MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`;
}

/** (Java: `ConsistentHashRouter`.) */
class HashRing {
  readonly #owners = new Map<number, string>();
  readonly #places: number[];

  constructor(clientIds: readonly string[], virtualNodes: number) {
    for (const clientId of clientIds) {
      for (let replica = 0; replica < virtualNodes; replica++) {
        this.#owners.set(ringHash(`${clientId}-${replica}`), clientId);
      }
    }
    this.#places = [...this.#owners.keys()].sort((a, b) => a - b);
  }

  ownerOf(key: string): string | undefined {
    const hash = ringHash(key);
    const place = this.#places.find((candidate) => candidate >= hash) ?? this.#places[0];
    return place === undefined ? undefined : this.#owners.get(place);
  }
}

/** The first four bytes of the MD5 digest, unsigned. (Java: `ConsistentHashRouter.MD5Hash`.) */
function ringHash(key: string): number {
  return createHash('md5').update(key, 'utf8').digest().readUInt32BE(0);
}

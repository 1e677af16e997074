import type { Clock } from '../../lib/client/clock.js';
import { BrokerConnection, type RequestLimits } from '../../lib/client/memory/broker-connection.js';
import type { BrokerRequest, RequestFault } from '../../lib/client/memory/broker-faults.js';
import { MemoryBroker } from '../../lib/client/memory/memory-broker.js';
import type { MessageToStore, StoredMessage } from '../../lib/client/memory/stored-message.js';
import { RocketMQError } from '../../lib/message/rocketmq-error.js';
import type { FaultKind } from './faults.js';
import { never, type Machine } from './machine.js';
import type { World } from './world.js';

export interface SimBrokerOptions {
  readonly queuesPerTopic: number;
  readonly duplicateRate: number;
  readonly checkIntervalMs: number;
  /** Called when a message becomes visible. */
  readonly onStored: (message: StoredMessage) => void;
  /** Called when a process begins to send. */
  readonly onSend: (machine: Machine, messageIds: readonly string[]) => void;
  /** Whether it takes none of these now. */
  readonly refuses: (messageIds: readonly string[]) => boolean;
}

/** The in-process broker, with every process at the end of a wire of its own. */
export class SimBroker extends MemoryBroker {
  /** Decided for the request that is about to be made. */
  #nextFault: RequestFault | undefined;
  readonly #machines = new Map<string, Machine>();
  readonly onSend: SimBrokerOptions['onSend'];
  readonly refuses: SimBrokerOptions['refuses'];

  constructor(
    readonly world: World,
    options: SimBrokerOptions,
  ) {
    super({
      clock: world.clock,
      random: world.random.next,
      queuesPerTopic: options.queuesPerTopic,
      transactionTimeoutMs: options.checkIntervalMs,
      transactionCheckIntervalMs: options.checkIntervalMs,
      transactionOpBatchMs: 200,
      transactionCheckMax: 1_000,
      faults: {
        unavailable: () => this.away,
        onRequest: () => {
          const fault = this.#nextFault;
          this.#nextFault = undefined;
          return fault;
        },
        // Copies of what is retried would multiply.
        onDeliver: ({ attempt }) =>
          attempt === 1 && !world.healed && world.random.chance(options.duplicateRate)
            ? { copies: 2 }
            : undefined,
        onCheck: () => {
          if (world.healed || !world.random.chance(options.duplicateRate * 2)) return undefined;
          return { copies: world.random.pick([0, 2]) };
        },
      },
    });
    this.onSend = options.onSend;
    this.refuses = options.refuses;
    const append = this.store.append.bind(this.store);
    this.store.append = (message: MessageToStore): StoredMessage => {
      const stored = append(message);
      options.onStored(stored);
      return stored;
    };
  }

  /** While true nobody reaches it. */
  away = false;

  /** A client with this name will belong to the machine. */
  expect(instanceName: string, machine: Machine): void {
    this.#machines.set(`memory@${instanceName}`, machine);
  }

  /** @internal */
  override connect(clientId: string, clock: Clock, onDisconnect: () => void): BrokerConnection {
    const inner = super.connect(clientId, clock, onDisconnect);
    const machine = this.#machines.get(clientId);
    if (machine === undefined) throw new Error(`Nobody expects ${clientId}`);
    machine.onCrash(() => this.disconnect(clientId));
    return new SimConnection(inner, machine, this);
  }

  /** @internal */
  request<T>(inner: () => Promise<T>, fault: RequestFault | undefined): Promise<T> {
    this.#nextFault = fault;
    const answer = inner();
    this.#nextFault = undefined; // the broker was away, and nobody asked
    return answer;
  }
}

/** Of a kind of request. Made once: counting by a string just put together costs more. */
const points = new Map<string, string>();

function pointOf(kind: string): string {
  const known = points.get(kind);
  if (known !== undefined) return known;
  const point = `broker.${kind}`;
  points.set(kind, point);
  return point;
}

const SEND_KINDS: ReadonlySet<string> = new Set(['send', 'send-batch']);

class SimConnection extends BrokerConnection {
  readonly #inner: BrokerConnection;
  readonly #machine: Machine;
  readonly #broker: SimBroker;

  constructor(inner: BrokerConnection, machine: Machine, broker: SimBroker) {
    super(inner.clientId, broker.settings, machine.clock);
    this.#inner = inner;
    this.#machine = machine;
    this.#broker = broker;
  }

  override cut(): void {
    this.#inner.cut();
  }

  override get isUp(): boolean {
    return this.#inner.isUp;
  }

  override async request<T>(
    request: Omit<BrokerRequest, 'clientId'>,
    act: () => T | Promise<T>,
    limits: RequestLimits,
  ): Promise<T> {
    const machine = this.#machine;
    const { world } = machine;
    if (!machine.alive) return never();
    const isSend = SEND_KINDS.has(request.kind);
    if (isSend) this.#broker.onSend(machine, request.messageIds ?? []);
    if (machine.frozen) await machine.awake();
    const fault = world.cross(machine, pointOf(request.kind));
    if (fault === 'crash-before') {
      machine.crash();
      return never();
    }
    if (fault === 'freeze-before') {
      machine.freeze(world.freezeMs());
      await machine.awake();
    }
    if (fault === 'refuse' || (isSend && this.#broker.refuses(request.messageIds ?? []))) {
      throw new RocketMQError('TOPIC_NOT_FOUND', 'The topic does not exist at the moment.');
    }
    try {
      return await this.#broker.request(
        () => this.#inner.request(request, act, limits),
        this.#faultOf(request.kind, fault),
      );
    } finally {
      if (fault === 'crash-after') machine.crash();
      if (fault === 'freeze-after') machine.freeze(world.freezeMs());
      if (!machine.alive || machine.frozen) await machine.awake();
    }
  }

  #faultOf(kind: string, fault: FaultKind | undefined): RequestFault | undefined {
    const { world } = this.#machine;
    switch (fault) {
      case 'fail-before':
        return { outcome: 'refused' };
      case 'fail-after':
        return { outcome: 'cut' };
      case 'lost-before':
        return { outcome: 'request-lost' };
      case 'lost-after':
        return { outcome: 'answer-lost' };
      case 'busy':
        return { outcome: 'busy' };
      case 'slow-before':
        return { delayMs: world.slowMs() };
      case 'slow-after':
        return { answerDelayMs: world.slowMs() };
      default: {
        if (kind === 'pull' || !world.random.chance(0.3)) return undefined;
        const ms = world.random.next() * 8;
        return world.random.chance(0.5) ? { delayMs: ms } : { answerDelayMs: ms };
      }
    }
  }
}

import { randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from './process-identity.js';
import { StackError } from './stack-error.js';

/** Ports a part of the stack needs, relative to the one it is known by. */
export interface PortBlock {
  /** For messages: 'name server', 'broker-a'. */
  readonly owner: string;
  /** Tried first. */
  readonly preferred: number;
  /** Chosen by the user: nothing else will do. */
  readonly fixed?: number | undefined;
  /** @default [0] */
  readonly offsets?: readonly number[];
}

/** The broker listens on its port, for the VIP channel two below, for its slave one above. */
export const BROKER_PORT_OFFSETS = [-2, 0, 1] as const;

/** Below the range from which systems take the ports of outgoing connections. */
const SPARE_PORTS = { from: 20_000, to: 30_000, attempts: 200 } as const;

/** True when nobody listens there, on any address of this machine. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Between choosing a port and listening on it seconds pass, in which another stack could choose the same. A small
 * file per port, owned by a living process, tells it not to.
 */
export class PortReservations {
  private readonly held = new Set<number>();

  constructor(private readonly folder = join(tmpdir(), 'nestjs-rocketmq-ports')) {}

  tryReserve(port: number): boolean {
    if (this.held.has(port)) return false;
    const self = identify(process.pid) ?? { pid: process.pid, startedAt: '' };
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        // Every user of the machine may reserve, whatever the umask says.
        if (mkdirSync(this.folder, { recursive: true }) !== undefined) chmodSync(this.folder, 0o1777);
        writeFileSync(join(this.folder, String(port)), JSON.stringify(self), { flag: 'wx' });
        this.held.add(port);
        return true;
      } catch (error) {
        // Only a file of somebody alive is a reason to give way: the folder is a courtesy, not a requirement.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
        const owner = this.owner(port);
        if (owner && isAlive(owner)) return false;
        this.remove(port);
      }
    }
    return false;
  }

  release(ports: Iterable<number>): void {
    for (const port of ports) {
      if (this.held.delete(port)) this.remove(port);
    }
  }

  private owner(port: number): ProcessIdentity | undefined {
    try {
      return JSON.parse(readFileSync(join(this.folder, String(port)), 'utf8')) as ProcessIdentity;
    } catch {
      return undefined;
    }
  }

  private remove(port: number): void {
    try {
      unlinkSync(join(this.folder, String(port)));
    } catch {
      // Gone already, or not ours to remove.
    }
  }
}

export const portReservations = new PortReservations();

export interface ChosenPorts {
  /** In the order of the blocks. */
  readonly ports: readonly number[];
  /** Every port taken, offsets included. */
  readonly all: readonly number[];
  /** One line per block that did not get the port it would have liked. */
  readonly notes: readonly string[];
}

/**
 * Chooses and reserves a port for every block.
 * @throws StackError when a fixed port is taken.
 */
export async function choosePorts(
  blocks: readonly PortBlock[],
  reservations: PortReservations = portReservations,
): Promise<ChosenPorts> {
  const ports: number[] = [];
  const all: number[] = [];
  const notes: string[] = [];
  const take = async (base: number, offsets: readonly number[]): Promise<number | undefined> => {
    const taken: number[] = [];
    for (const port of offsets.map((offset) => base + offset)) {
      if (!reservations.tryReserve(port)) {
        reservations.release(taken);
        return port;
      }
      taken.push(port);
      if (!(await isPortFree(port))) {
        reservations.release(taken);
        return port;
      }
    }
    ports.push(base);
    all.push(...taken);
    return undefined;
  };
  try {
    for (const block of blocks) {
      const offsets = block.offsets ?? [0];
      const wanted = block.fixed ?? block.preferred;
      const conflict = await take(wanted, offsets);
      if (conflict === undefined) continue;
      if (block.fixed !== undefined) {
        throw new StackError(
          `Port ${conflict}, which the ${block.owner} needs${conflict === wanted ? '' : ` besides ${wanted}`}, is in use. ` +
            'Stop what listens there, name another port, or name none and a free one is chosen.',
        );
      }
      await takeSpare(block.owner, offsets, take);
      notes.push(`port ${conflict} is in use: the ${block.owner} gets ${ports.at(-1)}`);
    }
  } catch (error) {
    reservations.release(all);
    throw error;
  }
  return { ports, all, notes };
}

async function takeSpare(
  owner: string,
  offsets: readonly number[],
  take: (base: number, offsets: readonly number[]) => Promise<number | undefined>,
): Promise<void> {
  for (let attempt = 0; attempt < SPARE_PORTS.attempts; attempt++) {
    if ((await take(randomInt(SPARE_PORTS.from, SPARE_PORTS.to), offsets)) === undefined) return;
  }
  throw new StackError(
    `No free port for the ${owner} was found between ${SPARE_PORTS.from} and ${SPARE_PORTS.to}. Name one yourself.`,
  );
}

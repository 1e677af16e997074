import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  BROKER_PORT_OFFSETS,
  choosePorts,
  isPortFree,
  PortReservations,
} from '../../../scripts/stack/ports.js';

let folder: string;
let reservations: PortReservations;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ports-'));
  reservations = new PortReservations(folder);
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true, force: true });
});

/** Listens on a port of the system's choice, or on the one given. */
async function occupy(port = 0, host = '127.0.0.1'): Promise<number> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return (server.address() as { port: number }).port;
}

/** A port nobody listens on, with as much room around it as a broker needs. */
async function freePort(): Promise<number> {
  const { ports, all } = await choosePorts(
    [{ owner: 'test', preferred: await occupy(), offsets: BROKER_PORT_OFFSETS }],
    reservations,
  );
  reservations.release(all);
  return ports[0]!;
}

describe('a port', () => {
  it('is not free when somebody listens on one address of this machine only', async () => {
    const port = await occupy();
    expect(await isPortFree(port)).toBe(false);
    await new Promise((resolve) => servers.pop()!.close(resolve));
    expect(await isPortFree(port)).toBe(true);
  });
});

describe('choosing ports', () => {
  it('takes the usual port when it is free, and says nothing', async () => {
    const usual = await freePort();
    const chosen = await choosePorts([{ owner: 'name server', preferred: usual }], reservations);
    expect(chosen).toEqual({ ports: [usual], all: [usual], notes: [] });
  });

  it('takes another port when the usual one is in use, and says which', async () => {
    const taken = await occupy();
    const chosen = await choosePorts([{ owner: 'name server', preferred: taken }], reservations);
    expect(chosen.ports[0]).not.toBe(taken);
    expect(await isPortFree(chosen.ports[0]!)).toBe(true);
    expect(chosen.notes).toEqual([`port ${taken} is in use: the name server gets ${chosen.ports[0]}`]);
  });

  it.each([-2, 1])('moves a broker when the port it needs at %i is in use', async (offset) => {
    const usual = await freePort();
    await occupy(usual + offset);
    const chosen = await choosePorts(
      [{ owner: 'broker-a', preferred: usual, offsets: BROKER_PORT_OFFSETS }],
      reservations,
    );
    expect(chosen.ports[0]).not.toBe(usual);
    expect(chosen.notes[0]).toContain(`port ${usual + offset} is in use`);
    expect(chosen.all).toEqual(BROKER_PORT_OFFSETS.map((it) => chosen.ports[0]! + it));
  });

  it('refuses when the port the user fixed is in use, naming it, and keeps nothing reserved', async () => {
    const taken = await occupy();
    const free = await freePort();
    await expect(
      choosePorts(
        [
          { owner: 'name server', preferred: 9876, fixed: free },
          { owner: 'broker-a', preferred: 10911, fixed: taken },
        ],
        reservations,
      ),
    ).rejects.toThrow(new RegExp(`Port ${taken}, which the broker-a needs, is in use`));
    expect(readdirSync(folder)).toEqual([]);
  });

  it('gives two parts with the same wish different ports', async () => {
    const usual = await freePort();
    const block = { owner: 'broker', preferred: usual, offsets: BROKER_PORT_OFFSETS };
    const { all } = await choosePorts([block, block], reservations);
    expect(new Set(all).size).toBe(6);
  });

  it('gives two stacks that start at the same time different ports', async () => {
    const usual = await freePort();
    const [one, other] = await Promise.all(
      [new PortReservations(folder), new PortReservations(folder)].map((each) =>
        choosePorts([{ owner: 'name server', preferred: usual }], each),
      ),
    );
    expect(one!.ports[0]).not.toBe(other!.ports[0]);
  });
});

describe('a reservation', () => {
  it('of a process that has died does not count', () => {
    writeFileSync(join(folder, '12345'), JSON.stringify({ pid: process.pid, startedAt: 'another life' }));
    expect(reservations.tryReserve(12_345)).toBe(true);
  });

  it('that was released can be had again', () => {
    expect(reservations.tryReserve(12_345)).toBe(true);
    expect(new PortReservations(folder).tryReserve(12_345)).toBe(false);
    reservations.release([12_345]);
    expect(new PortReservations(folder).tryReserve(12_345)).toBe(true);
  });
});

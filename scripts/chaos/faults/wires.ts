import { SERVERS, type ServerName } from '../surroundings/surroundings.js';
import { between, type FaultKind, type Scene } from './fault.js';

/** Every connection, or about half of them. */
const share = ({ random }: Scene): number => (random.chance(0.6) ? 1 : 0.5);

const cut = (server: ServerName): FaultKind => ({
  name: `connections to the ${server} cut`,
  touches: [server],
  async strike(scene) {
    const wire = scene.surroundings.wires[server];
    const part = share(scene);
    const refuseMs = scene.random.chance(0.5) ? between(scene, 0.5, scene.short ? 3 : 12) : 0;
    scene.announce({ cut: server, share: part, refuseMs });
    wire.set({ refuse: refuseMs > 0, share: part });
    try {
      wire.cut(part);
      await scene.wait(refuseMs);
    } finally {
      wire.clear();
    }
  },
});

const delayed = (server: ServerName): FaultKind => ({
  name: `connections to the ${server} delayed`,
  touches: [server],
  async strike(scene) {
    const wire = scene.surroundings.wires[server];
    const upMs = between(scene, 0.2, 2);
    // One direction alone tells late answers from late requests.
    const downMs = scene.random.chance(0.5) ? between(scene, 0.2, 2) : 0;
    const ms = scene.short ? between(scene, 3, 5) : between(scene, 4, 15);
    const part = share(scene);
    scene.announce({ delay: server, upMs, downMs, share: part, ms });
    wire.set({ upMs, downMs, share: part });
    try {
      await scene.wait(ms);
    } finally {
      wire.clear();
    }
  },
});

/** Open, and silent. Afterwards what was on its way arrives, or the connection turns out to be dead. */
const stalled = (server: ServerName): FaultKind => ({
  name: `connections to the ${server} stalled`,
  touches: [server],
  async strike(scene) {
    const wire = scene.surroundings.wires[server];
    const ms = scene.short ? between(scene, 4, 7) : between(scene, 5, 30);
    const dies = scene.random.chance(0.5);
    const part = share(scene);
    scene.announce({ stall: server, share: part, ms, afterwards: dies ? 'cut' : 'everything arrives' });
    wire.set({ stalled: true, share: part });
    try {
      await scene.wait(ms);
    } finally {
      if (dies) wire.cut();
      wire.clear();
    }
  },
});

export const WIRE_FAULTS: readonly FaultKind[] = [
  ...SERVERS.map(cut),
  ...SERVERS.map(delayed),
  ...SERVERS.map(stalled),
];

import { between, type FaultKind } from './fault.js';

const brokerRestarted: FaultKind = {
  name: 'broker restarted (orderly)',
  touches: ['broker'],
  async strike(scene) {
    const { broker } = scene.surroundings;
    scene.announce({ stop: 'broker' });
    await broker.stop();
    scene.announce({ start: 'broker' });
    await broker.start();
  },
};

const brokerKilled: FaultKind = {
  name: 'broker killed (SIGKILL) and started',
  touches: ['broker'],
  async strike(scene) {
    const { broker } = scene.surroundings;
    scene.announce({ kill: 'broker' });
    await broker.kill();
    await scene.wait(between(scene, 0, scene.short ? 2 : 15));
    scene.announce({ start: 'broker' });
    await broker.start();
  },
};

const nameServerRestarted: FaultKind = {
  name: 'name server restarted',
  // The broker comes back to the route through it.
  touches: ['name server', 'broker'],
  async strike(scene) {
    const { nameServer } = scene.surroundings;
    const crash = scene.random.chance(0.5);
    scene.announce({ [crash ? 'kill' : 'stop']: 'name server' });
    if (crash) await nameServer.kill();
    else await nameServer.stop();
    await scene.wait(between(scene, 0, scene.short ? 2 : 20));
    scene.announce({ start: 'name server' });
    await nameServer.start();
  },
};

const databaseRestarted: FaultKind = {
  name: 'database restarted (fast shutdown)',
  touches: ['database'],
  async strike(scene) {
    scene.announce({ restart: 'database' });
    await scene.surroundings.database.restart();
  },
};

const databaseKilled: FaultKind = {
  name: 'database killed (SIGKILL) and started',
  touches: ['database'],
  async strike(scene) {
    const { database } = scene.surroundings;
    scene.announce({ kill: 'database' });
    await database.kill();
    await scene.wait(between(scene, 0, scene.short ? 2 : 10));
    scene.announce({ start: 'database' });
    await database.restart();
  },
};

export const SERVER_FAULTS: readonly FaultKind[] = [
  brokerRestarted,
  brokerKilled,
  nameServerRestarted,
  databaseRestarted,
  databaseKilled,
];

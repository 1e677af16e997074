import { ROLES, type Role } from '../contract.js';
import { between, takeMember, type FaultKind, type Scene } from './fault.js';

const killed = (role: Role): FaultKind => ({
  name: `${role} killed (SIGKILL)`,
  touches: [role],
  recoveryFrom: 'begin',
  async strike(scene) {
    const member = await takeMember(scene, role);
    scene.announce({ kill: member.name });
    scene.struck();
    await scene.fleet.kill(member);
    await scene.wait(between(scene, 0.2, 3));
    await scene.fleet.add(role);
  },
});

/** Past the lease of a lane (10 s). Now and then past a queue's lock, which brokers keep for a minute. */
function pauseMs(scene: Scene): number {
  if (scene.short) return between(scene, 11, 14);
  return scene.random.chance(0.25) ? between(scene, 62, 75) : between(scene, 11, 25);
}

const stopped = (role: Role): FaultKind => ({
  name: `${role} stopped past its lease (SIGSTOP, SIGCONT)`,
  touches: [role],
  async strike(scene) {
    const member = await takeMember(scene, role);
    const ms = pauseMs(scene);
    scene.announce({ stop: member.name, ms });
    member.signal('SIGSTOP');
    try {
      await scene.wait(ms);
    } finally {
      scene.announce({ continue: member.name });
      member.signal('SIGCONT');
      member.taken = false;
    }
  },
});

/** One comes, one goes, in either order. */
const joinedAndLeft = (role: Role): FaultKind => ({
  name: `${role}s join and leave (SIGTERM)`,
  touches: [role],
  async strike(scene) {
    const leaves = async (): Promise<void> => {
      const member = await takeMember(scene, role);
      scene.announce({ leave: member.name });
      await scene.fleet.leave(member);
    };
    const joins = async (): Promise<void> => {
      scene.announce({ join: role });
      await scene.fleet.add(role);
    };
    for (const change of scene.random.chance(0.5) ? [leaves, joins] : [joins, leaves]) {
      await change();
      await scene.wait(between(scene, 0.2, 2));
    }
  },
});

const SKEWS_MINUTES = [-1440, -180, -45, -5, -1, 1, 5, 45, 180, 1440];

/** One of the processes has a wall clock that is minutes to a day ahead or behind. */
const skewed: FaultKind = {
  name: 'clock of one process minutes to hours off',
  touches: [],
  async strike(scene) {
    const role = scene.random.pick(ROLES);
    const skewMs = scene.random.pick(SKEWS_MINUTES) * 60_000;
    scene.announce({ join: role, skewMs });
    const member = await scene.fleet.add(role, { skewMs });
    member.taken = true;
    await scene.wait(scene.short ? between(scene, 4, 8) : between(scene, 15, 40));
    scene.announce({ leave: member.name });
    await scene.fleet.leave(member);
  },
};

export const PROCESS_FAULTS: readonly FaultKind[] = [
  ...ROLES.map(killed),
  ...ROLES.map(stopped),
  ...ROLES.map(joinedAndLeft),
  skewed,
];

import { join } from 'node:path';
import type { StackPart } from './java-part.js';
import { projectFolder } from './folders.js';
import { choosePorts, portReservations, type PortBlock } from './ports.js';
import { releaseOf } from './releases.js';
import { StackError } from './stack-error.js';
import type { Stack } from './local-stack.js';
import type { StackShape } from './stack-plan.js';
import { spawnTied } from './tied-process.js';

/** What `docker-compose.yml` cannot be: it has one name server, one broker and no shape of its own. */
export function isForDocker(shape: StackShape): boolean {
  return !shape.cluster && (shape.nameServers ?? 1) === 1 && shape.brokerConfig === undefined;
}

function dockerPorts(shape: StackShape): readonly PortBlock[] {
  return [
    { owner: 'name server', preferred: 9876, fixed: shape.nameServerPort },
    { owner: 'broker', preferred: 10_911, fixed: shape.brokerPort },
    { owner: 'proxy (gRPC)', preferred: 8081, fixed: shape.proxyPort },
  ];
}

async function compose(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  const project = `nestjs-rocketmq-${name.toLowerCase().replaceAll(/[^a-z\d_-]/g, '-')}`;
  const docker = await spawnTied({
    command: 'docker',
    args: ['compose', '-f', join(projectFolder, 'docker-compose.yml'), '-p', project, ...args],
    cwd: projectFolder,
    env: { ...process.env, ...env },
  });
  const code = await docker.exited;
  if (code !== 0)
    throw new StackError(`docker compose ${args.join(' ')} ended with code ${code}; see above.`);
}

/** Removes the containers of a stack in Docker and their data. */
export async function stopDockerStack(name: string): Promise<void> {
  await compose(name, ['--profile', 'proxy', 'down']);
}

/**
 * The same RocketMQ from `docker-compose.yml`. Containers belong to the Docker engine: they outlive this process when
 * it is killed, and their parts cannot be stopped one by one.
 */
export async function startDockerStack(shape: StackShape, progress: (line: string) => void): Promise<Stack> {
  const name = shape.name ?? 'dev';
  const release = releaseOf(shape.release);
  if (!isForDocker(shape)) {
    throw new StackError(
      'Clusters and settings of your own are not to be had in Docker: install Java 17 and Maven.',
    );
  }
  const chosen = await choosePorts(dockerPorts(shape));
  for (const note of chosen.notes) progress(note);
  const [nameServerPort = 0, brokerPort = 0, proxyPort = 0] = chosen.ports;
  progress(`starting RocketMQ ${release.version} in Docker`);
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopping ??= stopDockerStack(name).finally(() => portReservations.release(chosen.all)));
  try {
    await compose(name, [...(shape.proxy ? ['--profile', 'proxy'] : []), 'up', '--detach', '--wait'], {
      ROCKETMQ_VERSION: release.version,
      NAME_SERVER_PORT: String(nameServerPort),
      BROKER_PORT: String(brokerPort),
      PROXY_PORT: String(proxyPort),
    });
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  const part = (): StackPart => {
    throw new StackError(
      'Parts of a stack in Docker cannot be stopped one by one: install Java 17 and Maven.',
    );
  };
  return {
    name,
    release: release.version,
    folder: projectFolder,
    nameServer: `127.0.0.1:${nameServerPort}`,
    endpoints: shape.proxy ? `127.0.0.1:${proxyPort}` : undefined,
    parts: [],
    brokers: [],
    broker: part,
    part,
    ready: () => Promise.resolve(),
    stop,
    leaveRunning: () => Promise.resolve(),
  };
}

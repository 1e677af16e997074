import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

/** Processes that wanted a core during the last minute, per core. */
export function loadPerCore(): number {
  return (loadavg()[0] ?? 0) / cpus().length;
}

/** What figures need to be compared with others: one fact per line. @param loadBefore when the run began */
export function machineOf(loadBefore?: number): readonly string[] {
  const [first] = cpus();
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return [
    `Machine: ${cpus().length} x ${first?.model.trim() || 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}${loadBefore === undefined ? '' : `; load per core before the run: ${loadBefore.toFixed(2)}`}`,
    `Versions: nestjs-rocketmq ${version}, Node ${process.version}, RocketMQ ${process.env['ROCKETMQ_VERSION'] ?? '5.5.0'}`,
  ];
}

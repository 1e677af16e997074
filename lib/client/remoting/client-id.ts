import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';

/**
 * Names this client at brokers: `ip@instance`. (Java: `ClientConfig.buildMQClientId`.)
 *
 * Two clients with one id take each other's queues, so the default is unique per client. A name given by the
 * caller is used as it is, since broadcasting consumers find their local offsets by it.
 */
export function buildClientId(instanceName?: string): string {
  return `${localAddress()}@${instanceName ?? `${process.pid}#${randomBytes(6).toString('hex')}`}`;
}

function localAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? []) {
      if (family === 'IPv4' && !internal) return address;
    }
  }
  return '127.0.0.1';
}

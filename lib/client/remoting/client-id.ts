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

/** As {@link buildClientId} makes up names. */
const MADE_UP_NAME = /^\d+#[0-9a-f]{12}$/;

/** The instance name in a client id, or undefined when nobody gave one: a made-up name is another one after a restart. */
export function givenInstanceName(clientId: string): string | undefined {
  const name = clientId.slice(clientId.indexOf('@') + 1);
  return MADE_UP_NAME.test(name) ? undefined : name;
}

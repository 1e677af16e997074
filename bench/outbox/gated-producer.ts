import type { Producer } from '../../lib/client/producer.js';
import type { Message } from '../../lib/message/message.js';

/** All a relay asks of a producer. */
type Sending = Pick<Producer, 'send' | 'sendBatch'>;

/** A producer whose sends wait until the gate is opened. */
export function gated(real: Producer): { readonly producer: Producer; readonly open: () => void } {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const producer: Sending = {
    send: async (...args: Parameters<Producer['send']>) => {
      await gate;
      return real.send(...args);
    },
    sendBatch: async (...args: Parameters<Producer['sendBatch']>) => {
      await gate;
      return real.sendBatch(...args);
    },
  };
  return { producer: producer as Producer, open };
}

/** A producer that tells which messages the broker acknowledged, as soon as it has. */
export function listened(real: Producer, acknowledged: (message: Message) => void): Producer {
  const producer: Sending = {
    send: async (...args: Parameters<Producer['send']>) => {
      const receipt = await real.send(...args);
      acknowledged(args[0]);
      return receipt;
    },
    sendBatch: async (...args: Parameters<Producer['sendBatch']>) => {
      const receipts = await real.sendBatch(...args);
      for (const message of args[0]) acknowledged(message);
      return receipts;
    },
  };
  return producer as Producer;
}

import type { Producer } from '../../lib/client/producer.js';

/** The real producer, except for what is given. */
export function wrappedProducer(real: Producer, changed: Partial<Producer>): Producer {
  return {
    group: real.group,
    start: () => real.start(),
    send: (...args) => real.send(...args),
    sendOneWay: (...args) => real.sendOneWay(...args),
    sendBatch: (...args) => real.sendBatch(...args),
    sendHalf: (...args) => real.sendHalf(...args),
    setTransactionCheck: (check) => real.setTransactionCheck(check),
    request: (...args) => real.request(...args),
    reply: (...args) => real.reply(...args),
    recall: (...args) => real.recall(...args),
    close: (...args) => real.close(...args),
    ...changed,
  };
}

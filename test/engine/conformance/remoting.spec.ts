import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { describeConformance } from '../../conformance/conformance.js';
import { isBroker5, nameServer } from '../../support/broker.js';

describeConformance({
  name: 'remoting',
  createClient: (options) => createRocketMQClient({ nameServer: nameServer(), ...options }),
  isBroker5: isBroker5(),
  laterMs: 2_000,
});

import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { describeConformance } from '../../conformance/conformance.js';
import { nameServer } from '../../support/broker.js';

describeConformance({
  name: 'remoting',
  createClient: (options) => createRocketMQClient({ nameServer: nameServer(), ...options }),
  laterMs: 2_000,
});

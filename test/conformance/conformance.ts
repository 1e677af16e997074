import { describe } from 'vitest';
import { describeAdministration } from './administration.js';
import { describeBroadcasting } from './broadcasting.js';
import { describeConcurrentConsuming } from './concurrent-consuming.js';
import { describeConnections } from './connections.js';
import { describeDelayed } from './delayed.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { describeFiltering } from './filtering.js';
import { describeGroupMembership } from './group-membership.js';
import { describeOrderlyConsuming } from './orderly-consuming.js';
import { describePulling } from './pulling.js';
import { describeRefusals } from './refusals.js';
import { describeRequestReply } from './request-reply.js';
import { describeRetrying } from './retrying.js';
import { describeSending } from './sending.js';
import { describeStartPosition } from './start-position.js';
import { describeTransactions } from './transactions.js';

/** Everything the port promises, held by every engine. */
export function describeConformance(engine: EngineUnderTest): void {
  describe(`the ${engine.name} engine`, () => {
    describeConnections(engine);
    describeAdministration(engine);
    describeSending(engine);
    describeRefusals(engine);
    describeDelayed(engine);
    describeFiltering(engine);
    describeStartPosition(engine);
    describeConcurrentConsuming(engine);
    describeRetrying(engine);
    describeOrderlyConsuming(engine);
    describeBroadcasting(engine);
    describeGroupMembership(engine);
    describeTransactions(engine);
    describeRequestReply(engine);
    describePulling(engine);
  });
}

import type { InjectionToken, Provider } from '@nestjs/common';
import type { OutboxFeature } from '../outbox/create-outbox.js';
import { OUTBOX_FEATURE } from '../outbox/outbox.tokens.js';
import { dataSourceProvider } from './data-source.provider.js';
import { LIFECYCLE_PARTS, type LifecyclePart } from './lifecycle-part.js';
import { TRANSACTIONAL_SEND } from './module.tokens.js';
import { outboxExports, outboxPart, outboxProviders } from './outbox.providers.js';

/** Outbox, idempotency and transactions; each only when its option is set. */
export const databaseProviders: Provider[] = [
  dataSourceProvider,
  ...outboxProviders,
  { provide: TRANSACTIONAL_SEND, useValue: undefined },
  {
    provide: LIFECYCLE_PARTS,
    inject: [OUTBOX_FEATURE],
    useFactory: (outbox: OutboxFeature | undefined): LifecyclePart[] =>
      outbox === undefined ? [] : [outboxPart(outbox)],
  },
];

export const databaseExports: InjectionToken[] = [...outboxExports];

import type { InjectionToken, Provider } from '@nestjs/common';
import { TRANSACTIONAL_SEND } from './module.tokens.js';

/** Outbox, idempotency and transactions; each only when its option is set. */
export const databaseProviders: Provider[] = [{ provide: TRANSACTIONAL_SEND, useValue: undefined }];

export const databaseExports: InjectionToken[] = [];

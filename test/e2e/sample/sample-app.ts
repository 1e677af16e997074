import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { serveApiDocument } from '../../../sample-app/src/api-document.js';
import { AppModule } from '../../../sample-app/src/app.module.js';
import { AppConfig } from '../../../sample-app/src/config/app-config.js';
import { createFreshDatabase } from '../../../scripts/demo/fresh-database.js';
import { Shop } from '../../../scripts/demo/shop.js';
import { isBroker5, nameServer } from '../../support/broker.js';
import { databaseUrl } from './database-url.js';
import { uniqueName } from '../../support/names.js';

export interface RunningSampleApp {
  readonly app: INestApplication;
  readonly url: string;
  readonly shop: Shop;
  readonly dataSource: DataSource;
  readonly namespace: string;
  readonly databaseUrl: string;
  close(): Promise<void>;
}

/** A payment window of about a second, on any broker; with levels it is the first one of the test configuration. */
export const SHORT_WINDOW: NodeJS.ProcessEnv = isBroker5()
  ? { PAYMENT_WINDOW_MS: '1000' }
  : { PAYMENT_WINDOW_LEVEL: '1' };

/** A payment window nobody misses; levels of the test configuration end at 6 seconds. */
export const LONG_WINDOW: NodeJS.ProcessEnv = isBroker5()
  ? { PAYMENT_WINDOW_MS: '600000' }
  : { PAYMENT_WINDOW_LEVEL: '18' };

/** The sample application in this process, on a database and a namespace of its own. */
export async function startSampleApp(settings: NodeJS.ProcessEnv = LONG_WINDOW): Promise<RunningSampleApp> {
  const database = await createFreshDatabase(databaseUrl());
  const namespace = uniqueName('shop');
  const config = new AppConfig({
    DATABASE_URL: database.url,
    ROCKETMQ_NAME_SERVER: nameServer(),
    ROCKETMQ_NAMESPACE: namespace,
    OPERATOR_KEY: 'test',
    ...settings,
  });
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(AppConfig)
    .useValue(config)
    .compile();
  const app = module.createNestApplication({ logger: ['error', 'warn'] });
  serveApiDocument(app);
  try {
    await app.listen(0, '127.0.0.1');
  } catch (error) {
    await app.close();
    await database.drop();
    throw error;
  }
  const url = (await app.getUrl()).replace(/\/$/, '');
  return {
    app,
    url,
    shop: new Shop(url, 'test'),
    dataSource: app.get(DataSource),
    namespace,
    databaseUrl: database.url,
    close: async () => {
      await app.close();
      await database.drop();
    },
  };
}

import { type INestApplication, Injectable } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Payload, RocketMQListener } from 'nestjs-rocketmq';
import { DataSource } from 'typeorm';
import {
  addTransactionalDataSource,
  initializeTransactionalContext,
  Propagation,
  StorageDriver,
  Transactional,
} from 'typeorm-transactional';
import { afterAll, beforeAll, describe } from 'vitest';
import {
  ambientTransactionCases,
  type AmbientTransactions,
} from '../../support/ambient-transaction-cases.js';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { uniqueName } from '../../support/names.js';
import { nestApp } from '../../support/nest-app.js';
import { QUICK } from '../../support/outbox-harness.js';

const topic = uniqueName('ambient');
const received: string[] = [];

@Injectable()
class Listener {
  @RocketMQListener({ topic, group: uniqueName('ambient'), startFrom: 'first' })
  on(@Payload() payload: string): void {
    received.push(payload);
  }
}

@Injectable()
class Service implements AmbientTransactions {
  constructor(private readonly dataSource: DataSource) {}

  @Transactional()
  required<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  @Transactional({ propagation: Propagation.REQUIRES_NEW })
  requiresNew<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  @Transactional({ propagation: Propagation.NESTED })
  nested<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  @Transactional({ propagation: Propagation.NOT_SUPPORTED })
  notSupported<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  effect(what: string): Promise<unknown> {
    return this.dataSource.manager.query('INSERT INTO effect (what) VALUES ($1)', [what]);
  }
}

describe('the outbox with typeorm-transactional', () => {
  let database: TestDatabase;
  let app: INestApplication;

  beforeAll(async () => {
    initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });
    database = await createDatabase('postgres', { lanes: 4 });
    await database.dataSource.query('CREATE TABLE effect (what text NOT NULL)');
    const { options } = database.dataSource;
    app = await nestApp({
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => options,
          dataSourceFactory: () => Promise.resolve(addTransactionalDataSource(new DataSource(options))),
        }),
      ],
      providers: [Service, Listener],
      options: { outbox: QUICK },
    });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  ambientTransactionCases({ app: () => app, ambient: () => app.get(Service), topic, received });
});

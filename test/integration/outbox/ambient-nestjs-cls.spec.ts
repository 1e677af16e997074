import { type INestApplication, Injectable } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  ClsPluginTransactional,
  Propagation,
  Transactional,
  TransactionHost,
} from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { ClsModule } from 'nestjs-cls';
import { clsTransactionHost, Payload, RocketMQListener, RocketMQModule } from 'nestjs-rocketmq';
import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe } from 'vitest';
import {
  ambientTransactionCases,
  type AmbientTransactions,
} from '../../support/ambient-transaction-cases.js';
import { nameServer } from '../../support/broker.js';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { uniqueName } from '../../support/names.js';
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
  constructor(private readonly host: TransactionHost<TransactionalAdapterTypeOrm>) {}

  @Transactional()
  required<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  @Transactional(Propagation.RequiresNew)
  requiresNew<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  @Transactional(Propagation.Nested)
  nested<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  @Transactional(Propagation.NotSupported)
  notSupported<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  effect(what: string): Promise<unknown> {
    return this.host.tx.query('INSERT INTO effect (what) VALUES ($1)', [what]);
  }
}

describe('the outbox with @nestjs-cls/transactional', () => {
  let database: TestDatabase;
  let app: INestApplication;

  beforeAll(async () => {
    database = await createDatabase('postgres', { lanes: 4 });
    await database.dataSource.query('CREATE TABLE effect (what text NOT NULL)');
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot(database.dataSource.options),
        ClsModule.forRoot({
          global: true,
          plugins: [
            new ClsPluginTransactional({
              adapter: new TransactionalAdapterTypeOrm({ dataSourceToken: DataSource }),
            }),
          ],
        }),
        RocketMQModule.forRoot({
          nameServer: nameServer(),
          topics: 'create',
          logging: false,
          outbox: QUICK,
          database: { transactionHost: clsTransactionHost(() => TransactionHost.getInstance()) },
        }),
      ],
      providers: [Service, Listener],
    }).compile();
    app = module.createNestApplication({ logger: false });
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  ambientTransactionCases({ app: () => app, ambient: () => app.get(Service), topic, received });
});

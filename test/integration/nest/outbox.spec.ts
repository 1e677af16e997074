import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Outbox, Payload, RocketMQListener, RocketMQModule } from 'nestjs-rocketmq';
import { rocketmqMigrations } from 'nestjs-rocketmq/migrations';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

const url = process.env['DATABASE_URL'] as string;

async function newDatabase(): Promise<string> {
  const name = uniqueName('nest').replaceAll('-', '_');
  const admin = await new DataSource({ type: 'postgres', url }).initialize();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.destroy();
  return url.replace(/\/[^/]*$/, `/${name}`);
}

describe('RocketMQModule with an outbox', () => {
  it('sends what a transaction wrote, and stops before the database does', async () => {
    const topic = uniqueName('outbox');
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('group'), startFrom: 'first' })
      on(@Payload() order: unknown): void {
        seen.push(order);
      }
    }
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: await newDatabase(),
          migrations: rocketmqMigrations,
          migrationsRun: true,
        }),
        RocketMQModule.forRootAsync({
          useFactory: () => ({ nameServer: nameServer(), topics: 'create', outbox: true }),
        }),
      ],
      providers: [Orders],
    }).compile();
    const app = module.createNestApplication();
    await app.init();
    await app.get(DataSource).transaction((tx) => app.get(Outbox).send(tx, topic, { id: 1 }));
    await waitFor(() => seen.length === 1);
    expect(seen).toEqual([{ id: 1 }]);
    await app.close();
  });
});

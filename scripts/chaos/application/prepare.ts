import { createRocketMQClient } from 'nestjs-rocketmq';
import { rocketmqMigrations } from 'nestjs-rocketmq/migrations';
import { DataSource } from 'typeorm';
import type { Place } from '../contract.js';
import { TOPIC_PLANS, topicOf } from './names.js';

/** Tables and topics of a run. */
export async function prepareRun({ databaseUrl, nameServer, run }: Place): Promise<void> {
  await prepareDatabase(databaseUrl);
  const client = createRocketMQClient({ nameServer });
  await client.start();
  try {
    for (const [topic, { type }] of TOPIC_PLANS) {
      await client.admin.createTopic(topicOf(run, topic), { type, queues: 8 });
    }
  } finally {
    await client.close();
  }
}

/**
 * - `chaos_key`: the row of a key is locked by whoever writes about the key, so `n` is the order of commits.
 * - `chaos_message`: written in the transaction that writes the message to the outbox, or runs for a half message.
 * - `chaos_effect`: without a unique key on purpose: a second effect has to show.
 */
const TABLES = `
  CREATE TABLE chaos_key (key text PRIMARY KEY, n bigint NOT NULL);
  CREATE TABLE chaos_message (
    id bigserial PRIMARY KEY, label text NOT NULL UNIQUE, topic text NOT NULL, key text, n bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE TABLE chaos_effect (
    id bigserial PRIMARY KEY, grp text NOT NULL, label text NOT NULL, key text, n bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE INDEX chaos_effect_of ON chaos_effect (label, grp);
`;

async function prepareDatabase(url: string): Promise<void> {
  const dataSource = new DataSource({ type: 'postgres', url, migrations: rocketmqMigrations });
  await dataSource.initialize();
  try {
    await dataSource.runMigrations();
    await dataSource.query(TABLES);
  } finally {
    await dataSource.destroy();
  }
}

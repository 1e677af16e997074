/** One process of the application under test. Ends with the process that started it. */
import './skewed-clock.js';
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import type { INestApplicationContext } from '@nestjs/common';
import { HistoryWriter } from '../history/history-writer.js';
import { COULD_NOT_START } from '../judge/judge-exit.js';
import { ApplicationModule } from './application.module.js';
import { Business } from './business.js';
import { readPlan } from './read-plan.js';

const REPORTS = 3;

const plan = readPlan();
const history = new HistoryWriter(plan.folder, plan.name);

function crash(error: unknown): void {
  console.error(error);
  history.add({
    what: 'crashes',
    error: error instanceof Error ? (error.stack ?? String(error)) : String(error),
  });
  process.exit(1);
}

process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0));
process.stdin.resume();
(process.stdin as NodeJS.ReadStream & { unref(): void }).unref();

async function start(): Promise<INestApplicationContext> {
  const application = await NestFactory.createApplicationContext(
    ApplicationModule.forProcess(plan, history),
    { abortOnError: false, logger: ['log', 'warn', 'error', 'fatal'] },
  );
  history.add({ what: 'ready' });
  writeSync(REPORTS, 'ready\n');
  return application;
}

const starting = start();

async function leave(application: INestApplicationContext): Promise<void> {
  history.add({ what: 'leaves' });
  await application.get(Business).stop();
  await application.close();
  history.add({ what: 'left' });
}

// Nothing is ended by force: a timer or socket that is left over keeps the process alive, and that is noticed.
process.once('SIGTERM', () => {
  starting.then(leave, () => undefined).catch(crash);
});

starting.then(
  (application) => {
    if (plan.role === 'producer') application.get(Business).begin();
  },
  (error: unknown) => {
    console.error(error);
    process.exit(COULD_NOT_START);
  },
);

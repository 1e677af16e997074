import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { RocketMQModule, type RocketMQModuleOptions } from 'nestjs-rocketmq';
import type { ProcessPlan } from '../contract.js';
import { HistoryWriter } from '../history/history-writer.js';
import { Business } from './business.js';
import { AuditListener, LedgerListener, NotebookListener } from './order.listeners.js';
import { ArchiveListener, CashierListener, DispatchListener } from './payment.listeners.js';
import { HandlerFrame } from './handler-frame.js';
import { PLAN } from './tokens.js';

@Module({})
export class ApplicationModule {
  static forProcess(plan: ProcessPlan, history: HistoryWriter): DynamicModule {
    const listeners =
      plan.role === 'consumer'
        ? [
            LedgerListener,
            AuditListener,
            NotebookListener,
            CashierListener,
            DispatchListener,
            ArchiveListener,
          ]
        : [];
    return {
      module: ApplicationModule,
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: plan.databaseUrl,
          poolSize: plan.role === 'consumer' ? 30 : 15,
          retryAttempts: 30,
          retryDelay: 1_000,
          logging: false,
          applicationName: `${plan.run} ${plan.name}`.slice(0, 60),
          connectTimeoutMS: 5_000,
          // A transaction of a process that stands still holds its locks: whoever waits for them gives up in time.
          extra: { lock_timeout: 5_000, statement_timeout: 8_000, query_timeout: 10_000, keepAlive: true },
        }),
        RocketMQModule.forRoot(messaging(plan)),
      ],
      providers: [
        { provide: PLAN, useValue: plan },
        { provide: HistoryWriter, useValue: history },
        Business,
        HandlerFrame,
        ...listeners,
      ],
    };
  }
}

function messaging({ nameServer, run, role, name }: ProcessPlan): RocketMQModuleOptions {
  return {
    nameServer,
    producer: { group: `${run}-application` },
    requestTimeoutMs: 3_000,
    routePollIntervalMs: 5_000,
    heartbeatIntervalMs: 5_000,
    startWithoutBroker: true,
    topics: 'ignore',
    shutdown: { drainTimeout: '10s' },
    outbox: {
      relay: role === 'relay' || relaysToo(name),
      leaseMs: 6_000,
      renewMs: 1_500,
      surveyMs: 500,
      sendTimeoutMs: 2_000,
      backoffMaxMs: 2_000,
      // A message that was refused often is still to be sent: nobody operates this application.
      maxAttempts: 1_000,
      retryMinMs: 200,
      retryMaxMs: 5_000,
      parkedScanMs: 500,
    },
    idempotency: { waitMs: 2_000, busyRetryMs: 1_000, sweepEveryMs: 20_000 },
    transactions: { graceMs: 4_000, checkWaitMs: 300, sweepEveryMs: 20_000 },
  };
}

/** About half of the processes that write messages also send them. The rest leave that to others. */
function relaysToo(name: string): boolean {
  let sum = 0;
  for (const letter of name) sum += letter.codePointAt(0) ?? 0;
  return sum % 2 === 0;
}

import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { Clock } from '../../lib/client/clock.js';
import { CLIENT_FACTORY, CLOCK } from '../../lib/module/module.tokens.js';
import { RocketMQModule } from '../../lib/module/rocketmq.module.js';
import type { RocketMQModuleExtras } from '../../lib/module/rocketmq.module-definition.js';
import type { RocketMQModuleOptions } from '../../lib/module/rocketmq-module-options.js';
import { RocketMQEvents, type RocketMQEventMap } from '../../lib/observability/rocketmq-events.js';
import { ScriptedClient, type ScriptedConsumer } from './scripted-client.js';

export interface ScriptedApp {
  readonly app: INestApplication;
  readonly client: ScriptedClient;
  readonly events: { readonly name: string; readonly event: Record<string, unknown> }[];
  readonly consumer: (group: string) => ScriptedConsumer;
}

export interface ScriptedAppOptions extends ModuleMetadata {
  readonly options?: Partial<RocketMQModuleOptions & RocketMQModuleExtras>;
  readonly client?: ScriptedClient;
  readonly clock?: Clock;
  /** Called before `init`. */
  readonly prepare?: (app: INestApplication) => void;
}

const WATCHED: readonly (keyof RocketMQEventMap)[] = [
  'message.received',
  'message.handled',
  'message.retried',
  'message.rejected',
  'message.dropped',
  'message.exhausted',
  'message.timeout',
  'listener.state',
  'connection.state',
  'drain.start',
  'drain.end',
];

/** A Nest application whose client is driven by hand; started. Topics exist, unless a client is given. */
export async function scriptedApp({
  options,
  client = new ScriptedClient('orders', 'payments', 'audit'),
  clock,
  prepare,
  ...metadata
}: ScriptedAppOptions): Promise<ScriptedApp> {
  const builder = Test.createTestingModule({
    ...metadata,
    imports: [
      ...(metadata.imports ?? []),
      RocketMQModule.forRoot({ nameServer: 'scripted:9876', logging: false, ...options }),
    ],
  })
    .overrideProvider(CLIENT_FACTORY)
    .useValue(() => client);
  if (clock !== undefined) builder.overrideProvider(CLOCK).useValue(clock);
  const module = await builder.setLogger(false as never).compile();
  const app = module.createNestApplication({ logger: false });
  const events: ScriptedApp['events'] = [];
  const stream = app.get(RocketMQEvents);
  for (const name of WATCHED) {
    stream.on(name, (event) => events.push({ name, event: event as unknown as Record<string, unknown> }));
  }
  prepare?.(app);
  await app.init();
  return { app, client, events, consumer: (group) => client.consumer(group) };
}

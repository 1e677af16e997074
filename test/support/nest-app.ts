import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { RocketMQEvents, RocketMQModule, type RocketMQModuleOptions } from 'nestjs-rocketmq';
import { nameServer } from './broker.js';
import { uniqueName } from './names.js';

export interface NestAppOptions extends ModuleMetadata {
  readonly options?: Partial<RocketMQModuleOptions>;
  /** Called before `init`. */
  readonly prepare?: (app: INestApplication) => void;
}

/** A Nest application on the real broker; topics of its listeners are created. Started. */
export async function nestApp({ options, prepare, ...metadata }: NestAppOptions): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [
      ...(metadata.imports ?? []),
      RocketMQModule.forRoot({
        nameServer: nameServer(),
        // Its own: the broker asks any member of a group about half messages.
        producer: { group: uniqueName('producer') },
        topics: 'create',
        logging: false,
        ...options,
      }),
    ],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  prepare?.(app);
  await app.init();
  return app;
}

/** Collects events of the kinds named, in order. */
export function recordEvents(
  app: INestApplication,
  ...names: Parameters<RocketMQEvents['on']>[0][]
): { readonly name: string; readonly event: Record<string, unknown> }[] {
  const recorded: { name: string; event: Record<string, unknown> }[] = [];
  for (const name of names) {
    app.get(RocketMQEvents).on(name, (event) => {
      recorded.push({ name, event: event as unknown as Record<string, unknown> });
    });
  }
  return recorded;
}

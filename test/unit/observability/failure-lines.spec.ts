import {
  Catch,
  ConsoleLogger,
  type ExceptionFilter,
  Injectable,
  Logger,
  type LoggerService,
  UseFilters,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { RocketMQListener, RocketMQModule } from 'nestjs-rocketmq';
import { afterEach, expect, it } from 'vitest';
import { CLIENT_FACTORY } from '../../../lib/module/module.tokens.js';
import { received, ScriptedClient } from '../../support/scripted-client.js';

@Injectable()
class Failing {
  @RocketMQListener({ topic: 'orders', group: 'shop', retry: '1s' })
  onOrder(): never {
    throw new TypeError('no stock');
  }
}

@Catch(RangeError)
class OtherErrors implements ExceptionFilter {
  catch(): boolean {
    return true;
  }
}

@Injectable()
@UseFilters(OtherErrors)
class Filtered {
  @RocketMQListener({ topic: 'orders', group: 'shop', retry: '1s' })
  onOrder(): never {
    throw new RangeError('out of range');
  }
}

/** What an application writes while one message fails. */
async function linesOf(Listener: new () => object): Promise<string[]> {
  const lines: string[] = [];
  const write = (...parts: unknown[]): number => lines.push(parts.map(String).join(' '));
  const logger: LoggerService = { log: write, warn: write, error: write, debug: write };
  const client = new ScriptedClient('orders');
  const app = await Test.createTestingModule({
    imports: [RocketMQModule.forRoot({ nameServer: 'scripted:9876' })],
    providers: [Listener],
  })
    .overrideProvider(CLIENT_FACTORY)
    .useValue(() => client)
    .setLogger(logger)
    .compile();
  await app.init();
  lines.length = 0;
  await client.consumer('shop').deliver(received({}, { messageId: 'A1', attempt: 2 }));
  const written = [...lines];
  await app.close();
  return written;
}

afterEach(() => Logger.overrideLogger(new ConsoleLogger()));

it('a handler that fails writes one line, with message, topic, group and attempt', async () => {
  const lines = await linesOf(Failing);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('message=A1 topic=orders group=shop attempt=2');
  expect(lines[0]).toMatch(/error="TypeError: no stock" at="Failing\.onOrder .*failure-lines\.spec\.ts:/);
});

it('what an exception filter has handled writes none', async () => {
  expect(await linesOf(Filtered)).toEqual([]);
});

import { Controller, Get, Inject, Injectable } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  createRocketMQClient,
  RocketMQHealthIndicator,
  RocketMQListener,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { nestApp } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { brokerThroughProxy, type ProxiedBroker } from '../../support/tcp-proxy.js';
import { waitFor } from '../../support/wait-for.js';

const topic = uniqueName('health');

@Controller()
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(RocketMQHealthIndicator) private readonly rocketmq: RocketMQHealthIndicator,
  ) {}

  @Get('health')
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.rocketmq.check('rocketmq')]);
  }
}

@Injectable()
class Orders {
  @RocketMQListener({ id: 'orders', topic, group: uniqueName('group') })
  on(): void {}
}

describe('the health endpoint of @nestjs/terminus', () => {
  let proxied: ProxiedBroker;
  let app: INestApplication | undefined;

  beforeEach(async () => {
    const client = createRocketMQClient({ nameServer: nameServer() });
    await client.start();
    const [broker] = await client.admin.brokers();
    await client.admin.createTopic(topic);
    await client.close();
    proxied = await brokerThroughProxy(nameServer().split(/[;,]/)[0]!, broker!.addresses.get(0)!);
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await proxied.close();
  });

  async function start(
    startWithoutBroker = false,
  ): Promise<() => Promise<{ status: number; body: unknown }>> {
    app = await nestApp({
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController],
      providers: [Orders],
      options: { nameServer: proxied.nameServer, startWithoutBroker },
    });
    await app.listen(0, '127.0.0.1');
    const url = `${await app.getUrl()}/health`;
    return async () => {
      const response = await fetch(url);
      return { status: response.status, body: await response.json() };
    };
  }

  it('answers 200 while the broker is there, 503 with the reason while it is away, and 200 again', async () => {
    const health = await start();
    await app!.get(RocketMQTemplate).send(topic, 1);
    const up = {
      rocketmq: { status: 'up', connections: { default: 'up' }, listeners: { orders: 'running' } },
    };
    const first = await waitFor(async () => {
      const answer = await health();
      return answer.status === 200 && answer;
    });
    expect(first).toMatchObject({ status: 200, body: { status: 'ok', details: up } });

    await proxied.broker.refuse();
    proxied.broker.cut();
    const down = await waitFor(async () => {
      const answer = await health();
      return answer.status !== 200 && answer;
    });
    expect(down).toMatchObject({
      status: 503,
      body: {
        status: 'error',
        error: {
          rocketmq: {
            status: 'down',
            connections: {
              default: 'down',
              error: expect.stringMatching(
                /"default" is down.*check that name server and broker run/,
              ) as string,
            },
          },
        },
      },
    });

    await proxied.broker.accept();
    await waitFor(async () => (await health()).status === 200);
  });

  it('answers 503 in an application that started without a broker, until there is one', async () => {
    await proxied.nameServerProxy.refuse();
    const health = await start(true);
    expect(await health()).toMatchObject({
      status: 503,
      body: { error: { rocketmq: { status: 'down', listeners: { orders: 'stopped' } } } },
    });
    await proxied.nameServerProxy.accept();
    await waitFor(async () => {
      const { status, body } = await health();
      return (
        status === 200 && (body as HealthCheckResult).details['rocketmq']?.['listeners'].orders === 'running'
      );
    });
  });
});

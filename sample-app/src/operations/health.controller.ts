import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { RocketMQHealthIndicator, type RocketMQHealth } from 'nestjs-rocketmq';

@Controller('health')
export class HealthController {
  constructor(private readonly rocketmq: RocketMQHealthIndicator) {}

  /** For orchestrators: 200 or 503. The indicator fits @nestjs/terminus as well, beside those of other systems. */
  @Get()
  async check(): Promise<RocketMQHealth> {
    const health = await this.rocketmq.check();
    if (health.rocketmq.status === 'down') throw new ServiceUnavailableException(health);
    return health;
  }
}

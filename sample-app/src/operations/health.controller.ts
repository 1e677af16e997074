import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import {
  HealthCheck,
  HealthCheckService,
  type HealthCheckResult,
  TypeOrmHealthIndicator,
} from '@nestjs/terminus';
import { RocketMQHealthIndicator } from 'nestjs-rocketmq';

@Controller('health')
@ApiTags('operations')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly rocketmq: RocketMQHealthIndicator,
    private readonly database: TypeOrmHealthIndicator,
  ) {}

  /** For orchestrators: 200, or 503 with what is down. */
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.database.pingCheck('database'), () => this.rocketmq.check()]);
  }
}

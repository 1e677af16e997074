import {
  ConfigurableModuleBuilder,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { trace } from '@opentelemetry/api';
import { applicationEvents } from '../observability/application-events.js';
import { ATTR } from './attributes.js';
import { type RocketMQTracingOptions, TracingInstrumentation } from './tracing-instrumentation.js';

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<RocketMQTracingOptions>({ moduleName: 'RocketMQTracing' })
    .setClassMethodName('forRoot')
    .build();

/** Puts the spans in place before anything is sent or received. */
@Injectable()
class TracingStarter implements OnModuleInit {
  constructor(
    @Inject(ModuleRef) private readonly modules: ModuleRef,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: RocketMQTracingOptions,
  ) {}

  onModuleInit(): void {
    const events = applicationEvents(this.modules, 'RocketMQTracingModule');
    events.instrumentWith(new TracingInstrumentation(this.options));
    events.on('message.duplicate', ({ messageId }) =>
      trace.getActiveSpan()?.addEvent('duplicate', { [ATTR.messageId]: messageId }),
    );
  }
}

/**
 * OpenTelemetry spans for every send and every handler call, in one trace from the request that caused a message to
 * its last consumer. Needs `@opentelemetry/api`; without an SDK in the process it does nothing. Import it beside
 * `RocketMQModule`, once.
 */
@Module({ providers: [TracingStarter] })
export class RocketMQTracingModule extends ConfigurableModuleClass {
  /** With options known at once; none are needed. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /** With options from a factory, a class, or an existing provider. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }
}

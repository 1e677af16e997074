import { Inject, Injectable, Optional } from '@nestjs/common';
import {
  ApplicationConfig,
  ContextIdFactory,
  ExternalContextCreator,
  ModuleRef,
  ModulesContainer,
  type NestContainer,
} from '@nestjs/core';
import type { HandlerTarget } from './listener-definition.js';
import { HandlerParameters } from './handler-parameters.js';
import { PARAMETERS_METADATA } from './listener-metadata.js';
import { ROCKETMQ_CONTEXT_TYPE, type RocketMQContext } from './rocketmq-context.js';

/** Which of the application's global enhancers work on handlers. Those of class and method always do. */
export interface EnhancerSwitches {
  /** @default true */
  readonly guards?: boolean;
  /** @default true */
  readonly interceptors?: boolean;
  /** @default true */
  readonly filters?: boolean;
}

export const ENHANCER_SWITCHES = Symbol('nestjs-rocketmq:enhancers');

type Call = (payload: unknown, context: RocketMQContext) => Promise<unknown>;

/** A handler with everything Nest puts around it. */
export interface BoundPipeline {
  readonly instance: object;
  /** Guards, interceptors, pipes, handler. */
  readonly invoke: Call;
  /** Runs `context.failure` through the handler's exception filters: resolves with what one returned, or rejects. */
  readonly filter: Call;
}

export interface HandlerPipeline {
  /** Undefined when the handler or one of its enhancers is request-scoped: it is then bound per message. */
  readonly bound: BoundPipeline | undefined;
  bind(context: RocketMQContext): Promise<BoundPipeline>;
}

type Method = (...args: unknown[]) => unknown;

/**
 * Builds the pipelines once, at boot. It has an ExternalContextCreator of its own, so that global enhancers can be
 * left out and so that nothing is shared with other libraries that wrap the same method.
 */
@Injectable()
export class HandlerPipelineFactory {
  private readonly creator: ExternalContextCreator;
  private readonly config: ApplicationConfig;

  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(ApplicationConfig) config: ApplicationConfig,
    @Optional() @Inject(ENHANCER_SWITCHES) switches: EnhancerSwitches = {},
  ) {
    this.config = withoutGlobals(config, switches);
    const view = { applicationConfig: this.config, getModules: () => modules };
    this.creator = ExternalContextCreator.fromContainer(view as unknown as NestContainer);
  }

  async create(target: HandlerTarget, batch: boolean): Promise<HandlerPipeline> {
    const { wrapper, method } = target;
    const parameters = new HandlerParameters(batch);
    const moduleRef = wrapper.host?.getProviderByKey<ModuleRef>(ModuleRef)?.instance;
    if (wrapper.isDependencyTreeStatic() && (!wrapper.isTransient || moduleRef === undefined)) {
      const bound = this.bound(wrapper.instance as object, method, parameters);
      return { bound, bind: () => Promise.resolve(bound) };
    }
    if (moduleRef === undefined) throw new Error(`No module holds ${String(wrapper.name)}`);
    if (wrapper.isDependencyTreeStatic()) {
      const instance = await moduleRef.resolve<object>(wrapper.token as never);
      const bound = this.bound(instance, method, parameters);
      return { bound, bind: () => Promise.resolve(bound) };
    }
    return {
      bound: undefined,
      bind: async (context) => {
        const contextId = ContextIdFactory.getByRequest(context as never);
        moduleRef.registerRequestByContextId(context, contextId);
        const instance = await moduleRef.resolve<object>(wrapper.token as never, contextId, { strict: true });
        return this.bound(instance, method, parameters, contextId, wrapper.id);
      },
    };
  }

  private bound(
    instance: object,
    method: string,
    parameters: HandlerParameters,
    contextId?: ReturnType<typeof ContextIdFactory.create>,
    inquirerId?: string,
  ): BoundPipeline {
    const callback = (instance as Record<string, Method>)[method] as Method;
    const invoke = this.creator.create(
      instance as never,
      callback,
      method,
      PARAMETERS_METADATA,
      parameters,
      contextId,
      inquirerId,
      { guards: true, interceptors: true, filters: false },
      ROCKETMQ_CONTEXT_TYPE,
    );
    let filter: Call | undefined;
    return {
      instance,
      invoke: invoke as Call,
      filter: async (payload, context) => {
        if (!this.hasFilters(callback, instance.constructor)) throw context.failure;
        filter ??= this.creator.create(
          instance as never,
          failing(callback),
          // Nest caches a handler's parameters by name; this one has none.
          `${method} (filters)`,
          undefined,
          undefined,
          contextId,
          inquirerId,
          { guards: false, interceptors: false, filters: true },
          ROCKETMQ_CONTEXT_TYPE,
        ) as Call;
        return filter(payload, context);
      },
    };
  }

  /** Without any, Nest would log the error on its way through, with neither message nor group; our line has both. */
  private hasFilters(...decorated: object[]): boolean {
    return (
      decorated.some((target) => Reflect.hasMetadata(FILTERS_METADATA, target)) ||
      this.config.getGlobalFilters().length > 0 ||
      this.config.getGlobalRequestFilters().length > 0
    );
  }
}

/** Where Nest keeps `@UseFilters`. */
const FILTERS_METADATA = '__exceptionFilters__';

/** Throws what failed, and wears the decorators of the handler, so that Nest finds its filters. */
function failing(callback: Method): Method {
  const stand = (_payload: unknown, context: unknown): never => {
    throw (context as RocketMQContext).failure;
  };
  for (const key of Reflect.getMetadataKeys(callback) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, callback), stand);
  }
  return stand as Method;
}

function withoutGlobals(config: ApplicationConfig, switches: EnhancerSwitches): ApplicationConfig {
  const none = { value: () => [] };
  return Object.create(config, {
    ...(switches.guards === false && { getGlobalGuards: none, getGlobalRequestGuards: none }),
    ...(switches.interceptors === false && {
      getGlobalInterceptors: none,
      getGlobalRequestInterceptors: none,
    }),
    ...(switches.filters === false && { getGlobalFilters: none, getGlobalRequestFilters: none }),
  }) as ApplicationConfig;
}

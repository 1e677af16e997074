import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { TransactionResolution } from '../client/producer.js';
import type { InstanceWrapper } from '../listener/listener-definition.js';
import type { ReceivedMessage } from '../message/message.js';
import { TRANSACTION_CHECKER_METADATA } from '../transaction/transaction.tokens.js';
import type { TransactionCheckers } from '../transaction/transaction-checkers.js';

type CheckerMethod = (message: ReceivedMessage) => TransactionResolution | Promise<TransactionResolution>;

/** Finds the methods with `@RocketMQTransactionChecker`. */
@Injectable()
export class TransactionCheckerExplorer {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
  ) {}

  /** Resolves with what is wrong, one line each. */
  register(checkers: TransactionCheckers): readonly string[] {
    const problems: string[] = [];
    for (const wrapper of this.discovery.getProviders()) {
      for (const [name, method] of this.methodsOf(wrapper)) {
        const where = `${String(wrapper.name)}.${method}`;
        if (!wrapper.isDependencyTreeStatic()) {
          problems.push(
            `Transaction checker ${where} is request-scoped, and a check has no request. Make its class a singleton.`,
          );
          continue;
        }
        const instance = wrapper.instance as Record<string, CheckerMethod>;
        try {
          checkers.register(name, async (message) => (instance[method] as CheckerMethod)(message));
        } catch (error) {
          problems.push(`Transaction checker ${where}: ${(error as Error).message}`);
        }
      }
    }
    return problems;
  }

  private methodsOf(wrapper: InstanceWrapper): [name: string, method: string][] {
    const instance: unknown = wrapper.instance;
    if (wrapper.isAlias || typeof instance !== 'object' || instance === null) return [];
    const prototype = Object.getPrototypeOf(instance) as Record<string, object> | null;
    if (prototype === null) return [];
    return this.scanner.getAllMethodNames(prototype).flatMap((method): [string, string][] => {
      const callback = prototype[method];
      const name: unknown = callback && Reflect.getMetadata(TRANSACTION_CHECKER_METADATA, callback);
      return typeof name === 'string' ? [[name, method]] : [];
    });
  }
}

import { RocketMQError } from '../../../message/rocketmq-error.js';
import { BrokerError } from '../../broker-error.js';
import type { Clock } from '../../clock.js';
import type { ClientLog } from '../../rocketmq-client.js';
import type { RemotingChannels } from '../network/remoting-channels.js';
import type { RemotingCommand, RemotingRequest } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';
import {
  parseClusterInfo,
  parseTopicRoute,
  type ClusterInfo,
  type TopicRouteData,
} from '../protocol/route-data.js';

export interface NameServerOptions {
  /** Per name server asked, milliseconds. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly log: ClientLog;
}

/** For a second opinion on an answer that is there already, milliseconds: a name server that is down must not hold it up. */
const SECOND_OPINION_TIMEOUT_MS = 1_000;

/**
 * Asks the name servers of a cluster, which know the same and not of each other. It stays with the one that
 * answered last and moves on when that fails. (Java: `NettyRemotingClient.getAndCreateNameserverChannel`,
 * `MQClientAPIImpl`.)
 */
export class NameServerClient {
  readonly addresses: readonly string[];
  readonly #channels: RemotingChannels;
  readonly #options: NameServerOptions;
  #current: number;

  constructor(channels: RemotingChannels, addresses: readonly string[], options: NameServerOptions) {
    if (addresses.length === 0) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        'There is no name server. Give at least one "host:port".',
      );
    }
    this.#channels = channels;
    this.addresses = addresses;
    this.#options = options;
    // Clients that start together must not all choose the first.
    this.#current = Math.floor(Math.random() * addresses.length);
  }

  /**
   * @throws BrokerError `TOPIC_NOT_FOUND` when no name server knows the topic
   * @throws RocketMQError `CONNECTION_FAILED` or `TIMEOUT` when none answers
   */
  async topicRoute(topic: string): Promise<TopicRouteData> {
    const request = {
      code: RequestCode.GET_ROUTEINFO_BY_TOPIC,
      fields: { topic, acceptStandardJsonOnly: true },
    };
    const { body } = await this.invoke(request, `Reading the route of topic "${topic}"`);
    return parseTopicRoute(body);
  }

  /** @throws RocketMQError as {@link topicRoute} */
  async clusterInfo(): Promise<ClusterInfo> {
    const { body } = await this.invoke(
      { code: RequestCode.GET_BROKER_CLUSTER_INFO },
      'Reading the brokers of the cluster',
    );
    return parseClusterInfo(body);
  }

  /** Resolves when a name server answers. @throws RocketMQError `CONNECTION_FAILED` or `TIMEOUT` */
  async ping(): Promise<void> {
    await this.clusterInfo();
  }

  /**
   * Asks one name server after the other until one answers SUCCESS. "Not found" counts only when nobody knows
   * better: a name server that has just started hears of the topics when the brokers register again.
   *
   * @param what begins the sentence of an error: `Reading the route of topic "t"`
   */
  async invoke(request: RemotingRequest, what: string): Promise<RemotingCommand> {
    const first = this.#current;
    let failure: unknown;
    for (let step = 0; step < this.addresses.length; step++) {
      const index = (first + step) % this.addresses.length;
      const address = this.addresses[index] as string;
      try {
        const timeoutMs = this.#timeoutMs(failure);
        const response = await this.#channels.invoke(address, request, { timeoutMs });
        if (response.code === ResponseCode.SUCCESS) {
          this.#current = index;
          return response;
        }
        failure = responseError(what, response, address);
        if (!mayKnowBetter(response.code)) break;
      } catch (error) {
        if (error instanceof RocketMQError && error.code === 'CLOSED') throw error;
        failure = moreTelling(failure, error);
        if (this.addresses.length > 1) {
          this.#options.log('debug', `Name server ${address} failed, the next one is asked.`, error);
        }
      }
    }
    throw failure;
  }

  #timeoutMs(failure: unknown): number {
    const { requestTimeoutMs } = this.#options;
    return isAnswer(failure) ? Math.min(requestTimeoutMs, SECOND_OPINION_TIMEOUT_MS) : requestTimeoutMs;
  }
}

/** Whether another name server may have a better answer than this one. */
function mayKnowBetter(code: number): boolean {
  return (
    code === ResponseCode.TOPIC_NOT_EXIST ||
    code === ResponseCode.SYSTEM_ERROR ||
    code === ResponseCode.SYSTEM_BUSY ||
    code === ResponseCode.GO_AWAY
  );
}

/** An answer, even a refusal, says more than a connection that failed. */
function moreTelling(before: unknown, now: unknown): unknown {
  return isAnswer(before) ? before : now;
}

function isAnswer(failure: unknown): boolean {
  return failure instanceof BrokerError;
}

/** `host:9876;host2:9876`, also with commas, as a list. */
export function parseNameServers(text: string): string[] {
  return text
    .split(/[;,]/)
    .map((address) => address.trim())
    .filter((address) => address !== '');
}

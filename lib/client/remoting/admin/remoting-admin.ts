import { retryTopicOf } from '../../group-topics.js';
import { checkGroup, checkTopic } from '../../../message/message-limits.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { Admin, BrokerInfo, GroupOptions, TopicDescription, TopicOptions } from '../../admin.js';
import { pause } from '../../clock.js';
import type { ClientInstance } from '../client-instance.js';
import { PermName } from '../protocol/perm-name.js';
import type { RemotingCommand, RemotingRequest } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';
import { AUTO_CREATE_TOPIC, MASTER_ID, type TopicRouteData } from '../protocol/route-data.js';
import { toSubscribeQueues } from '../route/topic-publish-info.js';
import { numberField, parseQueueMap } from '../protocol/queue-map.js';
import { consumerLag } from './consumer-lag.js';
import { topicType } from './topic-type.js';

/** How often to look whether the name server knows a new topic. */
const ROUTE_LOOK_MS = 20;
/** How long the report of a changed topic may take before the change is made once more. */
const REPEAT_MS = 500;

interface Master {
  readonly brokerName: string;
  readonly address: string;
}

/** (Java: `DefaultMQAdminExt`, as far as the library needs it.) */
export class RemotingAdmin implements Admin {
  readonly #instance: ClientInstance;
  #closed = false;

  constructor(instance: ClientInstance) {
    this.#instance = instance;
  }

  async createTopic(topic: string, { queues = 4, type = 'NORMAL' }: TopicOptions = {}): Promise<void> {
    this.#assertOpen();
    checkTopic(topic);
    if (!Number.isInteger(queues) || queues < 1) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Topic "${topic}" cannot have ${queues} queues. Give a whole number from 1.`,
      );
    }
    const name = this.#instance.namespace.wrap(topic);
    const masters = await this.#masters();
    const update = (): Promise<unknown> =>
      this.#onEach(masters, `Creating topic "${topic}"`, {
        code: RequestCode.UPDATE_AND_CREATE_TOPIC,
        fields: {
          topic: name,
          defaultTopic: AUTO_CREATE_TOPIC,
          readQueueNums: queues,
          writeQueueNums: queues,
          perm: PermName.READ | PermName.WRITE,
          topicFilterType: 'SINGLE_TAG',
          topicSysFlag: 0,
          order: false,
          attributes: `+message.type=${type}`,
        },
      });
    await update();
    await this.#untilRouted(
      name,
      masters.map(({ brokerName }) => brokerName),
      queues,
      update,
    );
  }

  /** A topic that is not there is as good as deleted. */
  async deleteTopic(topic: string): Promise<void> {
    this.#assertOpen();
    checkTopic(topic);
    await this.#deleteTopic(this.#instance.namespace.wrap(topic));
  }

  async topicExists(topic: string): Promise<boolean> {
    this.#assertOpen();
    checkTopic(topic);
    try {
      await this.#instance.nameServer.topicRoute(this.#instance.namespace.wrap(topic));
      return true;
    } catch (error) {
      if (error instanceof RocketMQError && error.code === 'TOPIC_NOT_FOUND') return false;
      throw error;
    }
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    this.#assertOpen();
    checkTopic(topic);
    const name = this.#instance.namespace.wrap(topic);
    const route = await this.#instance.nameServer.topicRoute(name);
    const addresses = mastersOf(route).map(({ address }) => address);
    return {
      topic,
      queues: toSubscribeQueues(name, route).length,
      type: await topicType(this.#instance, topic, name, addresses),
    };
  }

  async createGroup(
    group: string,
    { retryMaxTimes = 16, consumeMessageOrderly = false }: GroupOptions = {},
  ): Promise<void> {
    this.#assertOpen();
    checkGroup(group);
    await this.#onEach(await this.#masters(), `Creating group "${group}"`, {
      code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      // Java: SubscriptionGroupConfig.
      body: Buffer.from(
        JSON.stringify({
          groupName: this.#instance.namespace.wrap(group),
          consumeEnable: true,
          consumeFromMinEnable: true,
          consumeBroadcastEnable: true,
          consumeMessageOrderly,
          retryQueueNums: 1,
          retryMaxTimes,
          brokerId: MASTER_ID,
          whichBrokerWhenConsumeSlowly: 1,
          notifyConsumerIdsChangedEnable: true,
        }),
      ),
    });
  }

  /** With its offsets and its retry topic. Its dead letters stay: they are data somebody may still want. */
  async deleteGroup(group: string): Promise<void> {
    this.#assertOpen();
    checkGroup(group);
    const name = this.#instance.namespace.wrap(group);
    await this.#onEach(await this.#masters(), `Deleting group "${group}"`, {
      code: RequestCode.DELETE_SUBSCRIPTIONGROUP,
      // The second name is that of brokers of RocketMQ 4.
      fields: { groupName: name, cleanOffset: true, removeOffset: true },
    });
    await this.#deleteTopic(retryTopicOf(name));
  }

  async brokers(): Promise<readonly BrokerInfo[]> {
    this.#assertOpen();
    const { brokers } = await this.#instance.nameServer.clusterInfo();
    return brokers.map(({ cluster, brokerName, brokerAddrs }) => ({
      cluster,
      brokerName,
      addresses: brokerAddrs,
    }));
  }

  async lag(group: string, topic: string): ReturnType<Admin['lag']> {
    this.#assertOpen();
    checkGroup(group);
    checkTopic(topic);
    const { namespace } = this.#instance;
    const name = namespace.wrap(topic);
    const masters = await this.#mastersOf(name);
    const queues = await consumerLag(this.#instance, namespace.wrap(group), name, masters);
    let total = 0;
    for (const messages of queues.values()) total += messages;
    return { total, queues };
  }

  async offsets(topic: string): ReturnType<Admin['offsets']> {
    this.#assertOpen();
    checkTopic(topic);
    const name = this.#instance.namespace.wrap(topic);
    const request = { code: RequestCode.GET_TOPIC_STATS_INFO, fields: { topic: name } };
    const answers = await this.#onEach(
      await this.#mastersOf(name),
      `Reading the offsets of "${topic}"`,
      request,
    );
    const offsets = new Map<string, { readonly min: number; readonly max: number }>();
    for (const { body } of answers) {
      for (const { queue, value } of parseQueueMap(body, 'offsetTable')) {
        offsets.set(`${queue.brokerName}:${queue.queueId}`, {
          min: numberField(value, 'minOffset'),
          max: numberField(value, 'maxOffset'),
        });
      }
    }
    return offsets;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.resolve();
  }

  async #deleteTopic(name: string): Promise<void> {
    const { channels, nameServer, requestTimeoutMs } = this.#instance;
    await this.#onEach(await this.#masters(), `Deleting topic "${name}"`, {
      code: RequestCode.DELETE_TOPIC_IN_BROKER,
      fields: { topic: name },
    });
    // Each name server keeps routes of its own; one that is away hears of it from the brokers.
    await Promise.all(
      nameServer.addresses.map(async (address) => {
        try {
          await channels.invoke(
            address,
            { code: RequestCode.DELETE_TOPIC_IN_NAMESRV, fields: { topic: name } },
            { timeoutMs: requestTimeoutMs },
          );
        } catch (error) {
          this.#instance.log(
            'warn',
            `Name server ${address} was not told that topic "${name}" is gone; it learns it from the brokers.`,
            error,
          );
        }
      }),
    );
  }

  async #masters(): Promise<Master[]> {
    const { brokers } = await this.#instance.nameServer.clusterInfo();
    const masters = mastersOf({ brokerDatas: brokers });
    if (masters.length > 0) return masters;
    throw new RocketMQError(
      'CONNECTION_FAILED',
      'The name server knows no master broker. Start one, or wait until it is registered.',
      { retryable: true },
    );
  }

  async #mastersOf(topicName: string): Promise<Master[]> {
    return mastersOf(await this.#instance.nameServer.topicRoute(topicName));
  }

  async #onEach(
    masters: readonly Master[],
    what: string,
    request: RemotingRequest,
  ): Promise<RemotingCommand[]> {
    const { channels, requestTimeoutMs } = this.#instance;
    return Promise.all(
      masters.map(async ({ address }) => {
        const response = await channels.invoke(address, request, { timeoutMs: requestTimeoutMs });
        if (response.code !== ResponseCode.SUCCESS) throw responseError(what, response, address);
        return response;
      }),
    );
  }

  /**
   * Brokers report a topic to the name server in their own time. Two topics that change at the same moment are
   * reported with the same version, and the name server drops the second report unless the topic is new to it
   * (Java: `RouteInfoManager.isTopicConfigChanged`): such a change is made once more.
   */
  async #untilRouted(
    topicName: string,
    brokerNames: readonly string[],
    queues: number,
    repeat: () => Promise<unknown>,
  ): Promise<void> {
    const { clock, nameServer, requestTimeoutMs, routes } = this.#instance;
    const begun = clock.monotonic();
    let repeatAt = begun + REPEAT_MS;
    for (;;) {
      const routed = await nameServer.topicRoute(topicName).then(
        ({ queueDatas }) =>
          new Set(
            queueDatas
              .filter((data) => data.readQueueNums === queues && data.writeQueueNums === queues)
              .map(({ brokerName }) => brokerName),
          ),
        (error: unknown) => {
          if (error instanceof RocketMQError && error.code === 'TOPIC_NOT_FOUND') return new Set<string>();
          throw error;
        },
      );
      if (brokerNames.every((brokerName) => routed.has(brokerName))) break;
      const now = clock.monotonic();
      if (now >= begun + requestTimeoutMs) {
        throw new RocketMQError(
          'TIMEOUT',
          `Topic "${topicName}" is created, but the name server does not list it with ${queues} queues for every broker yet. Wait a moment, then look with describeTopic.`,
          { retryable: true },
        );
      }
      if (now >= repeatAt) {
        await repeat();
        repeatAt = clock.monotonic() + REPEAT_MS;
      }
      await pause(clock, ROUTE_LOOK_MS);
    }
    await routes.refresh(topicName);
  }

  #assertOpen(): void {
    if (this.#closed) throw new RocketMQError('CLOSED', 'This client is closed. Create a new one.');
  }
}

function mastersOf({ brokerDatas }: Pick<TopicRouteData, 'brokerDatas'>): Master[] {
  return brokerDatas.flatMap(({ brokerName, brokerAddrs }) => {
    const address = brokerAddrs.get(MASTER_ID);
    return address === undefined ? [] : [{ brokerName, address }];
  });
}

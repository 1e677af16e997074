import { DLQ_PREFIX, RETRY_PREFIX } from './group-topics.js';

/** Topics of the system: they belong to no namespace. Source: TopicValidator.SYSTEM_TOPIC_SET. */
const SYSTEM_TOPICS: ReadonlySet<string> = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
]);
const SEPARATOR = '%';

/**
 * Keeps environments apart on one cluster: topics and groups carry the prefix `namespace%` at the broker and none
 * in the application. (Java: `NamespaceUtil`.)
 */
export class Namespace {
  readonly name: string | undefined;
  readonly #prefix: string;

  constructor(name?: string) {
    this.name = name === undefined || name === '' ? undefined : name;
    this.#prefix = this.name === undefined ? '' : this.name + SEPARATOR;
  }

  /** The name at the broker. Retry and dead-letter topics get the prefix behind their own: `%RETRY%ns%group`. */
  wrap(resource: string): string {
    if (this.#prefix === '' || isSystemResource(resource)) return resource;
    const { kind, name } = split(resource);
    return name.startsWith(this.#prefix) ? resource : kind + this.#prefix + name;
  }

  /** The name in the application. */
  unwrap(resource: string): string {
    if (this.#prefix === '') return resource;
    const { kind, name } = split(resource);
    return name.startsWith(this.#prefix) ? kind + name.slice(this.#prefix.length) : resource;
  }
}

/** Every broker has one, named after its cluster. (Java: `MixAll.getReplyTopic`.) */
export const REPLY_TOPIC_SUFFIX = '_REPLY_TOPIC';

function isSystemResource(resource: string): boolean {
  return (
    SYSTEM_TOPICS.has(resource) ||
    resource.endsWith(REPLY_TOPIC_SUFFIX) ||
    resource.startsWith('rmq_sys_') ||
    resource.startsWith('CID_RMQ_SYS_')
  );
}

function split(resource: string): { kind: string; name: string } {
  for (const kind of [RETRY_PREFIX, DLQ_PREFIX]) {
    if (resource.startsWith(kind)) return { kind, name: resource.slice(kind.length) };
  }
  return { kind: '', name: resource };
}

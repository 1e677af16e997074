import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ConsumerReports } from '../../consumer/consumer-reports.js';
import type { CommittableOffset, OffsetStore } from '../../consumer/offset-store.js';
import { queueKey } from '../../consumer/queue-key.js';
import { givenInstanceName } from '../client-id.js';
import type { ClientInstance } from '../client-instance.js';

/** Source: LocalFileOffsetStore.LOCAL_OFFSET_STORE_DIR. */
const DEFAULT_FOLDER = '.rocketmq_offsets';

/** Source: ClientConfig.instanceName. */
const DEFAULT_INSTANCE = 'DEFAULT';

/**
 * Offsets of a broadcasting member, in a file of its own: `<folder>/<instanceName>/<group>/offsets.json`. Replaced
 * as a whole, never written over, with the version of before beside it. (Java: `LocalFileOffsetStore`.)
 *
 * The file is found again by the client's `instanceName`. Several members on one host need different ones.
 */
export class LocalFileOffsetStore implements OffsetStore {
  readonly #file: string;
  readonly #reports: ConsumerReports;
  #offsets: Map<string, number> | undefined;
  #loading: Promise<Map<string, number>> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    { clientId }: Pick<ClientInstance, 'clientId'>,
    group: string,
    folder: string | undefined,
    reports: ConsumerReports,
  ) {
    const given = givenInstanceName(clientId);
    const instanceName = encodeURIComponent(given ?? DEFAULT_INSTANCE);
    this.#file = join(folder ?? join(homedir(), DEFAULT_FOLDER), instanceName, group, 'offsets.json');
    this.#reports = reports;
    if (given === undefined) {
      reports.warn(
        `broadcasting offsets are kept in ${this.#file}, which every client of this host without an instanceName shares. Give each process its own, lasting instanceName if there is more than one.`,
      );
    }
  }

  async read(queue: MessageQueue): Promise<number | undefined> {
    return (await this.#load()).get(queueKey(queue));
  }

  lastKnown(queue: MessageQueue): number | undefined {
    return this.#offsets?.get(queueKey(queue));
  }

  async persist(offsets: readonly CommittableOffset[]): Promise<void> {
    const known = await this.#load();
    let changed = false;
    for (const { queue, offset } of offsets) {
      const key = queueKey(queue);
      changed ||= known.get(key) !== offset;
      known.set(key, offset);
    }
    if (changed) this.#writing = this.#writing.catch(() => undefined).then(() => this.#write(known));
    await this.#writing;
  }

  forget(): void {
    // The file keeps offsets of queues that come back.
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  async #load(): Promise<Map<string, number>> {
    if (this.#offsets) return this.#offsets;
    this.#loading ??= this.#readFiles();
    this.#offsets = await this.#loading;
    return this.#offsets;
  }

  async #readFiles(): Promise<Map<string, number>> {
    for (const file of [this.#file, `${this.#file}.bak`]) {
      try {
        return parseOffsets(await readFile(file, 'utf8'));
      } catch (error) {
        if (isMissing(error)) continue;
        this.#reports.error(
          'reading local offsets',
          new RocketMQError(
            'INVALID_CONFIGURATION',
            `The offset file ${file} cannot be read; the copy of before is taken, or the consumer begins at startFrom. Nothing needs to be done unless it happens again.`,
            { cause: error },
          ),
        );
      }
    }
    return new Map();
  }

  async #write(offsets: ReadonlyMap<string, number>): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true });
    const fresh = `${this.#file}.tmp`;
    const handle = await open(fresh, 'w');
    try {
      await handle.writeFile(JSON.stringify({ offsets: Object.fromEntries(offsets) }, undefined, 1));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(this.#file, `${this.#file}.bak`).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    await rename(fresh, this.#file);
  }
}

function parseOffsets(text: string): Map<string, number> {
  const { offsets } = JSON.parse(text) as { readonly offsets?: unknown };
  if (typeof offsets !== 'object' || offsets === null) throw new SyntaxError('no "offsets" in it');
  const entries = Object.entries(offsets as Record<string, unknown>);
  return new Map(
    entries.map(([key, offset]) => {
      if (!Number.isSafeInteger(offset)) throw new SyntaxError(`"${key}" has no offset`);
      return [key, offset as number];
    }),
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

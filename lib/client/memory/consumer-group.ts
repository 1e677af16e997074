import type { Clock } from '../clock.js';

/** A consumer as the broker knows it. */
export interface GroupMember {
  readonly clientId: string;
  /** The members or the queues changed: share out again. Must not throw. */
  rebalanceNow(): void;
}

interface MemberEntry {
  readonly member: GroupMember;
  heardAt: number;
}

interface QueueLock {
  readonly clientId: string;
  until: number;
}

/** A member that was not heard of for so long is gone. Source: ConsumerManager.CHANNEL_EXPIRED_TIMEOUT. */
const MEMBER_EXPIRY_MS = 120_000;

/** One consumer group at the broker: who is in it, how far it got, who owns which queue for orderly consumption. */
export class ConsumerGroup {
  readonly #clock: Clock;
  readonly #queueLockMs: number;
  readonly #members = new Map<string, MemberEntry>();
  /** By topic, then queue. */
  readonly #offsets = new Map<string, Map<number, number>>();
  readonly #locks = new Map<string, QueueLock>();

  constructor(clock: Clock, queueLockMs: number) {
    this.#clock = clock;
    this.#queueLockMs = queueLockMs;
  }

  /** A heartbeat: registers the member, or says that it is still there. */
  heard(member: GroupMember): void {
    const known = this.#members.get(member.clientId);
    const now = this.#clock.monotonic();
    if (known && now - known.heardAt < MEMBER_EXPIRY_MS) {
      known.heardAt = now;
      return;
    }
    this.#members.set(member.clientId, { member, heardAt: now });
    this.notify();
  }

  remove(clientId: string): void {
    if (this.#members.delete(clientId)) this.notify();
  }

  /** Sorted as every member sorts them. */
  memberIds(): readonly string[] {
    const oldest = this.#clock.monotonic() - MEMBER_EXPIRY_MS;
    return [...this.#members.values()]
      .filter(({ heardAt }) => heardAt > oldest)
      .map(({ member }) => member.clientId)
      .sort();
  }

  /** NOTIFY_CONSUMER_IDS_CHANGED to every member. */
  notify(): void {
    for (const { member } of Array.from(this.#members.values())) member.rebalanceNow();
  }

  offset(topic: string, queueId: number): number | undefined {
    return this.#offsets.get(topic)?.get(queueId);
  }

  setOffset(topic: string, queueId: number, offset: number): void {
    const queues = this.#offsets.get(topic) ?? new Map<number, number>();
    this.#offsets.set(topic, queues.set(queueId, offset));
  }

  forgetTopic(topic: string): void {
    this.#offsets.delete(topic);
  }

  reads(topic: string): boolean {
    return this.#offsets.has(topic);
  }

  /** Takes or renews the queue for one member. False while another one owns it. */
  lock(clientId: string, topic: string, queueId: number): boolean {
    const key = `${topic}@${queueId}`;
    const now = this.#clock.monotonic();
    const held = this.#locks.get(key);
    if (held && held.clientId !== clientId && held.until > now) return false;
    this.#locks.set(key, { clientId, until: now + this.#queueLockMs });
    return true;
  }

  /** @returns whether the member had it */
  unlock(clientId: string, topic: string, queueId: number): boolean {
    const key = `${topic}@${queueId}`;
    return this.#locks.get(key)?.clientId === clientId && this.#locks.delete(key);
  }
}

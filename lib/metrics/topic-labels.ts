/** Keeps the number of series in bounds when an application sends to topics with made-up names. */
export class TopicLabels {
  private readonly known = new Set<string>();

  constructor(private readonly max: number) {}

  /** The topic, or `other` when there are too many. */
  of(topic: string): string {
    if (this.known.has(topic)) return topic;
    if (this.known.size >= this.max) return 'other';
    this.known.add(topic);
    return topic;
  }
}

import { describe, expect, it } from 'vitest';
import { GroupLedger } from '../../../scripts/soak/group-ledger.js';

/** Begins and ends a call of 10 µs, unless told otherwise. */
function handle(ledger: GroupLedger, member: string, offset: number, begin: number, end = begin + 10): void {
  ledger.begun({ member, queue: 'broker-a:0', offset, message: offset, begin });
  ledger.ended(member, offset, end);
}

describe('the ledger of a group under churn', () => {
  it('finds nothing wrong with one member after the other, nor with repetitions after a crash', () => {
    const ledger = new GroupLedger(true);
    for (const offset of [0, 1, 2]) handle(ledger, 'a', offset, offset * 10);
    for (const offset of [1, 2, 3, 4]) handle(ledger, 'b', offset, 100 + offset * 10);
    ledger.judgeAll();
    expect([ledger.handled.size, ledger.again]).toEqual([5, 2]);
    expect([ledger.overlaps, ledger.outOfOrder]).toEqual([0, 0]);
  });

  it('counts two handlers in one queue, in whatever order they report', () => {
    const ledger = new GroupLedger(true);
    handle(ledger, 'b', 1, 15);
    handle(ledger, 'a', 0, 10, 20);
    ledger.judgeAll();
    expect(ledger.overlaps).toBe(1);
    expect(ledger.examples[0]).toContain('a with offset 0 and b with offset 1');
  });

  it('counts a message that was left out', () => {
    const ledger = new GroupLedger(true);
    handle(ledger, 'a', 0, 10);
    handle(ledger, 'a', 2, 30);
    ledger.judgeAll();
    expect(ledger.outOfOrder).toBe(1);
  });

  it('lets a call end with the member that was killed in it, and does not count its message as handled', () => {
    const ledger = new GroupLedger(true);
    ledger.begun({ member: 'a', queue: 'broker-a:0', offset: 0, message: 0, begin: 10 });
    ledger.died('a', 20);
    handle(ledger, 'b', 0, 21);
    ledger.judgeAll();
    expect([ledger.overlaps, ledger.outOfOrder, ledger.again, ledger.handled.size]).toEqual([0, 0, 0, 1]);
    const early = new GroupLedger(true);
    early.begun({ member: 'a', queue: 'broker-a:0', offset: 0, message: 0, begin: 10 });
    handle(early, 'b', 0, 15);
    early.died('a', 20);
    early.judgeAll();
    expect(early.overlaps).toBe(1);
  });

  it('waits for reports that are still on their way', () => {
    const ledger = new GroupLedger(true);
    handle(ledger, 'b', 1, 1_000);
    ledger.judge(2_000);
    handle(ledger, 'a', 0, 10);
    ledger.judge(10_000_000);
    expect([ledger.overlaps, ledger.outOfOrder]).toEqual([0, 0]);
  });

  it('lets handlers of a concurrent group run side by side', () => {
    const ledger = new GroupLedger(false);
    handle(ledger, 'a', 1, 10, 50);
    handle(ledger, 'b', 0, 20, 40);
    ledger.judgeAll();
    expect([ledger.overlaps, ledger.outOfOrder, ledger.handled.size]).toEqual([0, 0, 2]);
  });
});

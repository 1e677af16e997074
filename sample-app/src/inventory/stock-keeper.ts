import { Injectable } from '@nestjs/common';
import { MoreThanOrEqual, type EntityManager } from 'typeorm';
import { Reservation } from './reservation.entity.js';
import { Stock } from './stock.entity.js';

/**
 * Moves goods between available, reserved and sold. Nothing here asks whether it did the same before: these are plain
 * increments, which would go wrong if a message counted twice. That it counts once is what `@Idempotent()` is for.
 */
@Injectable()
export class StockKeeper {
  /** @returns whether there was enough of it */
  async reserve(tx: EntityManager, wish: Omit<Reservation, 'status'>): Promise<boolean> {
    const { product, quantity } = wish;
    const taken = await tx.update(
      Stock,
      { product, available: MoreThanOrEqual(quantity) },
      { available: () => `available - ${quantity}`, reserved: () => `reserved + ${quantity}` },
    );
    if (taken.affected !== 1) return false;
    await tx.insert(Reservation, { ...wish, status: 'held' });
    return true;
  }

  async sell(tx: EntityManager, orderId: string): Promise<void> {
    const { product, quantity } = await this.endReservation(tx, orderId, 'sold');
    await tx.update(
      Stock,
      { product },
      { reserved: () => `reserved - ${quantity}`, sold: () => `sold + ${quantity}` },
    );
  }

  async release(tx: EntityManager, orderId: string): Promise<void> {
    const { product, quantity } = await this.endReservation(tx, orderId, 'released');
    await tx.update(
      Stock,
      { product },
      { reserved: () => `reserved - ${quantity}`, available: () => `available + ${quantity}` },
    );
  }

  private async endReservation(
    tx: EntityManager,
    orderId: string,
    status: 'sold' | 'released',
  ): Promise<Reservation> {
    const reservation = await tx.findOneByOrFail(Reservation, { orderId });
    await tx.update(Reservation, { orderId }, { status });
    return reservation;
  }
}

import { Column, Entity, PrimaryColumn } from 'typeorm';

/** `held` until the order ends: `sold` when it was paid, `released` when it was cancelled. */
export type ReservationStatus = 'held' | 'sold' | 'released';

/** Goods put aside for an order. */
@Entity('reservations')
export class Reservation {
  @PrimaryColumn({ type: 'uuid', name: 'order_id' })
  orderId!: string;

  @Column({ type: 'text' })
  product!: string;

  @Column({ type: 'integer' })
  quantity!: number;

  @Column({ type: 'text' })
  status!: ReservationStatus;
}

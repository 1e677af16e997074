import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** `held` until the order ends: `sold` when it was paid, `released` when it was cancelled. */
export const reservationStatuses = ['held', 'sold', 'released'] as const;
export type ReservationStatus = (typeof reservationStatuses)[number];

/** Goods put aside for an order. */
@Entity('reservations')
export class Reservation {
  @ApiProperty({ format: 'uuid' })
  @PrimaryColumn({ type: 'uuid', name: 'order_id' })
  orderId!: string;

  @ApiProperty()
  @Column({ type: 'text' })
  product!: string;

  @ApiProperty()
  @Column({ type: 'integer' })
  quantity!: number;

  @ApiProperty({ enum: reservationStatuses })
  @Column({ type: 'text' })
  status!: ReservationStatus;
}

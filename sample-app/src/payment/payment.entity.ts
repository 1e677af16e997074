import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** `due` until it is `paid`, or `closed` because the order was cancelled; `refunded` if it was cancelled after all. */
export const paymentStatuses = ['due', 'paid', 'closed', 'refunded'] as const;
export type PaymentStatus = (typeof paymentStatuses)[number];

@Entity('payments')
export class Payment {
  @ApiProperty({ format: 'uuid' })
  @PrimaryColumn({ type: 'uuid', name: 'order_id' })
  orderId!: string;

  /** In cents. */
  @ApiProperty({ description: 'In cents.' })
  @Column({ type: 'integer' })
  amount!: number;

  @ApiProperty({ enum: paymentStatuses })
  @Column({ type: 'text' })
  status!: PaymentStatus;
}

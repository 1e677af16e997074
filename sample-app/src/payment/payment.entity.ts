import { Column, Entity, PrimaryColumn } from 'typeorm';

/** `due` until it is `paid`, or `closed` because the order was cancelled; `refunded` if it was cancelled after all. */
export type PaymentStatus = 'due' | 'paid' | 'closed' | 'refunded';

@Entity('payments')
export class Payment {
  @PrimaryColumn({ type: 'uuid', name: 'order_id' })
  orderId!: string;

  /** In cents. */
  @Column({ type: 'integer' })
  amount!: number;

  @Column({ type: 'text' })
  status!: PaymentStatus;
}

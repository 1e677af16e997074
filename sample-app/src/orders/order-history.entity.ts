import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { OrderStatus } from './order.entity.js';

/** One line per thing that happened to an order, written in the transaction that made it happen. */
@Entity('order_history')
export class OrderHistory {
  @PrimaryGeneratedColumn('identity', { type: 'integer', generatedIdentity: 'ALWAYS' })
  id!: number;

  @Column({ type: 'uuid', name: 'order_id' })
  orderId!: string;

  /** The status of the order after it. */
  @Column({ type: 'text' })
  status!: OrderStatus;

  @Column({ type: 'text' })
  note!: string;

  @Column({ type: 'timestamptz' })
  at!: Date;
}

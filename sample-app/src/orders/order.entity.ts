import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * - `pending`: placed, the inventory was asked
 * - `awaiting-payment`: goods are reserved
 * - `rejected`: not enough in stock. An end.
 * - `paid`: an end.
 * - `cancelled`: not paid in time. An end.
 */
export type OrderStatus = 'pending' | 'awaiting-payment' | 'rejected' | 'paid' | 'cancelled';

@Entity('orders')
export class Order {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'text' })
  product!: string;

  @Column({ type: 'integer' })
  quantity!: number;

  /** In cents. */
  @Column({ type: 'integer' })
  amount!: number;

  @Column({ type: 'text' })
  status!: OrderStatus;

  @Column({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}

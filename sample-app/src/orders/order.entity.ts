import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * - `pending`: placed, the inventory was asked
 * - `awaiting-payment`: goods are reserved
 * - `rejected`: not enough in stock. An end.
 * - `paid`: an end.
 * - `cancelled`: not paid in time. An end.
 */
export const orderStatuses = ['pending', 'awaiting-payment', 'rejected', 'paid', 'cancelled'] as const;
export type OrderStatus = (typeof orderStatuses)[number];

@Entity('orders')
export class Order {
  @ApiProperty({ format: 'uuid' })
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @ApiProperty()
  @Column({ type: 'text' })
  product!: string;

  @ApiProperty()
  @Column({ type: 'integer' })
  quantity!: number;

  /** In cents. */
  @ApiProperty({ description: 'In cents.' })
  @Column({ type: 'integer' })
  amount!: number;

  @ApiProperty({ enum: orderStatuses })
  @Column({ type: 'text' })
  status!: OrderStatus;

  @ApiProperty()
  @Column({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}

/** The shop that the guides speak about; `scripts/check-docs.ts` imports it into every code block that uses it. */
import { IsInt, IsString, Min } from 'class-validator';
import { Column, Entity, PrimaryColumn } from 'typeorm';

export interface NewOrder {
  readonly sku: string;
  readonly quantity: number;
}

export class OrderCreated {
  @IsString()
  id!: string;
  @IsString()
  sku!: string;
  @IsInt()
  @Min(1)
  quantity!: number;
}

@Entity()
export class Order {
  @PrimaryColumn({ type: 'varchar' })
  id!: string;
  @Column({ type: 'varchar' })
  sku!: string;
  @Column({ type: 'int' })
  quantity!: number;
}

@Entity()
export class Stock {
  @PrimaryColumn({ type: 'varchar' })
  sku!: string;
  @Column({ type: 'int' })
  available!: number;
}

@Entity()
export class Payment {
  @PrimaryColumn({ type: 'varchar' })
  id!: string;
  @Column({ type: 'varchar' })
  orderId!: string;
}

export declare class OrderService {}
export declare class InventoryListener {}
export declare const order: OrderCreated;
export declare const payment: Payment;

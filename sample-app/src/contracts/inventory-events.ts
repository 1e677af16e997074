import { IsString, IsUUID } from 'class-validator';

/** Topic `inventory`, published by the inventory service: its answers to `orders:created`. */
export const INVENTORY = 'inventory';

export const InventoryEvent = {
  reserved: `${INVENTORY}:reserved`,
  rejected: `${INVENTORY}:rejected`,
} as const;

/** `inventory:reserved`: the goods are put aside for this order. */
export class StockReserved {
  @IsUUID()
  orderId!: string;
}

/** `inventory:rejected`: there is not enough of it. */
export class StockRejected {
  @IsUUID()
  orderId!: string;

  @IsString()
  reason!: string;
}

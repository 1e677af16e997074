import { IsInt, IsPositive, IsUUID } from 'class-validator';

/** Topic `payments`, published by the payment service as transactional messages. */
export const PAYMENTS = 'payments';

export const PaymentEvent = { completed: `${PAYMENTS}:completed` } as const;

/** `payments:completed`: the money is here. */
export class PaymentCompleted {
  @IsUUID()
  orderId!: string;

  /** In cents. */
  @IsInt()
  @IsPositive()
  amount!: number;
}

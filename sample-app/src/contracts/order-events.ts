import { IsInt, IsPositive, IsString, IsUUID } from 'class-validator';

/**
 * What the services tell each other is all they share: names of topics, and the shape of each message.
 * The shapes are classes, so that a ValidationPipe checks them when a message arrives, as it checks a request.
 *
 * Topic `orders`, published by the order service with the order id as ordering key: whoever listens in
 * mode `ordered` sees the events of one order in the order in which they were committed.
 */
export const ORDERS = 'orders';

/** A destination is `topic:tag`; a tag is what listeners filter by, at the broker. */
export const OrderEvent = {
  created: `${ORDERS}:created`,
  confirmed: `${ORDERS}:confirmed`,
  paid: `${ORDERS}:paid`,
  cancelled: `${ORDERS}:cancelled`,
} as const;

/** `orders:created`: somebody wants something; whether it is in stock is not known yet. */
export class OrderCreated {
  @IsUUID()
  orderId!: string;

  @IsString()
  product!: string;

  @IsInt()
  @IsPositive()
  quantity!: number;
}

/** `orders:confirmed`: the goods are reserved, the money is due. */
export class OrderConfirmed {
  @IsUUID()
  orderId!: string;

  /** In cents. */
  @IsInt()
  @IsPositive()
  amount!: number;
}

/** `orders:paid` and `orders:cancelled`: the two ways a confirmed order ends. */
export class OrderEnded {
  @IsUUID()
  orderId!: string;
}

/**
 * A message the order service sends to itself, to be delivered when the payment window is over. It has a topic of
 * its own, because a delayed message waits at the broker and would not keep its place among ordered ones.
 */
export const ORDER_DEADLINES = 'order-deadlines';

export class PaymentDeadline {
  @IsUUID()
  orderId!: string;
}
